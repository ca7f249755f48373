"""Overview: the queue, rates, SLA and broken templates at one moment, and the alarms that follow from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from service.models import Message, Priority
from service.store import queue_stats, sla
from service.store.database import Database
from service.store.queue_stats import Waiting
from service.store.sla import SlaStats
from service.templates.catalogue import Catalogue

__all__ = ["Alarm", "Overview", "OverviewSnapshot", "SlaStats", "Waiting"]

#: Rates are averages over this time.
RATE_OVER = timedelta(minutes=5)
#: SLA and failures are those of messages accepted within this time.
A_DAY = timedelta(days=1)
#: Due messages that wait longer raise an alarm: a minute for alerts, for the rest as long as an outage may take.
PATIENCE_S = {Priority.CRITICAL: 60, Priority.HIGH: 300, Priority.NORMAL: 900, Priority.BULK: 7_200}
#: Amazon reviews a sender from 5 % bounces on (https://docs.aws.amazon.com/ses/latest/dg/faqs-enforcement.html).
BAD_SHARE = 0.05
#: A share of fewer messages is no evidence.
_ENOUGH = 20
_SHOWN_LATE = 5

AlarmKind = Literal["paused", "empty", "broken", "waits", "late", "bad_share"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition to act on; `subject` names it (a template, a priority), `value` is its amount in its own unit."""

    kind: AlarmKind
    subject: str
    value: float


@dataclass(frozen=True, slots=True)
class OverviewSnapshot:
    """The state at one moment. Rates are messages per minute; `bad_share` is of the last day's messages."""

    at: datetime
    waiting: Sequence[Waiting]
    accepted_per_minute: float
    sent_per_minute: float
    accepted_today: int
    is_today_capped: bool
    bad_share: float
    services: Sequence[SlaStats]
    late: Sequence[Message]
    paused_s: float
    broken: Sequence[str]
    templates: int
    alarms: Sequence[Alarm]


@dataclass(frozen=True, slots=True)
class Overview:
    """Takes snapshots of rows and templates; `paused_for_s` is `Transport.paused_for_s` of this process."""

    database: Database
    catalogue: Catalogue
    paused_for_s: Callable[[], float]
    clock: Callable[[], datetime]

    def snapshot(self) -> OverviewSnapshot:
        """Take a snapshot now. Raises StoreBusy."""
        now = self.clock()
        minutes = RATE_OVER.total_seconds() / 60
        entries = self.catalogue.current.entries
        broken = sorted(key for key, entry in entries.items() if any(finding.is_error for finding in entry.findings))
        today = queue_stats.accepted_since(self.database, now - A_DAY)
        bad = queue_stats.ended_badly_since(self.database, now - A_DAY)
        bad_share = bad / today if today else 0.0
        waiting = queue_stats.waiting(self.database, now=now)
        services = sla.stats_since(self.database, now=now, since=now - A_DAY)
        paused_s = max(self.paused_for_s(), 0.0)
        return OverviewSnapshot(
            at=now,
            waiting=waiting,
            accepted_per_minute=queue_stats.accepted_since(self.database, now - RATE_OVER) / minutes,
            sent_per_minute=queue_stats.sent_since(self.database, now - RATE_OVER, accepted_since=now - A_DAY)
            / minutes,
            accepted_today=today,
            is_today_capped=today >= queue_stats.MAX_RECENT,
            bad_share=bad_share,
            services=services,
            late=sla.late(self.database, now=now, since=now - A_DAY, limit=_SHOWN_LATE),
            paused_s=paused_s,
            broken=broken,
            templates=len(entries),
            alarms=[
                *([Alarm("empty", emptiness, 0)] if (emptiness := self.catalogue.emptiness) else []),
                *([Alarm("paused", "", paused_s)] if paused_s else []),
                *(Alarm("broken", key, 1) for key in broken),
                *(alarm for one in waiting if (alarm := _waits(one, now)) is not None),
                *(Alarm("late", one.template_key, one.late) for one in services if one.late),
                *([Alarm("bad_share", "", bad_share)] if today >= _ENOUGH and bad_share >= BAD_SHARE else []),
            ],
        )


def _waits(waiting: Waiting, now: datetime) -> Alarm | None:
    if waiting.oldest_due_at is None:
        return None
    waited_s = (now - waiting.oldest_due_at).total_seconds()
    return Alarm("waits", waiting.priority, waited_s) if waited_s > PATIENCE_S[waiting.priority] else None
