"""VERB: feedback -> state. What a provider or a mail server says is taken in once, in any order, however often."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.consequence import Consequences, Effect
from service.feedback.report import Notification, Report
from service.store import seen
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
    kept: int = 0
    ignored: int = 0


class Recorder:
    """Takes in what every way of feedback says."""

    def __init__(self, database: Database, consequences: Consequences, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._consequences = consequences
        self._clock = clock

    def knows(self, notification_id: str, source: str) -> bool:
        """Whether this notification was recorded before."""
        return seen.is_known(self._database, notification_id, source)

    def record(self, notification_id: str, source: str, reports: Sequence[Report]) -> Recorded:
        """Has the effect of a notification, in one transaction, the first time that it comes.

        `notification_id` is its own name within `source` (sns, inbox ...). A notification without reports is noted too.
        Raises StoreBusy: nothing was stored, and it should come again.
        """
        return self.record_all([Notification(notification_id, source, reports)])[0]

    def record_all(self, notifications: Sequence[Notification]) -> list[Recorded]:
        """The same for several, all in one transaction: all of them or none."""
        recorded = self._database.write(lambda tx: self._record_all(tx, notifications))
        counts = Counter[str]()
        for one in recorded:
            counts += Counter(
                repeated=one.repeated, applied=one.applied, known=one.known, kept=one.kept, ignored=one.ignored
            )
        _log.info("recorded", notifications=len(notifications), **counts)
        return recorded

    def _record_all(self, tx: Transaction, notifications: Sequence[Notification]) -> list[Recorded]:
        fresh = seen.first_times(tx, [(one.id, one.source) for one in notifications], now=self._clock())
        reports = [report for n in fresh for report in notifications[n].reports]
        effects = iter(self._consequences.apply_all(tx, reports))
        recorded = [Recorded(repeated=True)] * len(notifications)
        for n in fresh:
            of_it = [next(effects) for _ in notifications[n].reports]
            recorded[n] = Recorded(
                applied=of_it.count(Effect.APPLIED),
                known=of_it.count(Effect.KNOWN),
                kept=of_it.count(Effect.KEPT),
                ignored=of_it.count(Effect.IGNORED),
            )
        return recorded
