"""Counts of queued, sending, sent and failed messages, from indexes alone: cheap, however large the tables."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.models import Priority, Status
from service.store.database import Reader
from service.store.message_queries import status_is

#: Counts stop here; those that one index answers may go further in the same time.
MAX_COUNTED = 10_000
MAX_RECENT = 50_000
_RECENT = timedelta(hours=1)
_PRIORITIES = tuple(Priority)
_WAITS = ("attempts = 0", "attempts > 0")  # each has a partial index


@dataclass(frozen=True, slots=True)
class Waiting:
    """The queue of one priority: its length (MAX_COUNTED means that or more), and since when the oldest is due.

    `tried` of them had an attempt before. `oldest_due_at` is None where nothing is due yet.
    """

    priority: Priority
    total: int
    tried: int
    oldest_due_at: datetime | None

    @property
    def is_capped(self) -> bool:
        """True if the count stopped at MAX_COUNTED."""
        return self.total >= MAX_COUNTED


@dataclass(frozen=True, slots=True)
class Queued:
    """The exact number of queued messages of one priority, `tried` before or not."""

    priority: Priority
    tried: bool
    count: int


def waiting(reader: Reader, *, now: datetime) -> list[Waiting]:
    """The queue of each priority, the most urgent first; scheduled messages are queued and not due."""
    counts = [
        f"SELECT {priority.rank} AS rank, {tried} AS tried, (SELECT COUNT(*) FROM (SELECT 1 FROM email_messages"
        f" WHERE status = 'queued' AND {condition} AND priority_rank = {priority.rank} LIMIT {MAX_COUNTED}) AS counted)"
        f" AS total, (SELECT MIN(next_attempt_at) FROM email_messages WHERE status = 'queued' AND {condition}"
        f" AND priority_rank = {priority.rank} AND next_attempt_at <= :now) AS oldest_at"
        for priority in Priority
        for tried, condition in enumerate(_WAITS)
    ]
    rows = reader.read(" UNION ALL ".join(counts), {"now": now})
    found = []
    for priority in Priority:
        own = {row["tried"]: row for row in rows if row["rank"] == priority.rank}
        oldest = [row["oldest_at"] for row in own.values() if row["oldest_at"] is not None]
        total = min(own[0]["total"] + own[1]["total"], MAX_COUNTED)
        found.append(Waiting(priority, total, own[1]["total"], min(oldest, default=None)))
    return found


def accepted_since(reader: Reader, since: datetime) -> int:
    """How many messages were accepted since `since`, up to MAX_RECENT."""
    rows = reader.read(
        "SELECT COUNT(*) AS total FROM"
        " (SELECT 1 FROM email_messages WHERE created_at >= :since LIMIT :most) AS counted",
        {"since": since, "most": MAX_RECENT},
    )
    return int(rows[0]["total"])


def sent_since(reader: Reader, since: datetime, *, accepted_since: datetime) -> int:
    """How many of the newest MAX_COUNTED messages accepted since `accepted_since` were sent since `since`."""
    rows = reader.read(
        "SELECT COUNT(*) AS total FROM (SELECT sent_at FROM email_messages WHERE created_at >= :accepted"
        " ORDER BY created_at DESC LIMIT :most) AS newest WHERE sent_at >= :since",
        {"accepted": accepted_since, "since": since, "most": MAX_COUNTED},
    )
    return int(rows[0]["total"])


def ended_badly_since(reader: Reader, since: datetime) -> int:
    """How many messages accepted since `since` bounced, failed or brought a complaint, up to MAX_COUNTED of each."""
    each = " UNION ALL ".join(
        f"SELECT COUNT(*) AS total FROM (SELECT 1 FROM email_messages WHERE {' AND '.join(status_is(status))}"
        f" AND created_at >= :since LIMIT {MAX_COUNTED}) AS counted"
        for status in (Status.BOUNCED, Status.COMPLAINT, Status.FAILED)
    )
    return sum(row["total"] for row in reader.read(each, {"since": since}))


def queued(reader: Reader) -> list[Queued]:
    """Queued messages, scheduled ones included, by priority; a priority without any is left out."""
    return [
        Queued(_PRIORITIES[row["priority_rank"]], bool(tried), int(row["total"]))
        for tried, condition in enumerate(_WAITS)
        for row in reader.read(
            "SELECT priority_rank, COUNT(*) AS total FROM email_messages"
            f" WHERE status = 'queued' AND {condition} GROUP BY priority_rank"
        )
    ]


def sending(reader: Reader) -> int:
    """How many messages are leased to workers."""
    return int(reader.read("SELECT COUNT(*) AS total FROM email_messages WHERE status = 'sending'")[0]["total"])


def recent(reader: Reader, *, now: datetime) -> dict[Status, int]:
    """Messages accepted within the last hour, by their status now."""
    rows = reader.read(
        "SELECT status, COUNT(*) AS total FROM email_messages WHERE created_at >= :since GROUP BY status",
        {"since": now - _RECENT},
    )
    return {Status(row["status"]): int(row["total"]) for row in rows}
