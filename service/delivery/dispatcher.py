"""Dispatcher: claims due messages, hands them to sender threads, and commits their outcomes."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

import structlog

from service.delivery import completer
from service.delivery.attempt import LeasedMessage, Sender
from service.delivery.completer import AttemptResult
from service.delivery.context import LEASE_S, RENEW_EVERY_S, WorkerContext
from service.delivery.fairness import FAIR_CLAIM, claim_order, is_fair_turn, tried_first_of
from service.errors import StoreBusy
from service.store import leases
from service.store.database import Transaction

#: How often the ages of held leases are checked.
RENEWAL_CHECK_EVERY_S = 1.0
#: How long the coordinator waits for something to commit or to claim; an urgent mail waits no longer than this.
CYCLE_S = 0.02
#: Claims of one transaction, where the environment holds back what was claimed.
_MOST_CLAIMS = 10

_log = structlog.get_logger("deliver")


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one transaction writes: `results` and messages that go back, leases to renew (`old`), `room` for a claim.

    `unread` are ids that were claimed and could not be loaded.
    """

    results: Sequence[AttemptResult]
    unsent: Sequence[LeasedMessage]
    unread: Sequence[str]
    old: Sequence[LeasedMessage]
    room: int
    now: datetime
    boot_s: float

    @property
    def returned_ids(self) -> list[str]:
        return [held.id for held in self.unsent] + list(self.unread)

    @property
    def is_empty(self) -> bool:
        return not (self.results or self.unsent or self.unread or self.old or self.room > 0)


