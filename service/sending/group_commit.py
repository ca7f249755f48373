"""Who waits, who shares a transaction, and who is told what: one thread writes for all of them."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import cast

from service.config.settings import Settings
from service.errors import StoreBusy
from service.models import NewMessage
from service.monitoring.metrics import Metrics
from service.sending.insert import store
from service.sending.notifier import WorkerNotifier
from service.sending.prepared_send import PreparedSend
from service.store import messages
from service.store.body_codec import PackedBody, Packer, PlainBody
from service.store.database import Database

#: Mails that may wait for their commit, at 5,000 a second one second of waiting. While so many do, who comes is told to
#: come again; a batch may overshoot it by its own length.
MAX_WAITING = 5_000
#: One transaction takes no more copies than this, so that other processes get their turn.
_MAX_COPIES = 256
#: Where requests come at once, as the last transaction shows, the next one waits so long for more: each takes the
#: interpreter from those who render, and a busy process would make one for every few mails.
_LINGER_S = 0.005
_MAX_PACKERS = 100
#: A database that took so long to refuse is held by somebody: it would keep the next one waiting as long.
_LONG_S = 0.1
_KEY_TAKEN = "This idempotency key has been used in the last 24 hours."


class _Waiting:
    """A parcel, and the place where its answer is waited for: in a thread, or in a `loop`."""

    __slots__ = ("answer", "loop", "parcel", "size")

    def __init__(self, parcel: PreparedSend, loop: asyncio.AbstractEventLoop | None) -> None:
        self.parcel = parcel
        self.size = parcel.size
        self.loop = loop
        self.answer: _Answer = Future() if loop is None else loop.create_future()


_Answer = Future[list[NewMessage]] | asyncio.Future[list[NewMessage]]
_Told = tuple[_Waiting, list[NewMessage] | Exception]


class GroupCommit:
    """Writes what is put into it, from a thread of its own, all that waits in one transaction. `ring` wakes workers."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        ring: Callable[[], None],
        metrics: Metrics,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._settings = settings
        self._max_waiting = max_waiting
        self._packer = lru_cache(_MAX_PACKERS)(Packer)
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._gate = threading.Lock()  # guards waiting
        #: Messages in the queue, of all that wait; a transaction under way is not among them.
        self.waiting = 0
        self._bell = WorkerNotifier(ring)
        self._was_shared = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def submit(self, parcel: PreparedSend) -> list[NewMessage]:
        """The copies as they were decided, once they are durable; workers are woken then.

        A copy for a suppressed recipient, or over a limit, is stored with that status. Attachments must be there: they
        have a transaction of their own, before.

        Raises IdempotencyTaken where the send's key is in use, StoreBusy where nothing was stored, also because too
        much waits; ValueError for lone surrogates.
        """
        return cast("Future[list[NewMessage]]", self._put(parcel, None)).result()

    async def submit_async(self, parcel: PreparedSend) -> list[NewMessage]:
        """The same for an event loop, which goes on meanwhile."""
        return await cast("asyncio.Future[list[NewMessage]]", self._put(parcel, asyncio.get_running_loop()))

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._queue.put(None)
        self._thread.join()
        self._bell.close()

    def require_room(self) -> None:
        """Raises StoreBusy while so much waits that nothing more is taken: before work is done for nothing."""
        if self.waiting >= self._max_waiting:
            raise StoreBusy("Too many requests wait to be stored.")

    def _put(self, parcel: PreparedSend, loop: asyncio.AbstractEventLoop | None) -> _Answer:
        waiting = _Waiting(parcel, loop)
        with self._gate:
            self.require_room()
            self.waiting += waiting.size
        self._queue.put(waiting)
        return waiting.answer

    def _run(self) -> None:
        while batch := self._next():
            began_s = monotonic()
            try:
                told = self._write(batch)
            except StoreBusy as error:
                # What is full or broken says so at once, and perhaps of one of them only.
                told = self._after(error, batch, began_s)
            except Exception as error:
                told = [(batch[0], error)] if len(batch) == 1 else self._write_each(batch)
            _tell(told)

    def _after(self, error: StoreBusy, batch: Sequence[_Waiting], began_s: float) -> list[_Told]:
        """Who has waited for a database that is held is told, with all who came meanwhile: nobody waits twice."""
        if monotonic() - began_s > _LONG_S:
            return [(waiting, _anew(error)) for waiting in [*batch, *self._drained()]]
        return [(batch[0], error)] if len(batch) == 1 else self._write_each(batch)

    def _next(self) -> list[_Waiting]:
        """All that wait, at least one; [] at the end."""
        first = self._queue.get()
        if first is None:
            return []
        if self._was_shared:
            sleep(_LINGER_S)
        batch, copies = [self._taken(first)], first.size
        while copies < _MAX_COPIES and (waiting := next(self._drained(), None)):
            batch.append(waiting)
            copies += waiting.size
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
            yield self._taken(waiting)

    def _taken(self, waiting: _Waiting) -> _Waiting:
        with self._gate:
            self.waiting -= waiting.size
        return waiting

    def _write(self, batch: Sequence[_Waiting]) -> list[_Told]:
        parcels = list(zip([one.parcel for one in batch], self._packed(batch), strict=True))
        stored = self._database.write(lambda tx: store(tx, parcels, self._settings))
        self._bell.notify()
        self._metrics.accepted(Counter(copy.status.value for copies in stored.values() for copy in copies))
        return [(one, stored.get(one.parcel.send.id) or messages.IdempotencyTaken(_KEY_TAKEN)) for one in batch]

    def _write_each(self, batch: Sequence[_Waiting]) -> list[_Told]:
        """One of them can't be stored, and took the others with it: each by itself, so that it is told which."""
        told: list[_Told] = []
        for n, waiting in enumerate(batch):
            began_s = monotonic()
            try:
                told += self._write([waiting])
            except StoreBusy as error:
                told.append((waiting, error))
                if monotonic() - began_s > _LONG_S:
                    return told + [(other, _anew(error)) for other in batch[n + 1 :]]
            except Exception as error:
                told.append((waiting, error))
        return told

    def _packed(self, batch: Sequence[_Waiting]) -> list[list[PackedBody]]:
        """The body of each letter of each of them, packed; those of one dictionary together."""
        by_dictionary: dict[bytes | None, list[PlainBody]] = defaultdict(list)
        for waiting in batch:
            of_revision = by_dictionary[waiting.parcel.revision.dictionary]
            of_revision += [letter.body for letter in waiting.parcel.rendered]
        packed = {
            dictionary: iter(self._packer(dictionary).pack_all(bodies)) for dictionary, bodies in by_dictionary.items()
        }
        return [
            list(islice(packed[waiting.parcel.revision.dictionary], len(waiting.parcel.rendered))) for waiting in batch
        ]


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


def _anew(error: StoreBusy) -> StoreBusy:
    """What stopped all of them, anew for each: an exception belongs to one thread."""
    told = StoreBusy(*error.args)
    told.__cause__ = error
    return told
