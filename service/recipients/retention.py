"""Retention: the daily purge, which anonymises old messages and later deletes them, by the settings' terms.

It works in small steps, each a short transaction and a rest as long, so that sending and accepting go on. It may be
stopped between two steps, and several may run at once; the next one continues there.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog
import uuid_utils

from service.config.settings import Settings
from service.errors import StoreBusy
from service.feedback.apply import PENDING_FOR
from service.store import attachments, feedback, leases, retention, sessions
from service.store.database import Database, Transaction
from service.store.retention import Due, Step

__all__ = ["Due", "PurgeResult", "RetentionPurge"]

#: Messages of one step: with their bodies, events and files some tens of milliseconds of the writer.
STEP_MESSAGES = 50
#: Other rows of one step, which are small.
STEP_ROWS = 500
#: Longest rest after a step, seconds; otherwise it is as long as the step.
MAX_REST_S = 0.25

#: One purge a day, in this hour of the night; a missed one is made up for after the longer pause.
NIGHT_HOUR = 3
MIN_PAUSE = timedelta(hours=20)
MAX_PAUSE = timedelta(hours=26)
#: Where nothing was accepted or purged for this long, the clock may be wrong: the purge waits a day for its correction.
DOUBTFUL_SILENCE = timedelta(days=45)

#: Before the first message.
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_log = structlog.get_logger("purge")


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """Progress of a purge. `is_scrubbed`: deleted data can't be read from the disk any more."""

    messages_anonymised: int = 0
    messages_deleted: int = 0
    suppressions_anonymised: int = 0
    rows_deleted: int = 0
    keys_forgotten: int = 0
    files_deleted: int = 0
    is_finished: bool = False
    is_scrubbed: bool = False


@dataclass(frozen=True, slots=True)
class RetentionPurge:
    """Purges by the terms of the settings. `rest` waits between steps, by seconds."""

    database: Database
    settings: Settings
    clock: Callable[[], datetime]
    rest: Callable[[float], None] = field(default=time.sleep)
    step_messages: int = STEP_MESSAGES

    def due(self) -> Due:
        """Count what a purge would change now, without changes."""
        anonymise_before, delete_before = self._terms()
        return retention.count_due(self.database, anonymise_before=anonymise_before, delete_before=delete_before)

    def is_time(self) -> bool:
        """True if the daily purge should begin now. False after a leap of the clock, so that no data is lost."""
        now = self.clock()
        last, seen = retention.last_purge_at(self.database), retention.last_sign_of_life_at(self.database)
        if seen is not None and now - seen > DOUBTFUL_SILENCE:
            _log.warning("clock_may_be_wrong", silent_days=(now - seen).days)
            self.database.write(lambda tx: retention.begin_purge(tx, _new_id(), source="retention", now=now))
            return False
        pause = now - last if last is not None else MAX_PAUSE
        is_night = now.astimezone(self.settings.timezone).hour == NIGHT_HOUR
        return pause >= (MIN_PAUSE if is_night else MAX_PAUSE)

    def purge(
        self,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[PurgeResult], None] | None = None,
        rewrites: bool = False,
    ) -> PurgeResult:
        """Anonymise and delete expired rows, and scrub the disk; `on_progress` is called after each step.

        `rewrites` also rewrites large tables, which are locked meanwhile: see `Database.scrub`.
        Raises StoreBusy; what was done by then stays done.
        """
        run = _Run(self, stop or threading.Event(), on_progress or (lambda _: None))
        anonymise_before, delete_before = self._terms()
        now = self.clock()
        run.begin(now)
        run.expire(now)
        run.walk(
            lambda tx, since: retention.delete_older(tx, before=delete_before, limit=self.step_messages, since=since),
            "messages_deleted",
        )
        run.walk(
            lambda tx, since: retention.anonymise_older(
                tx, before=anonymise_before, now=now, limit=self.step_messages, since=since
            ),
            "messages_anonymised",
        )
        run.repeat(
            lambda tx: retention.empty_suppressions(tx, before=anonymise_before, limit=STEP_ROWS),
            "suppressions_anonymised",
        )
        run.repeat(lambda tx: retention.delete_ended(tx, before=delete_before, limit=STEP_ROWS), "rows_deleted")
        run.repeat(lambda tx: sessions.delete_ended(tx, now=now, limit=STEP_ROWS), "rows_deleted")
        run.repeat(lambda tx: feedback.drop_pending(tx, now=now, kept_for=PENDING_FOR), "rows_deleted")
        run.repeat(lambda tx: retention.forget_keys(tx, now=now, limit=STEP_ROWS), "keys_forgotten")
        run.sweep(now)
        return run.end(rewrites=rewrites)

    def scrub(self, *, rewrites: bool = False) -> bool:
        """Make deleted data unreadable on the disk; False where that must be tried again."""
        now = self.clock()
        try:
            return retention.scrub(self.database, began_at=now, now=now, rewrites=rewrites)
        except StoreBusy as error:
            _log.warning("store_busy", task="scrub", reason=str(error))
            return False

    def _terms(self) -> tuple[datetime, datetime]:
        """Return two times: messages older than the first are anonymised, older than the second deleted."""
        now, settings = self.clock(), self.settings
        return (
            now - timedelta(days=settings.email_auto_anonymize_after_days),
            now - timedelta(days=settings.email_audit_retention_days),
        )


