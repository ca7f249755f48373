"""VERB: what has had its time -> gone. Persons leave the rows first, and later the rows go.

In small steps, each a short transaction, with as long a rest after each: sending and accepting go on meanwhile. It may
be stopped between any two steps, and several may run at once; the next one goes on where it was left.
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
from service.store import attachments, feedback, leases, retention
from service.store.database import Database, Transaction
from service.store.retention import Due, Step

__all__ = ["Due", "PurgeResult", "RetentionPurge"]

#: Messages of one step: with their bodies, events and files some tens of milliseconds of the writer.
STEP_MESSAGES = 50
#: Other rows of one step, which are small; and what attachments hold, up to 10 MiB each.
STEP_ROWS = 500
STEP_BLOBS = 4
#: A step rests as long as it took, but no longer than this, seconds.
MAX_REST_S = 0.25

#: A purge a day, in the hour after three at night; one that was missed is made up for.
NIGHT_HOUR = 3
MIN_PAUSE = timedelta(hours=20)
MAX_PAUSE = timedelta(hours=26)
#: Where nothing was accepted and nothing purged for so long, the clock may be wrong: it has a day to be mended.
DOUBTFUL_SILENCE = timedelta(days=45)

#: Before the first message.
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

_log = structlog.get_logger("purge")


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What a purge has done so far. `is_scrubbed`: what was deleted can't be read from the disk any more."""

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
    """Purges by the terms of the settings. `rest` is how it waits between steps, seconds."""

    database: Database
    settings: Settings
    clock: Callable[[], datetime]
    rest: Callable[[float], None] = field(default=time.sleep)
    step_messages: int = STEP_MESSAGES

    def due(self) -> Due:
        """How much a purge would change now; nothing is changed."""
        anonymise_before, delete_before = self._terms()
        return retention.count_due(self.database, anonymise_before=anonymise_before, delete_before=delete_before)

    def is_time(self) -> bool:
        """Whether the daily purge should begin now. A clock that leapt ahead must not empty the database: then no."""
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
        """Does what is due, and makes what is gone unreadable on the disk; `told` hears of each step.

        `rewrites` also writes large tables anew, which are locked meanwhile: see `Database.scrub`.
        Raises StoreBusy; what was done by then stays done.
        """
        work = _Work(self, stop or threading.Event(), on_progress or (lambda _: None))
        anonymise_before, delete_before = self._terms()
        now = self.clock()
        work.begin(now)
        work.expire(now)
        work.walk(
            lambda tx, since: retention.delete_older(tx, before=delete_before, limit=self.step_messages, since=since),
            "messages_deleted",
        )
        work.walk(
            lambda tx, since: retention.anonymise_older(
                tx, before=anonymise_before, now=now, limit=self.step_messages, since=since
            ),
            "messages_anonymised",
        )
        work.repeat(
            lambda tx: retention.empty_suppressions(tx, before=anonymise_before, limit=STEP_ROWS),
            "suppressions_anonymised",
        )
        work.repeat(lambda tx: retention.delete_ended(tx, before=delete_before, limit=STEP_ROWS), "rows_deleted")
        work.repeat(lambda tx: feedback.drop_pending(tx, now=now, kept_for=PENDING_FOR), "rows_deleted")
        work.repeat(lambda tx: retention.forget_keys(tx, now=now, limit=STEP_ROWS), "keys_forgotten")
        work.sweep(now)
        return work.end(rewrites=rewrites)

    def scrub(self, *, rewrites: bool = False) -> bool:
        """Makes unreadable on the disk what purges have deleted; False where that must be tried again."""
        now = self.clock()
        try:
            return retention.scrub(self.database, began_at=now, now=now, rewrites=rewrites)
        except StoreBusy as error:
            _log.warning("store_busy", task="scrub", reason=str(error))
            return False

    def _terms(self) -> tuple[datetime, datetime]:
        """What is older than the first is anonymised, what is older than the second is deleted."""
        now, settings = self.clock(), self.settings
        return (
            now - timedelta(days=settings.email_auto_anonymize_after_days),
            now - timedelta(days=settings.email_audit_retention_days),
        )


class _Work:
    """One purge under way."""

    def __init__(self, of: RetentionPurge, stop: threading.Event, told: Callable[[PurgeResult], None]) -> None:
        self._of = of
        self._stop = stop
        self._told = told
        self._id = _new_id()
        self._done = PurgeResult()

    def begin(self, now: datetime) -> None:
        self._of.database.write(lambda tx: retention.begin_purge(tx, self._id, source="retention", now=now))

    def expire(self, now: datetime) -> None:
        """What waits, and may not leave any more: where no worker runs, nobody else has noticed."""
        while not self._stop.is_set() and self._of.database.write(lambda tx: leases.expire(tx, now)):
            self._of.rest(MAX_REST_S)

    def walk(self, step: Callable[[Transaction, datetime], Step], counted: str) -> None:
        """Steps through the messages until none is left."""
        reached: datetime | None = _BEGINNING
        while reached is not None and not self._stop.is_set():
            steps: list[Step] = []

            def work(tx: Transaction, since: datetime = reached, steps: list[Step] = steps) -> int:
                steps.append(step(tx, since))
                return len(steps[-1].ids)

            self._write(work, counted)
            reached = steps[-1].reached

    def repeat(self, step: Callable[[Transaction], int], counted: str) -> None:
        """The same step until it finds nothing."""
        while not self._stop.is_set() and self._write(step, counted):
            pass

    def sweep(self, now: datetime) -> None:
        """What attachments held that nothing refers to any more."""
        orphans = attachments.orphans(self._of.database, now=now)
        while orphans and not self._stop.is_set():
            batch, orphans = orphans[:STEP_BLOBS], orphans[STEP_BLOBS:]
            self._write(lambda tx, batch=batch: attachments.sweep_blobs(tx, batch, now=now), "files_deleted")  # type: ignore[misc]

    def end(self, *, rewrites: bool) -> PurgeResult:
        done = replace(self._done, is_finished=not self._stop.is_set())
        if done.is_finished:
            # Also what an earlier purge had no time for, or what was too large for it.
            is_needed = rewrites or retention.is_unscrubbed(self._of.database) or done != PurgeResult(is_finished=True)
            done = replace(done, is_scrubbed=self._of.scrub(rewrites=rewrites) if is_needed else True)
        _log.info(
            "purged",
            anonymised=done.messages_anonymised,
            deleted=done.messages_deleted,
            suppressions=done.suppressions_anonymised,
            files=done.files_deleted,
            finished=done.is_finished,
            scrubbed=done.is_scrubbed,
        )
        self._told(done)
        return done

    def _write(self, step: Callable[[Transaction], int], counted: str) -> int:
        """One step, counted where it is committed, and its rest."""

        def work(tx: Transaction) -> int:
            found = step(tx)
            if found:
                is_anonymised = counted.endswith(("anonymised", "forgotten"))
                retention.count_purged(tx, self._id, "anonymised" if is_anonymised else "deleted", found)
            return found

        began_s = time.perf_counter()
        found = self._of.database.write(work)
        if found:
            self._done = replace(self._done, **{counted: getattr(self._done, counted) + found})
            self._told(self._done)
        self._of.rest(min(time.perf_counter() - began_s, MAX_REST_S))
        return found


def _new_id() -> str:
    return str(uuid_utils.uuid7())
