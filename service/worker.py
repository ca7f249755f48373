"""The worker: loops that deliver, purge, index words, read the bounce mailbox and write metrics.

Huey's tasks only wake the loops and hold no work: the rows of the database are the truth.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

import structlog
from huey import crontab

from service.bootstrap import Services
from service.delivery.queue import Consumer
from service.deployments.build import DEPLOYMENTS, FOLLOW_EVERY_S
from service.errors import InboxUnreachable, StoreBusy
from service.feedback.imap_poller import ImapPoller
from service.monitoring.metrics import Metrics
from service.monitoring.prometheus import SNAPSHOT_EVERY_S

#: Notifications may be lost (a queue that is deleted, a task that dies with its worker): due messages are also looked
#: for this often.
DRAIN_EVERY_S = 1.0
#: Longest pause of the loops of deployments while the database is away, seconds.
DEPLOYMENTS_PAUSE_MAX_S = 5.0

#: How often accepted messages are indexed for search.
INDEX_EVERY_S = 5.0

#: Asked each hour: the daily purge has its hour, and one that was missed is made up for.
PURGE_AT_MINUTE = "17"

#: A process ends within 10 s of SIGTERM: this long for mail on the wire, and then for noting that it was broken off.
GRACE_S = 4.0
ABORT_S = 2.0

#: Longest pause between two polls of a mailbox that can't be read, and how long one poll may take.
INBOX_PAUSE_MAX_S = 600.0
INBOX_POLL_MAX_S = 600.0

_log = structlog.get_logger("worker")


class Loop:
    """A thread that calls `work` every `every_s` seconds and after each `wake`, until `stop`; None: only after `wake`.

    `work` is given the event that `stop` sets, and returns True to be called again at once. It is first called after
    `every_s` seconds, or at once with `begins_now`. Whatever it raises, the loop goes on: an error in `warnings` is
    logged under that name, any other with its traceback. Then the loop pauses for `every_s` seconds, or longer with
    each failure in a row, up to `pause_max_s`; `wake` does not shorten that pause. `abort` ends the call under way.
    """

    def __init__(
        self,
        name: str,
        every_s: float | None,
        work: Callable[[threading.Event], bool | None],
        *,
        begins_now: bool = False,
        pause_max_s: float = 0.0,
        warnings: Mapping[type[Exception], str] = MappingProxyType({StoreBusy: "store_busy"}),
        abort: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self.woken = threading.Event()
        self._every_s = every_s
        self._work = work
        self._pause_max_s = pause_max_s
        self._warnings = warnings
        self._abort = abort
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        if begins_now:
            self.woken.set()

    def start(self) -> None:
        """Return at once; the work is done in the loop's own thread."""
        self._thread.start()

    def wake(self) -> None:
        """Call `work` now, or once more after the call under way. Thread-safe."""
        self.woken.set()

    def stop(self) -> None:
        """End after the call under way, which is aborted where that is possible; returns at once. Thread-safe."""
        self.stopping.set()
        self.woken.set()
        self._abort()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the loop; False if it has not ended by then. Its thread never outlives the process."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        while True:
            if failures and self._every_s is not None:
                self.stopping.wait(loop_pause_s(self._every_s, failures, self._pause_max_s))
            else:
                self.woken.wait(self._every_s)
            self.woken.clear()
            if self.stopping.is_set():
                return
            try:
                if self._work(self.stopping):
                    self.woken.set()
                failures = 0
            except Exception as error:
                failures += 1
                self._log(error, failures)

    def _log(self, error: Exception, failures: int) -> None:
        warning = next((event for kind, event in self._warnings.items() if isinstance(error, kind)), None)
        if warning is None:
            # drain_broke, purge_broke, index_broke, counts_broke, inbox_broke, template_rows_broke, memory_broke
            _log.error(f"{self.name}_broke", exc_info=error)
        elif not self.stopping.is_set():
            _log.warning(warning, task=self.name, reason=str(error), failures=failures)


def loop_pause_s(every_s: float, failures: int, pause_max_s: float) -> float:
    """Seconds until the next call after `failures` in a row: doubled by each, up to `pause_max_s` or `every_s`."""
    return float(min(every_s * 2 ** min(failures, 20), max(every_s, pause_max_s)))