class _Run:
    """One run of a purge."""

    def __init__(
        self, purge: RetentionPurge, stop: threading.Event, on_progress: Callable[[PurgeResult], None]
    ) -> None:
        self._purge = purge
        self._stop = stop
        self._on_progress = on_progress
        self._id = _new_id()
        self._done = PurgeResult()

    def begin(self, now: datetime) -> None:
        self._purge.database.write(lambda tx: retention.begin_purge(tx, self._id, source="retention", now=now))

    def expire(self, now: datetime) -> None:
        """Fail waiting messages that have expired: without a running worker nothing else does."""
        while not self._stop.is_set() and self._purge.database.write(lambda tx: leases.expire(tx, now)):
            self._purge.rest(MAX_REST_S)

    def walk(self, step: Callable[[Transaction, datetime], Step], counted: str) -> None:
        """Repeat a step over the messages, oldest first, until none is left."""
        reached: datetime | None = _BEGINNING
        while reached is not None and not self._stop.is_set():
            steps: list[Step] = []

            def work(tx: Transaction, since: datetime = reached, steps: list[Step] = steps) -> int:
                steps.append(step(tx, since))
                return len(steps[-1].ids)

            self._write(work, counted)
            reached = steps[-1].reached

    def repeat(self, step: Callable[[Transaction], int], counted: str) -> None:
        """Repeat a step until it finds nothing."""
        while not self._stop.is_set() and self._write(step, counted):
            pass

    def sweep(self, now: datetime) -> None:
        """Delete attachments' contents that no message refers to any more, nor any request that is being accepted."""
        self.repeat(lambda tx: attachments.forget_holds(tx, now=now, limit=STEP_ROWS), "rows_deleted")
        orphans = attachments.orphans(self._purge.database, now=now)
        while orphans and not self._stop.is_set():
            batch, orphans = orphans[: attachments.STEP_BLOBS], orphans[attachments.STEP_BLOBS :]
            self._write(lambda tx, batch=batch: attachments.sweep_blobs(tx, batch, now=now), "files_deleted")  # type: ignore[misc]

    def end(self, *, rewrites: bool) -> PurgeResult:
        done = replace(self._done, is_finished=not self._stop.is_set())
        if done.is_finished:
            # Also for what an earlier purge left, because it was stopped or the tables were too large.
            is_needed = (
                rewrites or retention.is_unscrubbed(self._purge.database) or done != PurgeResult(is_finished=True)
            )
            done = replace(done, is_scrubbed=self._purge.scrub(rewrites=rewrites) if is_needed else True)
        _log.info(
            "purged",
            anonymised=done.messages_anonymised,
            deleted=done.messages_deleted,
            suppressions=done.suppressions_anonymised,
            files=done.files_deleted,
            finished=done.is_finished,
            scrubbed=done.is_scrubbed,
        )
        self._on_progress(done)
        return done

    def _write(self, step: Callable[[Transaction], int], counted: str) -> int:
        """Do one step, counted in the same transaction, and rest."""

        def work(tx: Transaction) -> int:
            found = step(tx)
            if found:
                is_anonymised = counted.endswith(("anonymised", "forgotten"))
                retention.count_purged(tx, self._id, "anonymised" if is_anonymised else "deleted", found)
            return found

        began_s = time.perf_counter()
        found = self._purge.database.write(work)
        if found:
            self._done = replace(self._done, **{counted: getattr(self._done, counted) + found})
            self._on_progress(self._done)
        self._purge.rest(min(time.perf_counter() - began_s, MAX_REST_S))
        return found


def _new_id() -> str:
    return str(uuid_utils.uuid7())
