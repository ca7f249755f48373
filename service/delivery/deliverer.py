"""Deliverer: starts a drain when messages are due, recovers lapsed leases and expires old messages."""

import threading
from datetime import datetime, timedelta

import structlog

from service.delivery.context import CLOCK_STEP_S, LEASE_S, WorkerContext
from service.delivery.dispatcher import Dispatcher
from service.store import leases
from service.store.database import Transaction

#: How often lapsed leases and expired messages are looked for.
RESCUE_EVERY_S = 5.0
#: How far back each of these searches applies pending feedback (events that came before their message was known).
PENDING_FEEDBACK_SINCE = timedelta(minutes=10)

_log = structlog.get_logger("deliver")


class Deliverer:
    """Sends due messages. One per process; drains one at a time."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._rescued_boot_s = float("-inf")
        self._has_applied_all_pending = False
        self._last_clocks: tuple[datetime, float] | None = None
        self._began_boot_s = context.boottime()
        self._rescue_not_before_s = self._began_boot_s

    def drain(self, stop: threading.Event, wake: threading.Event | None = None) -> int:
        """Send until nothing is due, the relay is paused, or `stop` is set; returns how many messages were claimed.

        `wake` tells that something new may be due. When `stop` is set, messages on the wire are finished, and claimed
        messages that were not begun are handed back.
        """
        self.rescue_and_expire()
        if self.context.transport.paused_for_s() > 0:
            return 0
        due_at = leases.next_due_at(self.context.database)
        if due_at is None or due_at > self.context.clock():
            return 0
        return Dispatcher(self.context, self.rescue_and_expire, stop, wake or threading.Event()).run()

    def rescue_and_expire(self) -> None:
        """Requeue messages whose lease lapsed, fail expired ones, apply pending feedback; every 5 s at most."""
        boot_s = self.context.boottime()
        self._check_clocks(boot_s)
        if boot_s < max(self._rescued_boot_s + RESCUE_EVERY_S, self._rescue_not_before_s):
            return
        self._rescued_boot_s = boot_s
        now = self.context.clock()
        # Every worker that lives has renewed since we began: what ends later was leased before the clock was set back.
        latest = now + timedelta(seconds=2 * LEASE_S) if boot_s - self._began_boot_s > LEASE_S else None
        # The first time all pending events are applied; an event that is missed later is a moment old.
        since = now - PENDING_FEEDBACK_SINCE if self._has_applied_all_pending else None

        def work(tx: Transaction) -> tuple[int, int]:
            self.context.feedback.sweep(tx, since=since)
            return leases.sweep(tx, now=now, latest=latest), leases.expire(tx, now)

        swept, expired = self.context.database.write(work)
        self._has_applied_all_pending = True
        self.context.metrics.rescued(swept=swept, expired=expired)

    def _check_clocks(self, boot_s: float) -> None:
        """Wait for one lease time after the wall clock was set.

        A clock set forward makes every lease look lapsed: the owners get the time to renew first. And nothing expires
        by a time that may be corrected in a moment.
        """
        now, last = self.context.clock(), self._last_clocks
        self._last_clocks = (now, boot_s)
        by_s = (now - last[0]).total_seconds() - (boot_s - last[1]) if last is not None else 0.0
        if abs(by_s) > CLOCK_STEP_S:
            _log.warning("clock_was_set", by_s=round(by_s, 1))
            self._rescue_not_before_s = boot_s + LEASE_S
