"""How much there is and what became of it, for a graph. Each query is an index's work, whatever the archive holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.models import Priority, Status
from service.store.database import Reader

_PRIORITIES = tuple(Priority)
_RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Queued:
    """Messages of one priority that wait; `tried`: a server has answered before."""

    priority: Priority
    tried: bool
    count: int


def queued(reader: Reader) -> list[Queued]:
    """What is queued, scheduled mail included; nothing for priorities of which nothing is."""
    return [
        Queued(_PRIORITIES[row["priority_rank"]], tried, int(row["total"]))
        for tried, kind in ((False, "attempts = 0"), (True, "attempts > 0"))
        for row in reader.read(
            "SELECT priority_rank, COUNT(*) AS total FROM email_messages"
            f" WHERE status = 'queued' AND {kind} GROUP BY priority_rank"
        )
    ]


def sending(reader: Reader) -> int:
    """How many messages workers hold."""
    return int(reader.read("SELECT COUNT(*) AS total FROM email_messages WHERE status = 'sending'")[0]["total"])


def recent(reader: Reader, *, now: datetime) -> dict[Status, int]:
    """What was accepted within the hour, by what has become of it."""
    rows = reader.read(
        "SELECT status, COUNT(*) AS total FROM email_messages WHERE created_at >= :since GROUP BY status",
        {"since": now - _RECENT},
    )
    return {Status(row["status"]): int(row["total"]) for row in rows}