class Dispatcher:
    """One drain: the calling thread claims and commits, threads of its own send.

    `rescue_and_expire` is called in each turn.
    """

    def __init__(
        self,
        context: WorkerContext,
        rescue_and_expire: Callable[[], None],
        stop: threading.Event,
        wake: threading.Event,
    ) -> None:
        self._context = context
        self._rescue_and_expire = rescue_and_expire
        self._sender = Sender(context)
        self._stop = stop
        self._wake = wake
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # wakes senders: a message is ready
        self._news = threading.Condition(self._lock)  # wakes the coordinator: outcomes to commit
        self._ready: deque[LeasedMessage] = deque()
        self._held: dict[str, LeasedMessage] = {}
        self._unread: list[str] = []  # claimed, then the database was unavailable
        self._results: list[AttemptResult] = []
        self._ended = False
        self._threads: list[threading.Thread] = []
        self._allowed = context.throttle.connections  # how many of the threads may send
        self._turn = 0
        self._has_more = False  # the environment held back so many that a claim did not reach the last one
        self._checked_boot_s = context.boottime()

    def run(self) -> int:
        """Deliver due messages until none is left, the worker stops or the relay is paused.

        Returns how many were claimed.
        """
        claimed, is_dry = 0, False
        try:
            while True:
                with suppress(StoreBusy):  # a drain may last for hours; the next turn tries again
                    self._rescue_and_expire()
                is_ending = self._stop.is_set() or self._context.transport.paused_for_s() > 0
                woken, is_fair = self._wake.is_set(), is_fair_turn(self._turn)
                claims_now = not is_ending and (woken or not is_dry)
                # Sent and not yet committed counts as at hand, else claims would outrun commits.
                at_hand, boot_s = len(self._ready) + len(self._results), self._context.boottime()
                room = self._context.throttle.room(at_hand, boot_s, is_urgent=woken) if claims_now else 0
                room = min(room, FAIR_CLAIM) if is_fair else room
                if woken and not (is_fair and room):  # a fair claim may miss the new urgent message: claim again
                    self._wake.clear()
                ids = self._commit_and_claim(room, hand_back=is_ending)
                claimed += len(ids)
                # After a claim that found too little, only a notification or the next drain claims again.
                is_dry = len(ids) < room and not self._has_more if room else is_dry
                self._load(ids, is_fair=is_fair)
                with self._lock:
                    if not (self._held or self._results or self._unread) and (is_dry or is_ending):
                        return claimed
                    self._news.wait_for(self._has_news, CYCLE_S)
        finally:
            with self._lock:
                self._ended = True
                self._work.notify_all()

    def _has_news(self) -> bool:
        few = len(self._ready) * 2 < self._context.throttle.ahead and bool(self._held)
        return len(self._results) >= self._context.commit_at or (few and bool(self._results)) or self._wake.is_set()

    def _commit_and_claim(self, room: int, *, hand_back: bool) -> list[str]:
        """Commit outcomes, renew leases and claim up to `room` messages in one transaction; returns the claimed ids."""
        batch = self._next_batch(room, hand_back=hand_back)
        if batch.is_empty:
            return []

        def work(tx: Transaction) -> tuple[set[str], list[str]]:
            self._commit(tx, batch)
            return self._renew(tx, batch), self._claim(tx, batch)

        try:
            renewed, claimed = self._context.database.write(work)
        except StoreBusy as error:
            _log.warning("store_busy", waiting=len(batch.results), reason=str(error))
            self._restore(batch)
            time.sleep(CYCLE_S)
            return []
        self._unread = []
        self._turn += room > 0
        self._note_renewed(batch, renewed)
        self._note_committed(batch)
        return claimed

    def _next_batch(self, room: int, *, hand_back: bool) -> _Batch:
        """Take from the shared state what the next transaction writes."""
        with self._lock:
            results, self._results = self._results[: self._context.commit_at], self._results[self._context.commit_at :]
            unsent = list(self._ready) if hand_back else []
            if hand_back:
                self._ready.clear()
            boot_s, now = self._context.boottime(), self._context.clock()
            checks = abs(boot_s - self._checked_boot_s) >= RENEWAL_CHECK_EVERY_S
            held = list(self._held.values()) if checks else []
        if checks:
            self._checked_boot_s = boot_s
        old = [one for one in held if boot_s - one.renewed_boottime_s >= RENEW_EVERY_S]
        return _Batch(results, unsent, tuple(self._unread), old, room, now, boot_s)

    def _commit(self, tx: Transaction, batch: _Batch) -> None:
        """Record outcomes, with the feedback that waited for their provider ids, and hand back what is not sent."""
        completer.record_all(tx, batch.results, owner=self._context.owner, rng=self._context.rng)
        named = [result.outcome.provider_id for result in batch.results if result.outcome.provider_id]
        self._context.feedback.apply_pending(tx, named)
        for message_id in batch.returned_ids:
            leases.hand_back(tx, message_id, owner=self._context.owner)

    def _renew(self, tx: Transaction, batch: _Batch) -> set[str]:
        ids = [held.id for held in batch.old]
        return leases.renew(tx, ids, owner=self._context.owner, now=batch.now, lease_s=LEASE_S)

    def _claim(self, tx: Transaction, batch: _Batch) -> list[str]:
        claimed: list[str] = []
        for _ in range(_MOST_CLAIMS):
            ids = leases.claim(
                tx,
                owner=self._context.owner,
                now=batch.now,
                lease_s=LEASE_S,
                limit=batch.room - len(claimed),
                order=claim_order(self._turn),
                tried_first=tried_first_of(self._turn),
            )
            kept = self._permitted(tx, ids, batch.now)
            claimed += kept
            self._has_more = len(kept) < len(ids) and len(claimed) < batch.room
            if not self._has_more:
                break
        return claimed

    def _permitted(self, tx: Transaction, ids: list[str], now: datetime) -> list[str]:
        """The claimed messages that the environment lets go, redirected where it says so."""
        rule, owner = self._context.rule, self._context.owner
        if rule.is_everyone or not ids:
            return ids
        held_back = rule.refusal(self._context.environment)
        return leases.apply_rule(tx, ids, rule.destination, held_back=held_back, owner=owner, now=now)

    def _restore(self, batch: _Batch) -> None:
        """Keep a batch whose transaction failed for the next one.

        Only this process knows what was sent. A connection that broke amid COMMIT leaves open whether it was done: the
        next commit looks up what was written, and a message that was handed back is renewed before it is sent.
        """
        with self._lock:
            self._results[:0] = [replace(result, is_perhaps_known=True) for result in batch.results]
            for held in batch.unsent:
                held.renewed_boottime_s = float("-inf")
            self._ready.extendleft(reversed(batch.unsent))

    def _note_renewed(self, batch: _Batch, renewed: Collection[str]) -> None:
        for held in batch.old:
            if held.id in renewed:
                held.renewed_at, held.renewed_boottime_s = batch.now, batch.boot_s
            else:
                held.is_lost = True

    def _note_committed(self, batch: _Batch) -> None:
        results = batch.results
        with self._lock:
            for message_id in [result.message.id for result in results] + batch.returned_ids:
                self._held.pop(message_id, None)
        self._context.throttle.observe_commit(len(results), self._context.boottime())
        if results:
            counts = Counter(result.outcome.kind.value for result in results)
            self._context.metrics.tried(counts, retries=sum(result.message.attempts > 0 for result in results))
            _log.info("settled", **counts)

    def _load(self, ids: Sequence[str], *, is_fair: bool) -> None:
        """Load claimed messages, queue them for the senders, and start as many senders as they want."""
        if not ids:
            return
        now, boot_s = self._context.clock(), self._context.boottime()
        try:
            loaded = leases.load_claimed(
                self._context.database, ids, on_corrupt=self._sender.fail_corrupt, unpackers=self._context.unpackers
            )
        except StoreBusy as error:
            # The drain goes on: messages on the wire must still be committed.
            _log.warning("store_busy", unread=len(ids), reason=str(error))
            self._unread += ids
            return
        fresh = [LeasedMessage(one, now, boot_s, 0 if is_fair else one.message.priority.rank) for one in loaded]
        with self._lock:
            self._held |= {held.id: held for held in fresh}
            for held in fresh:
                self._insert_by_rank(held)
            self._allowed = self._context.throttle.connections
            self._work.notify_all()
            wanted = min(self._allowed, len(self._held))
        while len(self._threads) < wanted:
            number = len(self._threads)
            thread = threading.Thread(target=self._send_all, args=(number,), name=f"smtp-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _insert_by_rank(self, held: LeasedMessage) -> None:
        """Insert behind messages of the same rank. Messages of a fair claim have rank 0 and keep their place."""
        ready = self._ready
        if not ready or ready[-1].rank <= held.rank:
            ready.append(held)
        else:
            ready.insert(sum(1 for _ in takewhile(lambda other: other.rank <= held.rank, ready)), held)

    def _send_all(self, number: int) -> None:
        """Send ready messages until the drain ends. Runs in a daemon thread: a hanging server must not block exit."""
        is_first = True
        while True:
            with self._lock:
                # When sending has become fast, surplus threads rest: more than keep the core busy slow each other.
                while not self._ended and not (self._ready and number < self._allowed):
                    self._work.wait()
                if not self._ready:
                    return
                held = self._ready.popleft()
            began_s = time.perf_counter()
            try:
                result = self._sender.send(held)
            except Exception as error:
                # The message keeps its lease until it lapses, and is tried again then: nothing is lost.
                _log.error("delivery_broke", message=held.id, exc_info=error)
                result = None
            took_s = time.perf_counter() - began_s
            self._context.metrics.observe_send(took_s)
            if not is_first:  # the first send also opened the connection
                self._context.throttle.observe_send(took_s)
            is_first = False
            with self._lock:
                if result is None:
                    self._held.pop(held.id, None)
                else:
                    self._results.append(result)
                if self._has_news() or not self._ready:
                    self._news.notify()
