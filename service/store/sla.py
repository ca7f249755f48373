"""SLA: messages handed to the relay later than their template promises, or not yet."""

from dataclasses import dataclass
from datetime import datetime

from service.models import Message
from service.store.database import Reader
from service.store.message_queries import MESSAGE_COLUMNS, message_of

#: Conditions on a message: its SLA is over by `:now`, and, of such a message, that the relay took it later or not yet.
IS_DUE = "sla_due_at IS NOT NULL AND sla_due_at < :now AND status NOT IN ('cancelled', 'suppressed', 'rate_limited')"
IS_LATE = "(sent_at > sla_due_at OR (sent_at IS NULL AND status IN ('queued', 'sending', 'failed')))"


@dataclass(frozen=True, slots=True)
class SlaStats:
    """How a template met its SLA: of `promised` messages `late` were late."""

    template_key: str
    promised: int
    late: int


def late(reader: Reader, *, now: datetime, since: datetime, limit: int) -> list[Message]:
    """Messages that are or were late, with an SLA due since `since`, the newest first."""
    rows = reader.read(
        f"SELECT {MESSAGE_COLUMNS} FROM email_messages WHERE {IS_DUE} AND {IS_LATE} AND sla_due_at >= :since"
        " ORDER BY sla_due_at DESC LIMIT :limit",
        {"now": now, "since": since, "limit": limit},
    )
    return [message_of(row, now=now) for row in rows]


def stats_since(reader: Reader, *, now: datetime, since: datetime) -> list[SlaStats]:
    """The statistics of each template with an SLA, over the messages due between `since` and `now`."""
    rows = reader.read(
        f"SELECT template_key, COUNT(*) AS promised, SUM(CASE WHEN {IS_LATE} THEN 1 ELSE 0 END) AS late"
        f" FROM email_messages WHERE {IS_DUE} AND sla_due_at >= :since GROUP BY template_key ORDER BY template_key",
        {"now": now, "since": since},
    )
    return [SlaStats(row["template_key"], int(row["promised"]), int(row["late"])) for row in rows]
