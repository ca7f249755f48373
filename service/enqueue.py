"""Checked copies of a mail -> durable rows, with suppressions and limits decided in the same transaction.

Stands between the rooms and the verbs: accepting and resending end the same way. The requests that wait at a moment
share one transaction, and one statement for each table: a turn of the database costs more than a row.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from queue import Empty, SimpleQueue
from time import sleep
from typing import cast

from service.errors import StoreBusy
from service.models import NewMessage, Send, Status, Stream
from service.settings import Rate, Settings
from service.store import archive, limits, messages
from service.store.archive import PackedBody, Packer, PlainBody, Revision
from service.store.database import Database, Transaction
from service.store.limits import Suppression

#: Sends that may wait for their commit, at 2,000 a second half a second of waiting. More are told to come again.
MAX_WAITING = 1_000
#: One transaction takes no more copies than this, so that other processes get their turn.
_MAX_COPIES = 256
#: Where requests come at once, as the last transaction shows, the next one waits so long for more: each takes the
#: interpreter from those who render, and a busy process would make one for every few mails.
_LINGER_S = 0.005
_MAX_PACKERS = 100


@dataclass(frozen=True, slots=True)
class Parcel:
    """A send that is ready to be written. Its copies share body and attachments, and there is at least one."""

    send: Send
    copies: Sequence[NewMessage]
    revision: Revision


class _Waiting:
    """A parcel, its body, and the place where its answer is waited for: in a thread, or in a `loop`."""

    __slots__ = ("answer", "body", "loop", "parcel")

    def __init__(self, parcel: Parcel, loop: asyncio.AbstractEventLoop | None) -> None:
        first = parcel.copies[0]
        self.parcel = parcel
        self.body = PlainBody.of(first.html, first.text)
        self.loop = loop
        self.answer: _Answer = Future() if loop is None else loop.create_future()


_Answer = Future[list[NewMessage]] | asyncio.Future[list[NewMessage]]
_Told = tuple[_Waiting, list[NewMessage] | Exception]


class Intake:
    """Writes what is put into it, from a thread of its own, all that waits in one transaction. `ring` wakes workers."""

    def __init__(
        self, database: Database, settings: Settings, ring: Callable[[], None], *, max_waiting: int = MAX_WAITING
    ) -> None:
        self._database = database
        self._settings = settings
        self._max_waiting = max_waiting
        self._packer = lru_cache(_MAX_PACKERS)(Packer)
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._bell = _Bell(ring)
        self._was_shared = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def write(self, parcel: Parcel) -> list[NewMessage]:
        """The copies as they were decided, once they are durable; workers are woken then.

        A copy for a suppressed recipient, or over a limit, is stored with that status. Attachments must be there: they
        have a transaction of their own, before.

        Raises IdempotencyTaken where the send's key is in use, StoreBusy where nothing was stored, also because too
        much waits; ValueError for lone surrogates.
        """
        return cast("Future[list[NewMessage]]", self._put(parcel, None)).result()

    async def written(self, parcel: Parcel) -> list[NewMessage]:
        """The same for an event loop, which goes on meanwhile."""
        return await cast("asyncio.Future[list[NewMessage]]", self._put(parcel, asyncio.get_running_loop()))

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._queue.put(None)
        self._thread.join()
        self._bell.close()

    def _put(self, parcel: Parcel, loop: asyncio.AbstractEventLoop | None) -> _Answer:
        if self._queue.qsize() >= self._max_waiting:
            raise StoreBusy("Too many requests wait to be stored.")
        waiting = _Waiting(parcel, loop)
        self._queue.put(waiting)
        return waiting.answer

    def _run(self) -> None:
        while batch := self._next():
            try:
                told = self._write(batch)
            except StoreBusy as error:
                # Who came meanwhile has waited for the same database: nobody waits for two time-outs.
                told = [(waiting, _anew(error)) for waiting in [*batch, *self._drained()]]
            except Exception as error:
                told = [(batch[0], error)] if len(batch) == 1 else self._write_each(batch)
            _tell(told)

    def _next(self) -> list[_Waiting]:
        """All that wait, at least one; [] at the end."""
        first = self._queue.get()
        if first is None:
            return []
        if self._was_shared:
            sleep(_LINGER_S)
        batch, copies = [first], len(first.parcel.copies)
        for waiting in self._drained():
            batch.append(waiting)
            copies += len(waiting.parcel.copies)
            if copies >= _MAX_COPIES:
                break
        self._was_shared = len(batch) > 1
        return batch

    def _drained(self) -> Iterator[_Waiting]:
        while True:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                return
            if waiting is None:
                self._queue.put(None)
                return
            yield waiting

    def _write(self, batch: Sequence[_Waiting]) -> list[_Told]:
        parcels = list(zip([one.parcel for one in batch], self._packed(batch), strict=True))
        stored = self._database.write(lambda tx: _store(tx, parcels, self._settings))
        self._bell.ring()
        return [(one, stored.get(one.parcel.send.id) or messages.taken()) for one in batch]

    def _write_each(self, batch: Sequence[_Waiting]) -> list[_Told]:
        """One of them can't be stored, and took the others with it: each by itself, so that it is told which."""
        told: list[_Told] = []
        for waiting in batch:
            try:
                told += self._write([waiting])
            except Exception as error:
                told.append((waiting, error))
        return told

    def _packed(self, batch: Sequence[_Waiting]) -> list[PackedBody]:
        by_dictionary: dict[bytes | None, list[int]] = defaultdict(list)
        for n, waiting in enumerate(batch):
            by_dictionary[waiting.parcel.revision.dictionary].append(n)
        packed: dict[int, PackedBody] = {}
        for dictionary, places in by_dictionary.items():
            packed |= zip(places, self._packer(dictionary).pack_all([batch[n].body for n in places]), strict=True)
        return [packed[n] for n in range(len(batch))]