class Worker:
    """Delivers, purges, indexes and reads the bounce mailbox, each in a loop of its own: none delays another.

    With `leaves_counts` it writes its metrics to a file for the API, which runs in another process.
    """

    def __init__(
        self, services: Services, *, leaves_counts: bool = False, index_every_s: float = INDEX_EVERY_S
    ) -> None:
        self._services = services
        self._drain = Loop("drain", DRAIN_EVERY_S, self._deliver)
        self._purge = Loop("purge", None, self._purge_if_due)
        self._others = [self._purge, Loop("index", index_every_s, self._index)]
        if leaves_counts:
            self._others.append(Loop("counts", SNAPSHOT_EVERY_S, self._write_counts, begins_now=True))
        self._leaves_counts = leaves_counts
        if services.feedback.imap_poller is not None:
            poll_s = services.settings.email_inbox_poll_seconds
            self._others.append(inbox_loop(services.feedback.imap_poller, services.monitoring.metrics, poll_s))
        services.queue.task(name="deliver_due")(self._drain.wake)
        services.queue.periodic_task(crontab(minute=PURGE_AT_MINUTE), name="purge_due")(self._purge.wake)
        self._consumer = Consumer(services.queue)

    def start(self) -> None:
        """Return at once; the loops run in threads of their own."""
        self._consumer.start()
        for loop in (self._drain, *self._others):
            loop.start()

    def stop(self) -> None:
        """Claim nothing more; finish the mail on the wire, or break it off after GRACE_S and hand its lease back."""
        for loop in (self._drain, *self._others):
            loop.stop()
        self._consumer.stop()
        if not self._drain.join(GRACE_S):
            self._services.delivery.transport.abort()
            self._drain.join(ABORT_S)
        # The others were stopped at the same time, and share what is left of it.
        end_s = time.monotonic() + ABORT_S
        for loop in self._others:
            loop.join(max(0.0, end_s - time.monotonic()))
        if self._leaves_counts:
            with suppress(OSError):
                self._services.monitoring.metrics_exporter.remove_snapshot()

    def _deliver(self, stopping: threading.Event) -> None:
        self._services.delivery.deliverer.drain(stopping, self._drain.woken)

    def _purge_if_due(self, stopping: threading.Event) -> None:
        if self._services.recipients.retention_purge.is_time():
            self._services.recipients.retention_purge.purge(stop=stopping)

    def _index(self, stopping: threading.Event) -> None:
        self._services.messages.search_indexer.catch_up(stopping)

    def _write_counts(self, _stopping: threading.Event) -> None:
        """Write the metrics where the API process finds them: it is the one that Prometheus scrapes."""
        try:
            self._services.monitoring.metrics_exporter.write_snapshot()
        except OSError as error:
            _log.warning("counts_not_left", reason=error.strerror)


class DeploymentLoops:
    """Serves or records what is deployed, notes that this process is alive, and follows the repository.

    `role`: api, worker, serve or sync. An API process does not follow the repository; a worker beside a directory has
    nothing to record. Another process's change is seen twice a second, or at once where the database notifies.
    """

    def __init__(self, services: Services, role: str) -> None:
        self._deployments = services.deployments
        presence = services.deployments.presence(role)
        self._stopping = threading.Event()
        # A write that waits for the disk must not keep a process from serving what is live: a loop for each.
        self._loops = [_deployment_loop("presence", lambda _: presence.step())]
        if services.deployments.syncer is not None or role in ("api", "serve"):
            served = services.deployments.served
            self._loops.append(_deployment_loop("deployments", lambda _: served.step()))
        if services.deployments.syncer is not None and role != "api":
            self._loops.append(_deployment_loop("sync", services.deployments.sync))
            if services.deployments.commit_statuses is not None:  # a forge that is slow delays nothing else
                self._loops.append(_deployment_loop("statuses", services.deployments.commit_statuses.step, every_s=2.0))
            if services.deployments.preview_syncer is not None:  # a pull request delays no deployment
                self._loops.append(_deployment_loop("previews", services.deployments.preview_syncer.step, every_s=2.0))
        self._listener = threading.Thread(
            target=services.database.listen, args=(DEPLOYMENTS, self._stopping, self.wake), name="listen", daemon=True
        )

    def start(self) -> None:
        """Return at once; the loops run in threads of their own."""
        for loop in self._loops:
            loop.start()
        self._listener.start()

    def wake(self) -> None:
        """Look now. Thread-safe."""
        for loop in self._loops:
            loop.wake()

    def stop(self) -> None:
        """End after the calls under way; returns at once."""
        self._stopping.set()
        for loop in self._loops:
            loop.stop()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the loops, and let other processes know that this one has ended."""
        end_s = time.monotonic() + timeout_s
        for loop in self._loops:
            loop.join(max(0.0, end_s - time.monotonic()))
        self._deployments.leave()


def _deployment_loop(name: str, work: Callable[[threading.Event], object], *, every_s: float = FOLLOW_EVERY_S) -> Loop:
    def step(stopping: threading.Event) -> None:
        work(stopping)

    return Loop(name, every_s, step, begins_now=True, pause_max_s=DEPLOYMENTS_PAUSE_MAX_S)


def inbox_loop(poller: ImapPoller, metrics: Metrics, every_s: float) -> Loop:
    """Build the loop that polls the bounce mailbox: again at once while there is mail, less often while it fails."""

    def poll(stopping: threading.Event) -> bool:
        try:
            return _poll_inbox(poller, metrics, stopping)
        except Exception:
            metrics.inbox_failed()
            raise

    return Loop(
        "inbox",
        every_s,
        poll,
        begins_now=True,
        pause_max_s=INBOX_PAUSE_MAX_S,
        warnings={InboxUnreachable: "inbox_not_read", StoreBusy: "inbox_not_read"},
        abort=poller.abort,
    )


def _poll_inbox(poller: ImapPoller, metrics: Metrics, stopping: threading.Event) -> bool:
    """Poll once; True if there was mail. A long poll is interrupted: a server may send one byte a minute."""
    limit = threading.Timer(INBOX_POLL_MAX_S, poller.interrupt)
    limit.daemon = True
    limit.start()
    try:
        outcomes = poller.poll(stopping, lambda result: metrics.inbox_mail(result.name.lower()))
    finally:
        limit.cancel()
    counts = {outcome.name.lower(): count for outcome, count in outcomes.items()}
    metrics.inbox_read()
    if counts:
        _log.info("inbox_read", **counts)
    return bool(outcomes)
