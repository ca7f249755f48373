"""Statistics per template and revision: messages accepted, sent, bounced and late, and requests refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from service.store.database import Reader, Transaction
from service.store.database.contract import Row
from service.store.sla import IS_DUE, IS_LATE


@dataclass(frozen=True, slots=True)
class RevisionFigures:
    """Of `accepted` messages `sent` went to the relay, of which `bounced` and `complaints` did not arrive well.

    `refused` counts send requests that were answered with 422. Of `promised` messages, whose SLA is due and that were
    not cancelled, `late` were late. Tests are left out.
    """

    template_key: str
    revision: str
    accepted: int = 0
    sent: int = 0
    bounced: int = 0
    complaints: int = 0
    promised: int = 0
    late: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class TemplateFigures:
    """The figures of a template's revisions together; here `bounced` includes complaints."""

    template_key: str
    accepted: int
    sent: int
    bounced: int
    promised: int
    late: int

    @classmethod
    def of(cls, key: str, revisions: Sequence[RevisionFigures]) -> "TemplateFigures":
        """Add up the revisions of one template."""
        return cls(
            key,
            sum(one.accepted for one in revisions),
            sum(one.sent for one in revisions),
            sum(one.bounced + one.complaints for one in revisions),
            sum(one.promised for one in revisions),
            sum(one.late for one in revisions),
        )

    @property
    def bounce_share(self) -> float | None:
        """Bounces and complaints per sent message; None where none was sent."""
        return self.bounced / self.sent if self.sent else None

    @property
    def kept_share(self) -> float | None:
        """The share of messages within their SLA; None where none was due."""
        return 1 - self.late / self.promised if self.promised else None


class Refusal(NamedTuple):
    """What refused requests are counted by; `day_at` is the beginning of the day, UTC."""

    deployment_id: str
    template_key: str
    revision: str
    day_at: datetime


def since(reader: Reader, *, since: datetime, now: datetime) -> list[RevisionFigures]:
    """The figures of each revision with messages accepted, or requests refused, since `since`; refusals by whole days.

    Sorted by key.
    """
    rows = reader.read(
        f"SELECT template_key, template_revision AS revision, {COUNTS},"
        f" SUM(CASE WHEN {IS_DUE} THEN 1 ELSE 0 END) AS promised,"
        f" SUM(CASE WHEN {IS_DUE} AND {IS_LATE} THEN 1 ELSE 0 END) AS late"
        " FROM email_messages WHERE created_at >= :since AND is_test = :is_test"
        " GROUP BY template_key, template_revision",
        {"since": since, "now": now, "is_test": False},
    )
    refused = reader.read(
        "SELECT template_key, revision, SUM(refused) AS refused FROM template_refusals WHERE day_at >= :since"
        " GROUP BY template_key, revision",
        {"since": since.replace(hour=0, minute=0, second=0, microsecond=0)},
    )
    return together(rows, refused)


#: Counts of messages by what became of them, for a SELECT on email_messages.
COUNTS = (
    "COUNT(*) AS accepted,"
    " SUM(CASE WHEN sent_at IS NOT NULL OR status IN ('delivered', 'bounced', 'complaint') THEN 1 ELSE 0 END) AS sent,"
    " SUM(CASE WHEN status = 'bounced' THEN 1 ELSE 0 END) AS bounced,"
    " SUM(CASE WHEN status = 'complaint' THEN 1 ELSE 0 END) AS complaints"
)


def together(*counts: Sequence[Row]) -> list[RevisionFigures]:
    """One entry for each key and revision of these rows, whose first columns they are, sorted."""
    found: dict[tuple[str, str], RevisionFigures] = {}
    for row in (row for rows in counts for row in rows):
        key, revision, *_ = row.values()
        numbers: dict[str, Any] = {name: int(row[name]) for name in row if name not in ("template_key", "revision")}
        found[key, revision] = replace(found.get((key, revision), RevisionFigures(key, revision)), **numbers)
    return [found[names] for names in sorted(found)]


def add_refusals(tx: Transaction, counted: Mapping[Refusal, int]) -> None:
    """Add these counts of refused requests to those that are stored."""
    for refusal, count in sorted(counted.items()):
        tx.execute(
            "INSERT INTO template_refusals (deployment_id, template_key, revision, day_at, refused)"
            " VALUES (:deployment_id, :template_key, :revision, :day_at, :refused)"
            " ON CONFLICT (deployment_id, revision, day_at)"
            " DO UPDATE SET refused = template_refusals.refused + excluded.refused",
            {**refusal._asdict(), "refused": count},
        )
