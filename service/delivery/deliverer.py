"""Drains what is due when it is told to, and tidies up what dead workers and old mail leave behind."""

import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from service.delivery.context import CLOCK_STEP_S, COMMIT_AT, LEASE_S, WorkerContext, boottime_s
from service.delivery.dispatcher import Dispatcher
from service.delivery.outcome import Transport
from service.delivery.throttle import Throttle
from service.feedback.apply import FeedbackApplier
from service.monitoring.metrics import Metrics
from service.store import leases
from service.store.database import Database, Transaction

#: A look for what dead workers left, and for what has waited too long.
RESCUE_EVERY_S = 5.0
#: Such a look takes in reports that came before their message was known, as far back as this.
PENDING_FEEDBACK_SINCE = timedelta(minutes=10)

_log = structlog.get_logger("deliver")


class Deliverer:
    """Sends what is due. `owner` names this process in leases; at most `commit_at` outcomes share a commit."""

    def __init__(
        self,
        database: Database,
        transport: Transport,
        clock: Callable[[], datetime],
        owner: str,
        feedback: FeedbackApplier,
        metrics: Metrics,
        *,
        connections_max: int = 20,
        per_second_max: float | None = None,
        commit_at: int = COMMIT_AT,
        rng: random.Random | None = None,
        boottime: Callable[[], float] = boottime_s,
    ) -> None:
        self.means = WorkerContext(
            database,
            transport,
            clock,
            boottime,
            owner,
            feedback,
            metrics,
            Throttle(connections_max=connections_max, per_second_max=per_second_max),
            commit_at,
            rng or random.SystemRandom(),
        )
        self._tidied_boot_s = float("-inf")
        self._has_swept_early = False
        self._last_clocks: tuple[datetime, float] | None = None
        self._began_boot_s = boottime()
        self._tidy_not_before_s = self._began_boot_s

    def drain(self, stop: threading.Event, wake: threading.Event | None = None) -> int:
        """Send until nothing is due, the server is paused, or `stop` is set; how many messages were claimed.

        `wake` says that something new may be due. What is on the wire when `stop` is set ends; what was claimed and
        not begun is handed back.
        """
        self.rescue_and_expire()
        if self.means.transport.paused_for_s() > 0:
            return 0
        due_at = leases.next_due_at(self.means.database)
        if due_at is None or due_at > self.means.clock():
            return 0
        return Dispatcher(self.means, self.rescue_and_expire, stop, wake or threading.Event()).run()

    def rescue_and_expire(self) -> None:
        """Take back what dead workers hold, and end what has waited too long."""
        boot_s = self.means.boottime()
        self._look_at_clocks(boot_s)
        if boot_s < max(self._tidied_boot_s + RESCUE_EVERY_S, self._tidy_not_before_s):
            return
        self._tidied_boot_s = boot_s
        now = self.means.clock()
        # Every worker that lives has renewed since we began: what ends later was leased before the clock was set back.
        latest = now + timedelta(seconds=2 * LEASE_S) if boot_s - self._began_boot_s > LEASE_S else None
        # At its first look a worker takes all reports; what comes later and is missed lies but a moment back.
        since = now - PENDING_FEEDBACK_SINCE if self._has_swept_early else None

        def work(tx: Transaction) -> tuple[int, int]:
            self.means.feedback.sweep(tx, since=since)
            return leases.sweep(tx, now=now, latest=latest), leases.expire(tx, now)

        swept, expired = self.means.database.write(work)
        self._has_swept_early = True
        self.means.metrics.rescued(swept=swept, expired=expired)

    def _look_at_clocks(self, boot_s: float) -> None:
        """Set forward, the clock makes every lease look lapsed: their owners first get the time to renew them.

        And nothing expires by a time that may be mended in a moment.
        """
        now, last = self.means.clock(), self._last_clocks
        self._last_clocks = (now, boot_s)
        by_s = (now - last[0]).total_seconds() - (boot_s - last[1]) if last is not None else 0.0
        if abs(by_s) > CLOCK_STEP_S:
            _log.warning("clock_was_set", by_s=round(by_s, 1))
            self._tidy_not_before_s = boot_s + LEASE_S
