"""VERB: due rows -> outcomes.

The rows are the truth. A drain claims a little of what is due, under a lease, most urgent first; a few threads send
it, each on a connection of its own; what became of it is committed together with the next claim. A worker that dies
leaves leases behind, which the next sweep takes back.
"""

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

import structlog

from service import letter, settle
from service.consequence import Consequences
from service.delivery.outcome import OutcomeKind, Transport
from service.errors import ArchiveCorrupt, StoreBusy
from service.metrics import Metrics
from service.models import Claimed, Priority, Stream
from service.pace import Pace
from service.settle import Result
from service.store import archive, claims
from service.store.database import Database, Transaction

#: A lease outlives the slowest step between two renewals three times.
LEASE_S = 30
RENEW_EVERY_S = 10.0
#: How often a drain looks for leases that want renewing.
LOOK_EVERY_S = 1.0
#: How long the coordinator waits for something to commit or to claim; an urgent mail waits no longer than this.
CYCLE_S = 0.02
#: Outcomes that share a commit, unless the senders would wait for it.
COMMIT_AT = 50
#: A look for what dead workers left, and for what has waited too long.
TIDY_EVERY_S = 5.0
#: Such a look takes in reports that came before their message was known, as far back as this.
EARLY_SINCE = timedelta(minutes=10)
#: Bulk moves while urgent work keeps coming: one claim in so many begins at the other end.
FAIR_EVERY = 10
#: And takes no more than this: urgent mail waits behind it.
FAIR_CLAIM = 20
#: What was tried before moves while new mail keeps coming: one claim in so many takes up to FAIR_CLAIM of it first.
TRIED_EVERY = 4
#: A wall clock that moved so much more or less than the machine's own has been set, seconds.
_STEP_S = 1.0

_log = structlog.get_logger("deliver")


def boot_clock() -> float:
    """Seconds since the machine started, suspended time included: what a lease's age is measured with."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class _Held:
    """A claimed message in this process's hands, and when its lease was last renewed, by both clocks."""

    claimed: Claimed
    renewed_at: datetime
    renewed_boot_s: float
    rank: int

    @property
    def id(self) -> str:
        return self.claimed.message.id

    @property
    def is_fresh(self) -> bool:
        """Never tried: no feedback can have come, and nobody else can know of it."""
        return self.claimed.message.attempts == 0 and self.claimed.lapsed_leases == 0


class Deliverer:
    """Sends what is due. `owner` names this process in leases; at most `commit_at` outcomes share a commit."""

    def __init__(
        self,
        database: Database,
        transport: Transport,
        clock: Callable[[], datetime],
        owner: str,
        consequences: Consequences,
        metrics: Metrics,
        *,
        connections_max: int = 20,
        per_second_max: float | None = None,
        commit_at: int = COMMIT_AT,
        chance: random.Random | None = None,
        boot: Callable[[], float] = boot_clock,
    ) -> None:
        self.database = database
        self.transport = transport
        self.clock = clock
        self.owner = owner
        self.consequences = consequences
        self.metrics = metrics
        self.boot = boot
        self.chance = chance or random.SystemRandom()
        self.commit_at = commit_at
        self.headings = letter.Headings()
        self.unpackers = archive.Unpackers()
        self.pace = Pace(connections_max=connections_max, per_second_max=per_second_max)
        self._tidied_boot_s = float("-inf")
        self._has_swept_early = False
        self._last_clocks: tuple[datetime, float] | None = None
        self._began_boot_s = boot()
        self._tidy_not_before_s = self._began_boot_s

    def drain(self, stop: threading.Event, wake: threading.Event | None = None) -> int:
        """Send until nothing is due, the server is paused, or `stop` is set; how many messages were claimed.

        `wake` says that something new may be due. What is on the wire when `stop` is set ends; what was claimed and
        not begun is handed back.
        """
        self.tidy()
        if self.transport.paused_for_s() > 0:
            return 0
        due_at = claims.next_due_at(self.database)
        if due_at is None or due_at > self.clock():
            return 0
        return _Drain(self, stop, wake or threading.Event()).run()

    def claim_order(self, turn: int) -> Sequence[Priority]:
        """Urgent first, but for one claim in ten."""
        return tuple(reversed(Priority)) if self.is_fair(turn) else tuple(Priority)

    def is_fair(self, turn: int) -> bool:
        """Whether this claim begins at the other end."""
        return turn % FAIR_EVERY == FAIR_EVERY - 1

    def tried_first(self, turn: int) -> int:
        """How many of those that were tried before this claim may take before new ones."""
        return FAIR_CLAIM if turn % TRIED_EVERY == TRIED_EVERY - 2 else 0

    def tidy(self) -> None:
        """Take back what dead workers hold, and end what has waited too long."""
        boot_s = self.boot()
        self._look_at_clocks(boot_s)
        if boot_s < max(self._tidied_boot_s + TIDY_EVERY_S, self._tidy_not_before_s):
            return
        self._tidied_boot_s = boot_s
        now = self.clock()
        # Every worker that lives has renewed since we began: what ends later was leased before the clock was set back.
        latest = now + timedelta(seconds=2 * LEASE_S) if boot_s - self._began_boot_s > LEASE_S else None
        # At its first look a worker takes all reports; what comes later and is missed lies but a moment back.
        since = now - EARLY_SINCE if self._has_swept_early else None

        def work(tx: Transaction) -> tuple[int, int]:
            self.consequences.sweep(tx, since=since)
            return claims.sweep(tx, now=now, latest=latest), claims.expire(tx, now)

        swept, expired = self.database.write(work)
        self._has_swept_early = True
        self.metrics.tidied(swept=swept, expired=expired)

    def _look_at_clocks(self, boot_s: float) -> None:
        """Set forward, the clock makes every lease look lapsed: their owners first get the time to renew them.

        And nothing expires by a time that may be mended in a moment.
        """
        now, last = self.clock(), self._last_clocks
        self._last_clocks = (now, boot_s)
        by_s = (now - last[0]).total_seconds() - (boot_s - last[1]) if last is not None else 0.0
        if abs(by_s) > _STEP_S:
            _log.warning("clock_was_set", by_s=round(by_s, 1))
            self._tidy_not_before_s = boot_s + LEASE_S


