"""Batcher: items that wait share one call, and each waiter gets its own result or error."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from service.errors import StoreBusy, TryLater
from service.store.batcher import Batcher

Work = Callable[[Sequence[int]], Sequence[int | Exception]]


class Doubler:
    """Work that doubles numbers; the batch of a 0 is held until `release`, so that the next ones come together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began, self.release = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        if 0 in items:
            self.began.set()
            assert self.release.wait(30)
        return self.double(items)

    def double(self, items: Sequence[int]) -> Sequence[int | Exception]:
        return [2 * item for item in items]


@contextmanager
def running(work: Work, *, max_waiting: int = 100, max_batch: int = 100) -> Iterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher(
        work,
        name="test",
        max_waiting=max_waiting,
        max_batch=max_batch,
        full=lambda: TryLater("full"),
        size_of=lambda item: max(item // 100, 1),
    )
    try:
        yield batcher
    finally:
        batcher.close()


def results_of(batcher: Batcher[int, int], work: Doubler, items: Sequence[int]) -> list[int | Exception]:
    """What each of `items` comes to, submitted one after the other while a first batch is held."""

    def submit(item: int) -> int | Exception:
        try:
            return batcher.submit(item)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(items) + 1) as pool:
        first = pool.submit(submit, 0)
        assert work.began.wait(30)
        waiting = []
        for item in items:
            before = batcher.waiting
            waiting.append(pool.submit(submit, item))
            while batcher.waiting == before and not waiting[-1].done():
                time.sleep(0.001)
        work.release.set()
        assert first.result() == 0
        return [one.result() for one in waiting]


def test_batcher_gives_each_waiter_its_own_result_from_one_call() -> None:
    work = Doubler()
    with running(work) as batcher:
        assert results_of(batcher, work, [1, 2, 3]) == [2, 4, 6]
    assert work.batches == [[0], [1, 2, 3]]


def test_batcher_splits_what_waits_by_its_size() -> None:
    work = Doubler()
    with running(work, max_waiting=10_000, max_batch=3) as batcher:
        results_of(batcher, work, [200, 100, 100, 900])
    assert work.batches == [[0], [200, 100], [100, 900]]


def test_batcher_refuses_items_while_it_is_full() -> None:
    work = Doubler()
    with running(work, max_waiting=2) as batcher:
        *taken, refused = results_of(batcher, work, [1, 2, 3])
        batcher.require_room()
    assert taken == [2, 4]
    assert isinstance(refused, TryLater)


def test_batcher_works_on_each_item_alone_when_a_batch_fails() -> None:
    class Picky(Doubler):
        def double(self, items: Sequence[int]) -> Sequence[int | Exception]:
            if 2 in items:
                raise ValueError("two can't be stored")
            return super().double(items)

    work = Picky()
    with running(work) as batcher:
        one, two, three = results_of(batcher, work, [1, 2, 3])
    assert (one, three) == (2, 6)
    assert isinstance(two, ValueError)
    assert work.batches == [[0], [1, 2, 3], [1], [2], [3]]


def test_batcher_gives_a_slow_store_busy_to_all_waiters_as_errors_of_their_own() -> None:
    class Held(Doubler):
        def double(self, items: Sequence[int]) -> Sequence[int | Exception]:
            if items[0]:
                time.sleep(0.15)
                raise StoreBusy("held")
            return super().double(items)

    work = Held()
    with running(work, max_batch=2) as batcher:
        errors = results_of(batcher, work, [1, 2, 3, 4])
    assert [str(error) for error in errors] == ["held"] * 4
    assert len({id(error) for error in errors}) == 4
    assert work.batches == [[0], [1, 2]]


def test_batcher_returns_an_error_among_the_results_to_its_waiter_alone() -> None:
    class Choosy(Doubler):
        def double(self, items: Sequence[int]) -> Sequence[int | Exception]:
            return [KeyError("taken") if item == 2 else 2 * item for item in items]

    work = Choosy()
    with running(work) as batcher:
        one, two = results_of(batcher, work, [1, 2])
    assert one == 2
    assert isinstance(two, KeyError)


def test_batcher_serves_event_loops_and_survives_a_waiter_that_left() -> None:
    work = Doubler()

    async def both(batcher: Batcher[int, int]) -> tuple[int, int]:
        first = asyncio.create_task(batcher.submit_async(0))
        await asyncio.to_thread(work.began.wait, 30)
        gone, stays = (asyncio.create_task(batcher.submit_async(item)) for item in (1, 2))
        while batcher.waiting < 2:
            await asyncio.sleep(0.001)
        gone.cancel()
        work.release.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await first, await stays

    with running(work) as batcher:
        assert asyncio.run(both(batcher)) == (0, 4)
        assert batcher.submit(5) == 10
    assert work.batches == [[0], [1, 2], [5]]


def test_batcher_finishes_what_waits_before_it_closes() -> None:
    work = Doubler()
    with running(work) as batcher, ThreadPoolExecutor(5) as pool:
        first = pool.submit(batcher.submit, 0)
        assert work.began.wait(30)
        waiting = [pool.submit(batcher.submit, item) for item in (1, 2, 3)]
        while batcher.waiting < 3:
            time.sleep(0.001)
        closing = pool.submit(batcher.close)
        work.release.set()
        closing.result(30)
        assert [one.result(30) for one in (first, *waiting)] == [0, 2, 4, 6]
