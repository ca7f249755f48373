"""DOOR: the worker. Huey's tasks ring, they hold nothing; the rows of the database are the truth."""

import threading
import time
from contextlib import suppress

import structlog
from huey import crontab

from service.bootstrap import Services
from service.delivery.queue import Consumer
from service.errors import InboxUnreachable, StoreBusy
from service.feedback.imap_poller import ImapPoller
from service.monitoring.metrics import Metrics
from service.monitoring.prometheus import SNAPSHOT_EVERY_S

#: Rings may be lost (a queue that is deleted, a task that dies with its worker): the rows are looked at this often.
LOOK_EVERY_S = 1.0

#: How often what was accepted is looked at for words to find it by.
INDEX_EVERY_S = 5.0

#: Looked at each hour: the daily purge has its hour, and one that was missed is made up for.
PURGE_AT_MINUTE = "17"

#: A process ends within 10 s of SIGTERM: this long for mail on the wire, and then for noting that it was broken off.
GRACE_S = 4.0
ABORT_S = 2.0

#: A mailbox that can't be read is asked again after growing pauses, and a look is broken off after so long.
INBOX_PAUSE_MAX_S = 600.0
INBOX_LOOK_MAX_S = 600.0

_log = structlog.get_logger("worker")


class Worker:
    """Drains what is due whenever a ring comes, and once a second without one; purges once a day; indexes words.

    `leaves_counts`: it has a process of its own, which nobody asks for figures.
    """

    def __init__(
        self, services: Services, *, leaves_counts: bool = False, index_every_s: float = INDEX_EVERY_S
    ) -> None:
        self._services = services
        self._index_every_s = index_every_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._is_due = threading.Event()
        self._purging = threading.Thread(target=self._purge, name="purge", daemon=True)
        self._indexing = threading.Thread(target=self._index, name="index", daemon=True)
        services.queue.task(name="deliver_due")(self._wake.set)
        services.queue.periodic_task(crontab(minute=PURGE_AT_MINUTE), name="purge_due")(self._is_due.set)
        self._consumer = Consumer(services.queue)
        self._counts: threading.Thread | None = None
        if leaves_counts:
            self._counts = threading.Thread(target=self._leave_counts, name="counts", daemon=True)
        collector, poll_s = services.imap_poller, services.settings.email_inbox_poll_seconds
        self._inbox = InboxWatch(collector, services.metrics, poll_s) if collector is not None else None

    def start(self) -> None:
        """Return at once; delivering goes on in threads of its own."""
        self._consumer.start()
        self._thread.start()
        if self._counts is not None:
            self._counts.start()
        self._purging.start()
        if self._inbox is not None:
            self._inbox.start()
        self._indexing.start()

    def stop(self) -> None:
        """No new claims; what is on the wire ends, or is broken off after a while and its lease given back."""
        self._stop.set()
        self._wake.set()
        self._is_due.set()
        if self._inbox is not None:
            self._inbox.end()
        self._consumer.stop()
        self._thread.join(GRACE_S)
        if self._thread.is_alive():
            self._services.transport.abort()
            self._thread.join(ABORT_S)
        # The others were told at the same time, and have the rest of it together.
        end_s = time.monotonic() + ABORT_S
        for other in (self._counts, self._purging, self._inbox, self._indexing):
            if other is not None:
                other.join(max(0.0, end_s - time.monotonic()))

    def _purge(self) -> None:
        """A thread of its own, since rings must not wait for it; it ends between two steps."""
        while True:
            self._is_due.wait()
            self._is_due.clear()
            if self._stop.is_set():
                return
            try:
                if self._services.retention_purge.is_time():
                    self._services.retention_purge.purge(stop=self._stop)
            except StoreBusy as error:
                _log.warning("store_busy", task="purge", reason=str(error))
            except Exception as error:
                # What was not done is still due, and done next time.
                _log.error("purge_broke", exc_info=error)

    def _index(self) -> None:
        """A thread of its own: words may wait, mail may not."""
        while not self._stop.wait(self._index_every_s):
            try:
                self._services.search_indexer.catch_up(self._stop)
            except StoreBusy as error:
                _log.warning("store_busy", task="index", reason=str(error))
            except Exception as error:
                # The next look begins where this one ended.
                _log.error("index_broke", exc_info=error)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()
            try:
                self._services.deliverer.drain(self._stop, self._wake)
            except StoreBusy as error:
                _log.warning("store_busy", reason=str(error))
                self._stop.wait(LOOK_EVERY_S)
            except Exception as error:
                # The worker must outlive whatever one drain meets; its rows come back when their leases lapse.
                _log.error("drain_broke", exc_info=error)
                self._stop.wait(LOOK_EVERY_S)

    def _leave_counts(self) -> None:
        """Where the API finds them: it is what Prometheus asks."""
        observer = self._services.metrics_exporter
        while not self._stop.is_set():
            try:
                observer.write_snapshot()
            except OSError as error:
                _log.warning("counts_not_left", reason=error.strerror)
            self._stop.wait(SNAPSHOT_EVERY_S)
        with suppress(OSError):
            observer.remove_snapshot()


class InboxWatch:
    """Looks into the mailbox of returned mail every `poll_s` seconds, in a thread of its own."""

    def __init__(self, poller: ImapPoller, metrics: Metrics, poll_s: float) -> None:
        self._collector = poller
        self._metrics = metrics
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def end(self) -> None:
        """Tells it to end; a line that hangs is broken off."""
        self._stop.set()
        self._collector.abort()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end, True once it has ended; the rest (a name that is being resolved) ends with the process."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            pause_s = self._poll_s
            try:
                if self._look():
                    pause_s = 0.0  # there may be more
                failures = 0
            except (InboxUnreachable, StoreBusy) as error:
                failures += 1
                self._metrics.inbox_failed()
                if not self._stop.is_set():
                    _log.warning("inbox_not_read", reason=str(error), failures=failures)
            except Exception as error:
                # One mail can't end the watch; what it broke is tried again, and left behind after a few looks.
                failures += 1
                self._metrics.inbox_failed()
                _log.error("inbox_broke", exc_info=error)
            self._stop.wait(inbox_pause_s(pause_s, failures))

    def _look(self) -> bool:
        """Whether there were mails. A look that takes too long is broken off: a server may answer a byte a minute."""
        limit = threading.Timer(INBOX_LOOK_MAX_S, self._collector.interrupt)
        limit.daemon = True
        limit.start()
        try:
            outcomes = self._collector.poll(self._stop)
        finally:
            limit.cancel()
        counts = {outcome.name.lower(): count for outcome, count in outcomes.items()}
        self._metrics.inbox_read(counts)
        if counts:
            _log.info("inbox_read", **counts)
        return bool(outcomes)


def inbox_pause_s(pause_s: float, failures: int) -> float:
    """Seconds between two polls: doubled by each failure in a row, up to 600 or `pause_s`, whichever is longer."""
    return float(min(pause_s * 2 ** min(failures, 20), max(pause_s, INBOX_PAUSE_MAX_S)))