def _tell(told: Sequence[_Told]) -> None:
    """Everybody's answer; a loop is woken once for all of its own."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[_Told]] = defaultdict(list)
    for one in told:
        by_loop[one[0].loop].append(one)
    for loop, of_loop in by_loop.items():
        if loop is None:
            _answer(of_loop)
        else:
            with suppress(RuntimeError):  # the loop has been closed: nobody listens any more
                loop.call_soon_threadsafe(_answer, of_loop)


def _answer(told: Sequence[_Told]) -> None:
    for waiting, value in told:
        if waiting.answer.cancelled():  # who asked has gone; what is stored stays
            continue
        if isinstance(value, Exception):
            waiting.answer.set_exception(value)
        else:
            waiting.answer.set_result(value)


class _Bell:
    """Rings from a thread of its own: a queue that hangs must not keep answers back. Rings coalesce."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._pulled = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        self._pulled.set()

    def close(self) -> None:
        """Rings a last time where that is due."""
        self._is_closed = True
        self._pulled.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._pulled.wait()
            self._pulled.clear()
            ends = self._is_closed
            self._ring()
            if ends:
                return


def _store(
    tx: Transaction, parcels: Sequence[tuple[Parcel, PackedBody]], settings: Settings
) -> dict[str, list[NewMessage]]:
    """The copies by the id of their send, as they were decided; without those whose idempotency key is taken."""
    taken = messages.add_sends(tx, [parcel.send for parcel, _ in parcels])
    fresh = [(parcel, body) for parcel, body in parcels if parcel.send.id not in taken]
    for revision in {parcel.revision.revision: parcel.revision for parcel, _ in fresh}.values():
        archive.save_revision(tx, revision)
    copies = [copy for parcel, _ in fresh for copy in parcel.copies]
    suppressed = {
        stream: limits.find(tx, {copy.recipient_hash for copy in copies if copy.stream is stream}, stream)
        for stream in {copy.stream for copy in copies}
    }
    # Slots are claimed in the order of the hashes, so that two transactions never wait for each other.
    in_order = sorted(copies, key=lambda copy: copy.recipient_hash)
    decided = {copy.id: _decide(tx, copy, suppressed[copy.stream], settings) for copy in in_order}
    stored = {parcel.send.id: [decided[copy.id] for copy in parcel.copies] for parcel, _ in fresh}
    messages.add_messages(
        tx, [(parcel.send, [(copy, body) for copy in stored[parcel.send.id]]) for parcel, body in fresh]
    )
    return stored


def _anew(error: StoreBusy) -> StoreBusy:
    """What stopped all of them, anew for each: an exception belongs to one thread."""
    told = StoreBusy(*error.args)
    told.__cause__ = error
    return told


def _decide(tx: Transaction, copy: NewMessage, suppressed: Mapping[str, Suppression], settings: Settings) -> NewMessage:
    if found := suppressed.get(copy.recipient_hash):
        reason = f"Suppressed since {found.since:%Y-%m-%d}: {found.reason}."
        return replace(copy, status=Status.SUPPRESSED, status_reason=reason)
    rate = _rate(copy, settings)
    if rate.count is None:
        return copy
    start = period_start(copy.next_attempt_at, rate, settings)
    if limits.claim_slot(tx, copy.recipient_hash, start, rate.count, copy.id, stream=copy.stream):
        return copy
    return replace(copy, status=Status.RATE_LIMITED, status_reason=f"Over the limit of {rate}.")


def _rate(copy: NewMessage, settings: Settings) -> Rate:
    if copy.is_test:
        return Rate(count=None)
    marketing = copy.stream is Stream.MARKETING
    return settings.email_rate_limit_marketing if marketing else settings.email_rate_limit_transactional


def period_start(at: datetime, rate: Rate, settings: Settings) -> datetime:
    """When the period of a limit that holds `at` began: an hour, calendar day or ISO week in EMAIL_TIMEZONE; UTC."""
    local = at.astimezone(settings.timezone)
    if rate.period == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    day = local.date() - timedelta(days=local.weekday() if rate.period == "week" else 0)
    return datetime.combine(day, time(), settings.timezone).astimezone(UTC)
