"""Record notifications of feedback: each once, however often it is repeated, in one transaction with its effects."""

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
    """Effects of a notification, as counts of its events; a repeated notification has none.

    `known` came before in another notification; `pending` waits until its message is known; `ignored` is about no
    message of ours.
    """

    repeated: bool = False
    applied: int = 0
    known: int = 0
    pending: int = 0
    ignored: int = 0


class FeedbackRecorder:
    """Records the feedback of every source (webhook, bounce mailbox)."""

    def __init__(
        self, database: Database, applier: FeedbackApplier, clock: Callable[[], datetime], metrics: Metrics
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._applier = applier
        self._clock = clock

    def exists(self, notification_id: str, source: str) -> bool:
        """True if this notification was recorded before."""
        return feedback.is_seen(self._database, notification_id, source)

    def record(self, notification_id: str, source: str, events: Sequence[FeedbackEvent]) -> Recorded:
        """Apply a notification in one transaction, the first time that it comes.

        `notification_id` is its own id within `source` (sns, inbox ...). A notification without events is noted too.
        Raises StoreBusy: nothing was stored, and it should come again.
        """
        return self.record_all([Notification(notification_id, source, events)])[0]

    def record_all(self, notifications: Sequence[Notification]) -> list[Recorded]:
        """Apply several notifications in one transaction: all of them or none. Raises StoreBusy."""
        effects = self._database.write(lambda tx: self._apply(tx, notifications))
        counts = Counter[tuple[str, str]]()
        for n, its_effects in effects.items():
            counts.update(
                (event.kind, effect) for event, effect in zip(notifications[n].events, its_effects, strict=True)
            )
        self._metrics.reported(counts)
        totals = Counter(effect.value for its_effects in effects.values() for effect in its_effects)
        _log.info("recorded", notifications=len(notifications), repeated=len(notifications) - len(effects), **totals)
        return [_recorded(effects.get(n)) for n in range(len(notifications))]

    def _apply(self, tx: Transaction, notifications: Sequence[Notification]) -> dict[int, list[Effect]]:
        """Effects of each event by the index of its notification, without notifications that were recorded before."""
        fresh = feedback.mark_seen(tx, [(one.id, one.source) for one in notifications], now=self._clock())
        events = [event for n in fresh for event in notifications[n].events]
        effects = iter(self._applier.apply(tx, events))
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
