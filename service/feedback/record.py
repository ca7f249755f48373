"""VERB: feedback -> state. What a provider or a mail server says is taken in once, in any order, however often."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.feedback.apply import Effect, FeedbackApplier
from service.feedback.event import FeedbackEvent, Notification
from service.monitoring.metrics import Metrics
from service.store import feedback
from service.store.database import Database, Transaction

_log = structlog.get_logger("record")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a notification; a repeated one has no effect. Counts are of its reports.

    `known` was told before by another notification; `kept` waits for its message to be known; `ignored` is about
    nothing of ours.
    """

    repeated: bool = False
    applied: int = 0
    known: int = 0
    pending: int = 0
    ignored: int = 0


class FeedbackRecorder:
    """Takes in what every way of feedback says."""

    def __init__(
        self, database: Database, applier: FeedbackApplier, clock: Callable[[], datetime], metrics: Metrics
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._consequences = applier
        self._clock = clock

    def exists(self, notification_id: str, source: str) -> bool:
        """Whether this notification was recorded before."""
        return feedback.is_seen(self._database, notification_id, source)

    def record(self, notification_id: str, source: str, events: Sequence[FeedbackEvent]) -> Recorded:
        """Has the effect of a notification, in one transaction, the first time that it comes.

        `notification_id` is its own name within `source` (sns, inbox ...). A notification without reports is noted too.
        Raises StoreBusy: nothing was stored, and it should come again.
        """
        return self.record_all([Notification(notification_id, source, events)])[0]

    def record_all(self, notifications: Sequence[Notification]) -> list[Recorded]:
        """The same for several, all in one transaction: all of them or none."""
        effects = self._database.write(lambda tx: self._apply(tx, notifications))
        counts = Counter[tuple[str, str]]()
        for n, of_it in effects.items():
            counts.update((report.kind, effect) for report, effect in zip(notifications[n].events, of_it, strict=True))
        self._metrics.reported(counts)
        told = Counter(effect.value for of_it in effects.values() for effect in of_it)
        _log.info("recorded", notifications=len(notifications), repeated=len(notifications) - len(effects), **told)
        return [_recorded(effects.get(n)) for n in range(len(notifications))]

    def _apply(self, tx: Transaction, notifications: Sequence[Notification]) -> dict[int, list[Effect]]:
        """What each report came to, by the place of its notification; without those that were noted before."""
        fresh = feedback.mark_seen(tx, [(one.id, one.source) for one in notifications], now=self._clock())
        reports = [report for n in fresh for report in notifications[n].events]
        effects = iter(self._consequences.apply(tx, reports))
        return {n: [next(effects) for _ in notifications[n].events] for n in fresh}


def _recorded(effects: Sequence[Effect] | None) -> Recorded:
    if effects is None:
        return Recorded(repeated=True)
    return Recorded(
        applied=effects.count(Effect.APPLIED),
        known=effects.count(Effect.KNOWN),
        pending=effects.count(Effect.PENDING),
        ignored=effects.count(Effect.IGNORED),
    )
