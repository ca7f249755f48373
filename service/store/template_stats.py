"""Statistics per template: messages accepted, sent, bounced and late, for all templates in one query."""

from dataclasses import dataclass
from datetime import datetime

from service.store.database import Reader
from service.store.sla import IS_DUE, IS_LATE


@dataclass(frozen=True, slots=True)
class TemplateFigures:
    """Of `accepted` messages `sent` went to the relay, of which `bounced` did; of `promised` ones `late` were late.

    Tests are left out. `promised` counts messages whose SLA is due and that were not cancelled.
    """

    template_key: str
    accepted: int
    sent: int
    bounced: int
    promised: int
    late: int

    @property
    def bounce_share(self) -> float | None:
        """Bounces and complaints per sent message; None where none was sent."""
        return self.bounced / self.sent if self.sent else None

    @property
    def kept_share(self) -> float | None:
        """The share of messages within their SLA; None where none was due."""
        return 1 - self.late / self.promised if self.promised else None


def since(reader: Reader, *, since: datetime, now: datetime) -> list[TemplateFigures]:
    """The figures of each template with messages accepted since `since`."""
    rows = reader.read(
        "SELECT template_key, COUNT(*) AS accepted,"
        " SUM(CASE WHEN sent_at IS NOT NULL OR status IN ('delivered', 'bounced', 'complaint') THEN 1 ELSE 0 END)"
        " AS sent,"
        " SUM(CASE WHEN status IN ('bounced', 'complaint') THEN 1 ELSE 0 END) AS bounced,"
        f" SUM(CASE WHEN {IS_DUE} THEN 1 ELSE 0 END) AS promised,"
        f" SUM(CASE WHEN {IS_DUE} AND {IS_LATE} THEN 1 ELSE 0 END) AS late"
        " FROM email_messages WHERE created_at >= :since AND is_test = :is_test"
        " GROUP BY template_key ORDER BY template_key",
        {"since": since, "now": now, "is_test": False},
    )
    return [TemplateFigures(row["template_key"], *(int(row[name]) for name in _COUNTS)) for row in rows]


_COUNTS = ("accepted", "sent", "bounced", "promised", "late")
