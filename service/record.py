"""VERB: feedback -> state. What a provider or a mail server says is taken in once, in any order, however often."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.consequence import Consequences, Effect
from service.feedback.report import Report
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

        def work(tx: Transaction) -> Recorded:
            if not seen.first_time(tx, notification_id, source, now=self._clock()):
                return Recorded(repeated=True)
            effects = Counter(self._consequences.apply(tx, report) for report in reports)
            return Recorded(
                applied=effects[Effect.APPLIED],
                known=effects[Effect.KNOWN],
                kept=effects[Effect.KEPT],
                ignored=effects[Effect.IGNORED],
            )

        recorded = self._database.write(work)
        _log.info(
            "repeated" if recorded.repeated else "recorded",
            source=source,
            applied=recorded.applied,
            known=recorded.known,
            kept=recorded.kept,
            ignored=recorded.ignored,
        )
        return recorded
