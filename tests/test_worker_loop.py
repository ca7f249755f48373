"""The worker's loop: called every so often and when it is woken, through any error, until it is stopped."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from service.errors import StoreBusy
from service.worker import Loop, loop_pause_s


class Work:
    """Counts its calls; does the given steps in turn, and then nothing."""

    def __init__(self, *steps: Exception | bool) -> None:
        self._steps = list(steps)
        self.calls = 0
        self.called = threading.Semaphore(0)

    def __call__(self, _stopping: threading.Event) -> bool:
        self.calls += 1
        step = self._steps.pop(0) if self._steps else False
        self.called.release()
        if isinstance(step, Exception):
            raise step
        return step

    def wait(self, calls: int) -> None:
        for _ in range(calls):
            assert self.called.acquire(timeout=10)


@contextmanager
def started(loop: Loop) -> Iterator[Loop]:
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()
        assert loop.join(10)


def test_loop_calls_its_work_every_so_often() -> None:
    work = Work()
    with started(Loop("index", 0.01, work)):
        work.wait(3)


def test_loop_without_a_period_works_only_when_it_is_woken() -> None:
    work = Work()
    with started(Loop("purge", None, work)) as loop:
        assert not work.called.acquire(timeout=0.1)
        loop.wake()
        work.wait(1)
        loop.wake()
        work.wait(1)
    assert work.calls == 2


def test_loop_that_is_woken_during_its_work_works_once_more() -> None:
    begun, go = threading.Event(), threading.Event()
    calls = []

    def work(_stopping: threading.Event) -> None:
        calls.append(1)
        begun.set()
        assert go.wait(10)

    with started(Loop("drain", 3_600, work, begins_now=True)) as loop:
        assert begun.wait(10)
        begun.clear()
        loop.wake()
        go.set()
        assert begun.wait(10)
    assert len(calls) == 2


def test_loop_goes_on_at_once_while_its_work_says_so() -> None:
    work = Work(True, True)
    with started(Loop("inbox", 3_600, work, begins_now=True)):
        work.wait(3)
    assert work.calls == 3


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (StoreBusy("locked"), {"event": "store_busy", "task": "index", "reason": "locked"}, "warning"),
        (ValueError("a fault of ours"), {"event": "index_broke"}, "error"),
    ],
)
def test_loop_logs_an_error_and_goes_on(error: Exception, event: dict[str, str], level: str) -> None:
    work = Work(error)
    with capture_logs() as logs, started(Loop("index", 0.01, work)):
        work.wait(2)
    [logged] = logs
    assert logged["log_level"] == level
    assert event.items() <= logged.items()


def test_loop_without_a_period_works_again_after_an_error_when_it_is_woken() -> None:
    work = Work(ValueError("a fault of ours"))
    with started(Loop("purge", None, work)) as loop:
        for _ in range(2):
            loop.wake()
            work.wait(1)


def test_loop_that_is_woken_after_an_error_still_pauses() -> None:
    work = Work(StoreBusy("locked"))
    with started(Loop("drain", 0.5, work, begins_now=True)) as loop:
        work.wait(1)
        began_s = time.monotonic()
        loop.wake()
        work.wait(1)
        assert time.monotonic() - began_s > 0.4


def test_loop_that_pauses_or_waits_stops_at_once() -> None:
    for work in (Work(), Work(StoreBusy("locked"))):
        loop = Loop("drain", 3_600, work, begins_now=True)
        loop.start()
        work.wait(1)
        loop.stop()
        assert loop.join(10)


def test_loop_whose_work_hangs_is_joined_in_vain() -> None:
    begun, go = threading.Event(), threading.Event()

    def hang(_stopping: threading.Event) -> None:
        begun.set()
        assert go.wait(10)

    loop = Loop("drain", 3_600, hang, begins_now=True)
    loop.start()
    assert begun.wait(10)
    loop.stop()
    assert not loop.join(0.05)
    go.set()
    assert loop.join(10)


def test_backoff_doubles_with_each_failure_up_to_a_bound() -> None:
    assert [loop_pause_s(60.0, failures, 600.0) for failures in (0, 1, 2, 3, 4, 50)] == [60, 120, 240, 480, 600, 600]
    assert loop_pause_s(3_600.0, 5, 600.0) == 3_600
    assert loop_pause_s(1.0, 5, 0.0) == 1