class _Drain:
    """One drain: a coordinator that claims and commits, and threads that send."""

    def __init__(self, deliverer: Deliverer, stop: threading.Event, wake: threading.Event) -> None:
        self._of = deliverer
        self._stop = stop
        self._wake = wake
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # for the senders: there is something to send
        self._news = threading.Condition(self._lock)  # for the coordinator: something was sent
        self._ready: deque[_Held] = deque()
        self._held: dict[str, _Held] = {}
        self._lost: set[str] = set()
        self._unread: list[str] = []  # claimed, and then the database was away
        self._results: list[Result] = []
        self._ended = False
        self._threads: list[threading.Thread] = []
        self._allowed = deliverer.pace.connections  # so many of them may send
        self._turn = 0
        self._looked_boot_s = deliverer.boot()
        self._says_all = logging.getLogger("deliver").isEnabledFor(logging.DEBUG)

    def run(self) -> int:
        claimed, is_dry = 0, False
        try:
            while True:
                with suppress(StoreBusy):  # a drain may last for hours; what can't be tidied now can be in 5 s
                    self._of.tidy()
                is_ending = self._stop.is_set() or self._of.transport.paused_for_s() > 0
                woken, is_fair = self._wake.is_set(), self._of.is_fair(self._turn)
                claims_now = not is_ending and (woken or not is_dry)
                at_hand, boot_s = len(self._ready), self._of.boot()
                room = self._of.pace.room(at_hand, boot_s, is_urgent=woken) if claims_now else 0
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
        few = len(self._ready) * 2 < self._of.pace.ahead and bool(self._held)
        return len(self._results) >= self._of.commit_at or (few and bool(self._results)) or self._wake.is_set()

    def _commit_and_claim(self, room: int, *, hand_back: bool) -> list[str]:
        """One transaction: what became of the last ones, leases that want renewing, and the next claim."""
        with self._lock:
            results, self._results = self._results[: self._of.commit_at], self._results[self._of.commit_at :]
            back = list(self._ready) if hand_back else []
            if hand_back:
                self._ready.clear()
            boot_s, now = self._of.boot(), self._of.clock()
            looks = abs(boot_s - self._looked_boot_s) >= LOOK_EVERY_S
            held_now = list(self._held.values()) if looks else []
        old = [held for held in held_now if boot_s - held.renewed_boot_s >= RENEW_EVERY_S]
        self._looked_boot_s = boot_s if looks else self._looked_boot_s
        if not (results or back or old or self._unread or room > 0):
            return []
        back_ids = [held.id for held in back] + self._unread
        named = [result.outcome.provider_id for result in results if result.outcome.provider_id]
        owner, order, tried_first = self._of.owner, self._of.claim_order(self._turn), self._of.tried_first(self._turn)

        def work(tx: Transaction) -> tuple[set[str], list[str]]:
            settle.record_all(tx, results, owner=owner, chance=self._of.chance)
            self._of.consequences.apply_early(tx, named)
            for message_id in back_ids:
                claims.hand_back(tx, message_id, owner=owner)
            renewed = claims.renew(tx, [held.id for held in old], owner=owner, now=now, lease_s=LEASE_S)
            if room <= 0:
                return renewed, []
            return renewed, claims.claim(
                tx, owner=owner, now=now, lease_s=LEASE_S, limit=room, order=order, tried_first=tried_first
            )

        try:
            renewed, ids = self._of.database.write(work)
        except StoreBusy as error:
            # What was sent is known only to us: it is kept, and written as soon as the database takes it. Whether a
            # commit was done amid which the line broke is open: what was written is looked up, what was given back too.
            _log.warning("store_busy", waiting=len(results), reason=str(error))
            with self._lock:
                self._results[:0] = [replace(result, is_perhaps_known=True) for result in results]
                for held in back:
                    held.renewed_boot_s = float("-inf")
                self._ready.extendleft(reversed(back))
            time.sleep(CYCLE_S)
            return []
        self._unread = []
        self._turn += room > 0
        for held in old:
            if held.id in renewed:
                held.renewed_at, held.renewed_boot_s = now, boot_s
            else:
                self._lost.add(held.id)
        with self._lock:
            for message_id in [result.message.id for result in results] + back_ids:
                self._held.pop(message_id, None)
        self._of.pace.committed(len(results), self._of.boot())
        if results:
            counts = Counter(result.outcome.kind.value for result in results)
            self._of.metrics.tried(counts, retries=sum(result.message.attempts > 0 for result in results))
            _log.info("settled", **counts)
        return ids

    def _take_in(self, ids: Sequence[str], *, is_fair: bool) -> None:
        """Load what was claimed and put it where it belongs: a more urgent one goes before what is less."""
        if not ids:
            return
        now, boot_s = self._of.clock(), self._of.boot()
        try:
            loaded = claims.load_claimed(
                self._of.database, ids, on_corrupt=self._fail_corrupt, unpackers=self._of.unpackers
            )
        except StoreBusy as error:
            # The drain goes on: what is on the wire now must be written down later.
            _log.warning("store_busy", unread=len(ids), reason=str(error))
            self._unread += ids
            return
        fresh = [_Held(one, now, boot_s, 0 if is_fair else one.message.priority.rank) for one in loaded]
        with self._lock:
            self._held |= {held.id: held for held in fresh}
            for held in fresh:
                self._line_up(held)
            self._allowed = self._of.pace.connections
            self._work.notify_all()
            wanted = min(self._allowed, len(self._held))
        while len(self._threads) < wanted:
            number = len(self._threads)
            thread = threading.Thread(target=self._send_all, args=(number,), name=f"smtp-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _line_up(self, held: _Held) -> None:
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
                result = self._send(held)
            except Exception as error:
                # The row keeps its lease until it lapses, and is tried again then: nothing is lost.
                _log.error("delivery_broke", message=held.id, exc_info=error)
                result = None
            took_s = time.perf_counter() - began_s
            self._of.metrics.took(took_s)
            if not is_first:  # the first one also paid for the connection
                self._of.pace.took(took_s)
            is_first = False
            with self._lock:
                if result is None:
                    self._held.pop(held.id, None)
                else:
                    self._results.append(result)
                if self._has_news() or not self._ready:
                    self._news.notify()

    def _send(self, held: _Held) -> Result | None:
        message = held.claimed.message
        try:
            wire = letter.write(message, held.claimed.body, held.claimed.attachments, headings=self._of.headings)
        except ValueError as error:
            self._fail(message.id, f"It can't be written as a mail: {error}")
            return None
        began_at = self._of.clock()
        outcome = self._of.transport.deliver(
            message.envelope_from,
            message.recipient,
            wire,
            before_mail=lambda: self._is_still_ours(held),
            before_dot=(lambda: self._note_data(held)) if message.stream is Stream.MARKETING else None,
        )
        # What went well is in its timeline, and counted in the log; a line for each would cost a third of sending it.
        if outcome.kind is not OutcomeKind.SENT or self._says_all:
            say = _log.debug if outcome.kind is OutcomeKind.SENT else _log.info
            say("attempt", message=message.id, template=message.template_key, outcome=outcome.kind, code=outcome.code)
        return Result(message, outcome, began_at, self._of.clock())

    def _is_still_ours(self, held: _Held) -> bool:
        """Asked immediately before MAIL.

        The lease of a message that was never tried can only be lost by lapsing, and no feedback can have come: while
        it is young, and the clock was not set, the answer is known. In any other case the row itself is asked.
        """
        age_s = self._of.boot() - held.renewed_boot_s
        was_set = abs((self._of.clock() - held.renewed_at).total_seconds() - age_s) > _STEP_S
        if held.id in self._lost:
            return False
        if held.is_fresh and age_s < 2 * RENEW_EVERY_S and not was_set:
            return True
        now = self._of.clock()
        try:
            return held.id in self._of.database.write(
                lambda tx: claims.renew(tx, [held.id], owner=self._of.owner, now=now, lease_s=LEASE_S)
            )
        except StoreBusy as error:
            # Nobody can say: it is handed back untried, and comes again.
            _log.warning("store_busy", asked_for=held.id, reason=str(error))
            return False

    def _note_data(self, held: _Held) -> None:
        """For marketing a lost mail is better than a second one: the moment before the dot is committed first."""
        now = self._of.clock()
        self._of.database.write(lambda tx: claims.note_data_started(tx, held.id, owner=self._of.owner, now=now))

    def _fail_corrupt(self, message_id: str, error: ArchiveCorrupt) -> None:
        """What can't be read back as it was accepted must not be sent."""
        self._fail(message_id, str(error))

    def _fail(self, message_id: str, detail: str) -> None:
        _log.error("can_not_be_sent", message=message_id)
        now = self._of.clock()
        self._of.database.write(lambda tx: settle.fail(tx, message_id, detail, owner=self._of.owner, now=now))
