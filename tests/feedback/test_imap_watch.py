"""The schedule of the IMAP poller: at once while there are mails, less often after failures."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from service.errors import InboxUnreachable, StoreBusy
from service.feedback.imap_poller import MailResult
from service.monitoring.metrics import Metrics
from service.worker import Loop, inbox_loop


class Collector:
    """Does one step after another at each look, the last one for ever, and notes when it was asked to end."""

    def __init__(self, *steps: Callable[[], Counter[MailResult]]) -> None:
        self._steps = list(steps)
        self.looks = 0
        self.looked = threading.Semaphore(0)
        self.aborted = threading.Event()

    def poll(self, _stop: threading.Event, count: Callable[[MailResult], object]) -> Counter[MailResult]:
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        self.looks += 1
        self.looked.release()
        results = step()
        for result in results.elements():
            count(result)
        return results

    def abort(self) -> None:
        self.aborted.set()

    def interrupt(self) -> None:
        """Nothing hangs here."""


def nothing() -> Counter[MailResult]:
    return Counter()


def one_mail() -> Counter[MailResult]:
    return Counter({MailResult.REPORTED: 1})


def failing(error: Exception) -> Callable[[], Counter[MailResult]]:
    def fail() -> Counter[MailResult]:
        raise error

    return fail


def watch_of(collector: Collector, poll_s: float, metrics: Metrics | None = None) -> Loop:
    return inbox_loop(collector, metrics or Metrics(), poll_s)  # type: ignore[arg-type]


def counts(metrics: Metrics) -> dict[tuple[str, str], float]:
    """What was counted for Prometheus of the mailbox."""
    samples = [sample for family in metrics.families() for sample in family.samples]
    found = [
        sample for sample in samples if sample.name in ("rgz_email_inbox_mails_total", "rgz_email_inbox_looks_total")
    ]
    return {(sample.name.split("_")[3], next(iter(sample.labels.values()))): sample.value for sample in found}


def end(watch: Loop) -> None:
    watch.stop()
    assert watch.join(10)


def test_watch_continues_at_once_while_there_are_mails_and_then_rests() -> None:
    collector = Collector(one_mail, one_mail, one_mail, nothing)
    metrics = Metrics()
    watch = watch_of(collector, 3_600, metrics)
    watch.start()
    for _ in range(4):
        assert collector.looked.acquire(timeout=10)
    end(watch)
    assert collector.looks == 4
    assert counts(metrics) == {("mails", "reported"): 3, ("looks", "read"): 4}


@pytest.mark.parametrize(
    "error", [InboxUnreachable("it is away"), StoreBusy("locked"), ValueError("a fault of ours"), RecursionError()]
)
def test_watch_survives_any_error_of_a_poll(error: Exception) -> None:
    collector = Collector(failing(error), failing(error), nothing)
    metrics = Metrics()
    watch = watch_of(collector, 0.1, metrics)
    watch.start()
    for _ in range(3):
        assert collector.looked.acquire(timeout=10)
    end(watch)
    assert counts(metrics)["looks", "failed"] == 2


def test_watch_that_rests_ends_at_once_and_aborts_a_poll_that_hangs() -> None:
    release = threading.Event()

    def hang() -> Counter[MailResult]:
        assert release.wait(10)
        raise InboxUnreachable("broken off")

    collector = Collector(hang)
    collector.abort = release.set  # type: ignore[method-assign]
    watch = watch_of(collector, 3_600)
    watch.start()
    assert collector.looked.acquire(timeout=10)
    end(watch)
