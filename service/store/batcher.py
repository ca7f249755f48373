"""Batcher: one thread works on all items that wait, in one batch, and gives each waiter the result of its own item.

For work that costs about the same for one item as for many, such as a transaction with its commit to disk.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Generic, TypeVar, cast

from service.errors import StoreBusy

T = TypeVar("T")
R = TypeVar("R")

#: After a batch of several items the next one waits this long for more: each batch takes the interpreter from the
#: threads that prepare items, and a busy process would make one for every few of them.
_LINGER_S = 0.005
#: A database that took longer than this to refuse is held by somebody: the next work would wait as long.
_LONG_S = 0.1


class Batcher(Generic[T, R]):
    """Takes items from threads and event loops; its own thread calls `work` with a batch of them.

    `work` returns a result, or the error to raise, for each item in order. Where it raises, each item is worked on
    alone, so that one that can't be stored fails none of the others; but a StoreBusy that was long in coming goes to
    all that wait. `size_of` weighs an item: up to `max_waiting` may wait, and `max_batch` are in one batch; the last
    item of either may overshoot. Beyond that the exception that `full` makes is raised.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R | Exception]],
        *,
        name: str,
        max_waiting: int,
        max_batch: int,
        full: Callable[[], Exception],
        size_of: Callable[[T], int] = lambda _: 1,
    ) -> None:
        self._work = work
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._full = full
        self._size_of = size_of
        self._queue: SimpleQueue[_Waiter[T, R] | None] = SimpleQueue()
        self._gate = threading.Lock()  # guards waiting
        #: The size of all items in the queue; a batch under way is not part of it.
        self.waiting = 0
        self._was_shared = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: T) -> R:
        """Wait for the result of this item, or raise its error; call it from a thread."""
        return cast("Future[R]", self._put(item, None)).result()

    async def submit_async(self, item: T) -> R:
        """Wait as `submit` does, in an event loop."""
        return await cast("asyncio.Future[R]", self._put(item, asyncio.get_running_loop()))

    def require_room(self) -> None:
        """Raise what `full` makes while no item is taken."""
        if self.waiting >= self._max_waiting:
            raise self._full()

    def close(self) -> None:
        """Work on what waits, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _put(self, item: T, loop: asyncio.AbstractEventLoop | None) -> "Future[R] | asyncio.Future[R]":
        waiter: _Waiter[T, R] = _Waiter(item, self._size_of(item), loop)
        with self._gate:
            self.require_room()
            self.waiting += waiter.size
        self._queue.put(waiter)
        return waiter.answer

    def _run(self) -> None:
        while batch := self._next():
            began_s = monotonic()
            try:
                results: Sequence[R | Exception] = self._work([one.item for one in batch])
            except Exception as error:
                if isinstance(error, StoreBusy) and monotonic() - began_s > _LONG_S:
                    batch += self._drained()
                    results = [_copy(error) for _ in batch]
                else:
                    results = [error] if len(batch) == 1 else self._work_each(batch)
            _answer_all(batch, results)

    def _work_each(self, batch: "Sequence[_Waiter[T, R]]") -> list[R | Exception]:
        results: list[R | Exception] = []
        for n, one in enumerate(batch):
            began_s = monotonic()
            try:
                results += self._work([one.item])
            except Exception as error:
                results.append(error)
                if isinstance(error, StoreBusy) and monotonic() - began_s > _LONG_S:
                    return results + [_copy(error) for _ in batch[n + 1 :]]
        return results

    def _next(self) -> "list[_Waiter[T, R]]":
        """The next batch, of at least one item; [] at the end."""
        first = self._queue.get()
        if first is None:
            return []
        if self._was_shared:
            sleep(_LINGER_S)
        batch, size = [self._taken(first)], first.size
        while size < self._max_batch and (waiter := next(self._drained(), None)):
            batch.append(waiter)
            size += waiter.size
        self._was_shared = len(batch) > 1
        return batch

    def _drained(self) -> "Iterator[_Waiter[T, R]]":
        while True:
            try:
                waiter = self._queue.get_nowait()
            except Empty:
                return
            if waiter is None:
                self._queue.put(None)
                return
            yield self._taken(waiter)

    def _taken(self, waiter: "_Waiter[T, R]") -> "_Waiter[T, R]":
        with self._gate:
            self.waiting -= waiter.size
        return waiter


class _Waiter(Generic[T, R]):
    """An item, and the future by which a thread (`loop` is None) or an event loop waits for its result."""

    __slots__ = ("answer", "item", "loop", "size")

    def __init__(self, item: T, size: int, loop: asyncio.AbstractEventLoop | None) -> None:
        self.item = item
        self.size = size
        self.loop = loop
        self.answer: Future[R] | asyncio.Future[R] = Future() if loop is None else loop.create_future()


def _answer_all(batch: Sequence[_Waiter[T, R]], results: Sequence[R | Exception]) -> None:
    """Set all results; an event loop is woken once for all of its own."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[_Waiter[T, R], R | Exception]]] = defaultdict(list)
    for waiter, result in zip(batch, results, strict=True):
        by_loop[waiter.loop].append((waiter, result))
    for loop, of_loop in by_loop.items():
        if loop is None:
            _answer(of_loop)
        else:
            with suppress(RuntimeError):  # the loop has been closed, with all that waited in it
                loop.call_soon_threadsafe(_answer, of_loop)


def _answer(answers: Sequence[tuple[_Waiter[T, R], R | Exception]]) -> None:
    for waiter, result in answers:
        if waiter.answer.cancelled():  # its request has gone; what is stored stays
            continue
        if isinstance(result, Exception):
            waiter.answer.set_exception(result)
        else:
            waiter.answer.set_result(result)


def _copy(error: StoreBusy) -> StoreBusy:
    """Copy the error per waiter: raising one instance in several threads mixes their tracebacks."""
    copied = StoreBusy(*error.args)
    copied.__cause__ = error
    return copied
