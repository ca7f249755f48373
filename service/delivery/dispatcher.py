"""One drain: a coordinator that claims and commits, and threads that send."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

import structlog

from service.delivery import completer
from service.delivery.attempt import LeasedMessage, Sender
from service.delivery.completer import AttemptResult
from service.delivery.context import LEASE_S, RENEW_EVERY_S, WorkerContext
from service.errors import StoreBusy
from service.models import Priority
from service.store import leases
from service.store.database import Transaction

#: How often a drain looks for leases that want renewing.
LOOK_EVERY_S = 1.0
#: How long the coordinator waits for something to commit or to claim; an urgent mail waits no longer than this.
CYCLE_S = 0.02
#: Bulk moves while urgent work keeps coming: one claim in so many begins at the other end.
FAIR_EVERY = 10
#: And takes no more than this: urgent mail waits behind it.
FAIR_CLAIM = 20
#: What was tried before moves while new mail keeps coming: one claim in so many takes up to FAIR_CLAIM of it first.
TRIED_EVERY = 4

_log = structlog.get_logger("deliver")


def is_fair_turn(turn: int) -> bool:
    """Whether this claim begins at the other end."""
    return turn % FAIR_EVERY == FAIR_EVERY - 1


def claim_order(turn: int) -> Sequence[Priority]:
    """Urgent first, but for one claim in ten."""
    return tuple(reversed(Priority)) if is_fair_turn(turn) else tuple(Priority)


def tried_first_of(turn: int) -> int:
    """How many of those that were tried before this claim may take before new ones."""
    return FAIR_CLAIM if turn % TRIED_EVERY == TRIED_EVERY - 2 else 0


class Dispatcher:
    """One drain: a coordinator that claims and commits, and threads that send. `tidy` is called every now and then."""

    def __init__(
        self, means: WorkerContext, tidy: Callable[[], None], stop: threading.Event, wake: threading.Event
    ) -> None:
        self._means = means
        self._tidy = tidy
        self._sender = Sender(means)
        self._stop = stop
        self._wake = wake
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # for the senders: there is something to send
        self._news = threading.Condition(self._lock)  # for the coordinator: something was sent
        self._ready: deque[LeasedMessage] = deque()
        self._held: dict[str, LeasedMessage] = {}
        self._unread: list[str] = []  # claimed, and then the database was away
        self._results: list[AttemptResult] = []
        self._ended = False
        self._threads: list[threading.Thread] = []
        self._allowed = means.throttle.connections  # so many of them may send
        self._turn = 0
        self._looked_boot_s = means.boottime()

    def run(self) -> int:
        """Deliver due messages until none is left, the worker stops or the relay is paused.

        Returns how many were claimed.
        """
        claimed, is_dry = 0, False
        try:
            while True:
                with suppress(StoreBusy):  # a drain may last for hours; what can't be tidied now can be in 5 s
                    self._tidy()
                is_ending = self._stop.is_set() or self._means.transport.paused_for_s() > 0
                woken, is_fair = self._wake.is_set(), is_fair_turn(self._turn)
                claims_now = not is_ending and (woken or not is_dry)
                # What was sent and is not written yet is at hand as well: else more is claimed than is ever written.
                at_hand, boot_s = len(self._ready) + len(self._results), self._means.boottime()
                room = self._means.throttle.room(at_hand, boot_s, is_urgent=woken) if claims_now else 0
                room = min(room, FAIR_CLAIM) if is_fair else room
                if woken and not (is_fair and room):  # what is new is looked for from the urgent end
                    self._wake.clear()
                ids = self._commit_and_claim(room, hand_back=is_ending)
                claimed += len(ids)
                # A dry queue is looked at again when a ring says so, or by the next drain.
                is_dry = len(ids) < room if room else is_dry
                self._take_in(ids, is_fair=is_fair)
                with self._lock:
                    if not (self._held or self._results or self._unread) and (is_dry or is_ending):
                        return claimed
                    self._news.wait_for(self._has_news, CYCLE_S)
        finally:
            with self._lock:
                self._ended = True
                self._work.notify_all()

    def _has_news(self) -> bool:
        few = len(self._ready) * 2 < self._means.throttle.ahead and bool(self._held)
        return len(self._results) >= self._means.commit_at or (few and bool(self._results)) or self._wake.is_set()

    def _commit_and_claim(self, room: int, *, hand_back: bool) -> list[str]:
        """One transaction: what became of the last ones, leases that want renewing, and the next claim."""
        with self._lock:
            results, self._results = self._results[: self._means.commit_at], self._results[self._means.commit_at :]
            back = list(self._ready) if hand_back else []
            if hand_back:
                self._ready.clear()
            boot_s, now = self._means.boottime(), self._means.clock()
            looks = abs(boot_s - self._looked_boot_s) >= LOOK_EVERY_S
            held_now = list(self._held.values()) if looks else []
        old = [held for held in held_now if boot_s - held.renewed_boottime_s >= RENEW_EVERY_S]
        self._looked_boot_s = boot_s if looks else self._looked_boot_s
        if not (results or back or old or self._unread or room > 0):
            return []
        back_ids = [held.id for held in back] + self._unread
        named = [result.outcome.provider_id for result in results if result.outcome.provider_id]
        owner, order, tried_first = self._means.owner, claim_order(self._turn), tried_first_of(self._turn)

        def work(tx: Transaction) -> tuple[set[str], list[str]]:
            completer.record_all(tx, results, owner=owner, rng=self._means.rng)
            self._means.feedback.apply_pending(tx, named)
            for message_id in back_ids:
                leases.hand_back(tx, message_id, owner=owner)
            renewed = leases.renew(tx, [held.id for held in old], owner=owner, now=now, lease_s=LEASE_S)
            if room <= 0:
                return renewed, []
            return renewed, leases.claim(
                tx, owner=owner, now=now, lease_s=LEASE_S, limit=room, order=order, tried_first=tried_first
            )

        try:
            renewed, ids = self._means.database.write(work)
        except StoreBusy as error:
            # What was sent is known only to us: it is kept, and written as soon as the database takes it. Whether a
            # commit was done amid which the line broke is open: what was written is looked up, what was given back too.
            _log.warning("store_busy", waiting=len(results), reason=str(error))
            with self._lock:
                self._results[:0] = [replace(result, is_perhaps_known=True) for result in results]
                for held in back:
                    held.renewed_boottime_s = float("-inf")
                self._ready.extendleft(reversed(back))
            time.sleep(CYCLE_S)
            return []
        self._unread = []
        self._turn += room > 0
        for held in old:
            if held.id in renewed:
                held.renewed_at, held.renewed_boottime_s = now, boot_s
            else:
                held.is_lost = True
        with self._lock:
            for message_id in [result.message.id for result in results] + back_ids:
                self._held.pop(message_id, None)
        self._means.throttle.observe_commit(len(results), self._means.boottime())
        if results:
            counts = Counter(result.outcome.kind.value for result in results)
            self._means.metrics.tried(counts, retries=sum(result.message.attempts > 0 for result in results))
            _log.info("settled", **counts)
        return ids

    def _take_in(self, ids: Sequence[str], *, is_fair: bool) -> None:
        """Load what was claimed and put it where it belongs: a more urgent one goes before what is less."""
        if not ids:
            return
        now, boot_s = self._means.clock(), self._means.boottime()
        try:
            loaded = leases.load_claimed(
                self._means.database, ids, on_corrupt=self._sender.fail_corrupt, unpackers=self._means.unpackers
            )
        except StoreBusy as error:
            # The drain goes on: what is on the wire now must be written down later.
            _log.warning("store_busy", unread=len(ids), reason=str(error))
            self._unread += ids
            return
        fresh = [LeasedMessage(one, now, boot_s, 0 if is_fair else one.message.priority.rank) for one in loaded]
        with self._lock:
            self._held |= {held.id: held for held in fresh}
            for held in fresh:
                self._line_up(held)
            self._allowed = self._means.throttle.connections
            self._work.notify_all()
            wanted = min(self._allowed, len(self._held))
        while len(self._threads) < wanted:
            number = len(self._threads)
            thread = threading.Thread(target=self._send_all, args=(number,), name=f"smtp-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _line_up(self, held: LeasedMessage) -> None:
        """Behind what is as urgent, before what is less; a fair one has waited for its turn, and keeps it."""
        ready = self._ready
        if not ready or ready[-1].rank <= held.rank:
            ready.append(held)
        else:
            ready.insert(sum(1 for _ in takewhile(lambda other: other.rank <= held.rank, ready)), held)

    def _send_all(self, number: int) -> None:
        """A sender's life. A daemon: a server that never answers must not keep a process from ending."""
        is_first = True
        while True:
            with self._lock:
                # On a line that has become fast the last ones rest: more than keep it busy are in each other's way.
                while not self._ended and not (self._ready and number < self._allowed):
                    self._work.wait()
                if not self._ready:
                    return
                held = self._ready.popleft()
            began_s = time.perf_counter()
            try:
                result = self._sender.send(held)
            except Exception as error:
                # The row keeps its lease until it lapses, and is tried again then: nothing is lost.
                _log.error("delivery_broke", message=held.id, exc_info=error)
                result = None
            took_s = time.perf_counter() - began_s
            self._means.metrics.observe_send(took_s)
            if not is_first:  # the first one also paid for the connection
                self._means.throttle.observe_send(took_s)
            is_first = False
            with self._lock:
                if result is None:
                    self._held.pop(held.id, None)
                else:
                    self._results.append(result)
                if self._has_news() or not self._ready:
                    self._news.notify()
