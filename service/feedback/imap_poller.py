"""Polls the bounce mailbox over IMAP: reads the mails since the last poll and records them as feedback events.

A mail counts only for the message whose signed return path it came to (`mail.return_path`), whatever it quotes; other
mails change nothing. No mail is ever answered, so two mail systems can't send each other bounces of bounces.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum, auto

import structlog

from service.errors import InboxUnreachable, StoreBusy
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.feedback.bounce.returned_mail import ReturnedMail
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.feedback.imap import ImapMail, ImapMailbox, ImapSession
from service.mail import return_path
from service.store import feedback
from service.store.database import Database

_SOURCE = "inbox"
#: Mails whose UIDs are asked for at once, and that are deleted by one command.
_BATCH_SIZE = 100
#: Mails that one poll reads at most, so that it stays short; the next one goes on.
_MAX_MAILS = 2_000
#: Tries after which a mail that can't be read or recorded is left behind, also where it ended the process.
_MAX_TRIES = 2
_KINDS = {
    MailKind.BOUNCE: FeedbackKind.BOUNCED,
    MailKind.DELAYED: FeedbackKind.DELAYED,
    MailKind.COMPLAINT: FeedbackKind.COMPLAINT,
    MailKind.DELIVERED: FeedbackKind.DELIVERED,
}

_log = structlog.get_logger("inbox")


class MailResult(Enum):
    """Result of reading one mail."""

    REPORTED = auto()  # recorded for a message of ours
    IGNORED = auto()  # about no message of ours, or without a statement about delivery
    LEFT_BEHIND = auto()  # failed too often, or ended the process: skipped, and never deleted


class ImapPoller:
    """Reads a mailbox from where the last poll ended.

    `record` is FeedbackRecorder's. `read` parses a mail (`bounce/isolated_reader.py`); whatever it raises is a failure
    of that mail, StoreBusy and InboxUnreachable excepted.
    """

    def __init__(
        self,
        inbox: ImapMailbox,
        database: Database,
        record: Callable[[str, str, Sequence[FeedbackEvent]], object],
        read: Callable[[bytes], ReturnedMail],
        signing_keys: Sequence[bytes],
        clock: Callable[[], datetime],
        *,
        deletes: bool = False,
    ) -> None:
        self._inbox = inbox
        self._database = database
        self._record = record
        self._keys = signing_keys
        self._clock = clock
        self._read = read
        self._deletes = deletes

    def poll(
        self, stop: threading.Event, count: Callable[[MailResult], object] = lambda _: None
    ) -> Counter[MailResult]:
        """Read new mails until `stop` is set; returns how many had which result. The next poll may find more.

        `count` is called with each result, also of a poll that fails later.

        Each try is stored before the mail is fetched, so that it counts also where the process dies of it. The position
        moves once a mail was recorded, so that an unavailable database loses none. Raises InboxUnreachable, StoreBusy,
        and whatever the first try of a mail raises.
        """
        results: Counter[MailResult] = Counter()
        with self._inbox.open(writable=self._deletes) as session:
            last = feedback.last_uid(self._database, self._inbox.account.name, session.uid_validity)
            while not stop.is_set() and results.total() < _MAX_MAILS:
                uids = session.uids_after(last, limit=_BATCH_SIZE)
                if not uids:
                    break
                for result in self._read_batch(session, uids, stop):
                    results[result] += 1
                    count(result)
                last = uids[-1]
        return results

    def abort(self) -> None:
        """End a poll that hangs, and refuse later ones. Thread-safe."""
        self._inbox.abort()

    def interrupt(self) -> None:
        """End the poll under way; the next one continues there. Thread-safe."""
        self._inbox.interrupt()

    def _read_batch(self, session: ImapSession, uids: Sequence[int], stop: threading.Event) -> Iterator[MailResult]:
        done: list[int] = []
        left_behind: list[int] = []
        try:
            for uid in uids:
                if stop.is_set():
                    return
                result = self._try_mail(session, uid)
                done.append(uid)
                if result is MailResult.LEFT_BEHIND:
                    left_behind.append(uid)
                yield result
        finally:
            if done:
                self._advance(session, done, kept=left_behind)

    def _try_mail(self, session: ImapSession, uid: int) -> MailResult:
        name, now = self._inbox.account.name, self._clock()
        tries = self._database.write(lambda tx: feedback.note_try(tx, name, session.uid_validity, uid, now=now))
        if tries > _MAX_TRIES:
            _log.error("mail_left_behind", uid=uid, tries=tries - 1, reason="the process ended while it was read")
            return MailResult.LEFT_BEHIND
        try:
            mail = session.fetch(uid) if tries else None
            return self._record_mail(mail) if mail is not None else MailResult.IGNORED
        except (StoreBusy, InboxUnreachable):
            with suppress(StoreBusy):
                self._database.write(lambda tx: feedback.forget_try(tx, name, session.uid_validity, uid))
            raise
        except Exception as error:
            if tries < _MAX_TRIES:
                raise
            _log.error("mail_left_behind", uid=uid, tries=tries, exc_info=error)
            return MailResult.LEFT_BEHIND

    def _record_mail(self, mail: ImapMail) -> MailResult:
        events = self.events(mail)
        if not events:
            return MailResult.IGNORED
        self._record(hashlib.sha256(mail.raw).hexdigest(), _SOURCE, events)
        return MailResult.REPORTED

    def _advance(self, session: ImapSession, done: Sequence[int], *, kept: Collection[int]) -> None:
        """Store the position, then delete the mails: a mail is deleted only once it can't come again.

        Those that were left behind stay in the mailbox for a person.
        """
        now, name = self._clock(), self._inbox.account.name
        self._database.write(lambda tx: feedback.set_last_uid(tx, name, session.uid_validity, done[-1], now=now))
        if self._deletes:
            session.delete([uid for uid in done if uid not in kept])

    def events(self, mail: ImapMail) -> list[FeedbackEvent]:
        """Parse a mail into one event about its message; [] where it is about no message of ours."""
        returned = self._read(mail.raw)
        message_id = return_path.verified(returned.return_paths, keys=self._keys)
        if message_id is None:
            _log.info("not_ours", uid=mail.uid, size_bytes=len(mail.raw))
            return []
        recipient = returned.gravest
        if recipient is None:
            _log.info("says_nothing", uid=mail.uid, kind=returned.report.kind.value, message=message_id)
            return []
        now = self._clock()
        at = min(mail.received_at or now, now)
        return [_event(recipient, message_id, at)]


def _event(recipient: RecipientStatus, message_id: str, at: datetime) -> FeedbackEvent:
    # Without the quoted Message-ID: where the signed message was deleted, no other one is meant.
    return FeedbackEvent(
        kind=_KINDS[recipient.kind],
        at=at,
        source=_SOURCE,
        recipient=recipient.address or None,
        message_id=message_id,
        bounce_type=recipient.bounce_type if recipient.kind is MailKind.BOUNCE else None,
        bounce_subtype=recipient.subtype,
        smtp_code=recipient.smtp_code,
        status=recipient.status,
        diagnostic=recipient.diagnostic,
        suppresses=recipient.suppresses if recipient.kind is MailKind.BOUNCE else recipient.kind is MailKind.COMPLAINT,
    )
