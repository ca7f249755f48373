"""VERB: the mailbox of returned mail -> reports. One look reads what has come since the last one.

A mail is believed only for the message whose signed return path it came to (`return_path`), whatever it quotes; all
others change nothing. Nothing is ever answered, so two mail systems can't send each other bounces of bounces.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum, auto

import structlog

from service.errors import InboxUnreachable, StoreBusy
from service.feedback.bounce.original_message import find_returned
from service.feedback.bounce.parse import read_mail
from service.feedback.bounce.report import MailKind, ParsedReport, RecipientStatus
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.feedback.imap import ImapMail, ImapMailbox, ImapSession
from service.mail import return_path
from service.mail.parser import MimePart, read
from service.store import feedback
from service.store.database import Database

_SOURCE = "inbox"
#: So many mails at a time: their numbers are asked for at once, and a deletion is one command.
_BATCH = 100
#: A look takes in so many at most, and the next one goes on: each is short, however much has come.
_LOOK = 2_000
#: Looks after which a mail that breaks what is done with it is left behind.
_TRIES = 3
#: What may hold the address that a mail was delivered to, the surest first. `Received` says it in "for <address>".
_TO_WHOM = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "to", "cc", "received")
#: In a mail that is returned, whom it came from.
_FROM_WHOM = ("return-path", "x-envelope-from", "x-original-from")
_KINDS = {
    MailKind.BOUNCE: FeedbackKind.BOUNCED,
    MailKind.DELAYED: FeedbackKind.DELAYED,
    MailKind.COMPLAINT: FeedbackKind.COMPLAINT,
    MailKind.DELIVERED: FeedbackKind.DELIVERED,
}

_log = structlog.get_logger("inbox")


class MailResult(Enum):
    """What became of one mail."""

    REPORTED = auto()  # it was about a message of ours
    IGNORED = auto()  # it was not, or said nothing
    LEFT_BEHIND = auto()  # it broke what was done with it, too often


class ImapPoller:
    """Reads a mailbox from where the last look ended; `record` is that of `Recorder`."""

    def __init__(
        self,
        inbox: ImapMailbox,
        database: Database,
        record: Callable[[str, str, Sequence[FeedbackEvent]], object],
        signing_key: bytes,
        clock: Callable[[], datetime],
        *,
        deletes: bool = False,
    ) -> None:
        self._inbox = inbox
        self._database = database
        self._record = record
        self._key = signing_key
        self._clock = clock
        self._deletes = deletes
        self._failures: dict[tuple[int, int], int] = {}

    def poll(self, stop: threading.Event) -> Counter[MailResult]:
        """Takes in what has come, until `stop` is set; how many mails came to what. The next look may find more.

        The position moves once a mail has had its effect: a database that is away loses none. A mail that breaks what
        is done with it is tried three times and left behind then. Raises InboxUnreachable, StoreBusy.
        """
        outcomes: Counter[MailResult] = Counter()
        with self._inbox.open(writable=self._deletes) as line:
            last = feedback.last_uid(self._database, self._inbox.place.name, line.uid_validity)
            while not stop.is_set() and outcomes.total() < _LOOK and (uids := line.uids_after(last, limit=_BATCH)):
                outcomes.update(self._take(line, uids, stop))
                last = uids[-1]
        return outcomes

    def abort(self) -> None:
        """Ends a look that hangs. Safe to call from another thread; there is no other look afterwards."""
        self._inbox.abort()

    def interrupt(self) -> None:
        """Ends the look under way; later ones begin where it got to."""
        self._inbox.interrupt()

    def _take(self, line: ImapSession, uids: Sequence[int], stop: threading.Event) -> Iterator[MailResult]:
        done: list[int] = []
        try:
            for uid in uids:
                if stop.is_set():
                    return
                mail = line.fetch(uid)
                yield self._take_in(mail, line.uid_validity) if mail is not None else MailResult.IGNORED
                done.append(uid)
        finally:
            if done:
                self._move(line, done)

    def _take_in(self, mail: ImapMail, uid_validity: int) -> MailResult:
        try:
            reports = self.events(mail)
            if reports:
                self._record(hashlib.sha256(mail.raw).hexdigest(), _SOURCE, reports)
        except (StoreBusy, InboxUnreachable):
            raise
        except Exception as error:
            place = (uid_validity, mail.uid)
            self._failures[place] = self._failures.get(place, 0) + 1
            if self._failures[place] < _TRIES:
                raise
            del self._failures[place]
            _log.error("mail_left_behind", uid=mail.uid, size_bytes=len(mail.raw), exc_info=error)
            return MailResult.LEFT_BEHIND
        return MailResult.REPORTED if reports else MailResult.IGNORED

    def _move(self, line: ImapSession, done: Sequence[int]) -> None:
        """Notes the position first: a mail is deleted only once it can't come again."""
        now, name = self._clock(), self._inbox.place.name
        self._database.write(lambda tx: feedback.set_last_uid(tx, name, line.uid_validity, done[-1], now=now))
        if self._deletes:
            line.delete(done)

    def events(self, mail: ImapMail) -> list[FeedbackEvent]:
        """What a mail says of the message that it is about: one report, or none where it is about nothing of ours."""
        parts = read(mail.raw)
        our_id = return_path.find(_places(parts), key=self._key)
        if our_id is None:
            _log.info("not_ours", uid=mail.uid, size_bytes=len(mail.raw))
            return []
        reading = read_mail(parts, mail.raw)
        said = _said(reading)
        if said is None and reading.kind is MailKind.COMPLAINT:
            said = RecipientStatus(MailKind.COMPLAINT, "")  # its address is redacted (RFC 6590), its path is not
        if said is None:
            _log.info("says_nothing", uid=mail.uid, kind=reading.kind.value, message=our_id)
            return []
        now = self._clock()
        at = min(mail.received_at or now, now)
        return [_report(said, our_id, at)]


def _places(mail: MimePart) -> Iterator[str]:
    """Where a return path may stand: whom the mail came to, and whom the mail in it came from."""
    for name in _TO_WHOM:
        yield from mail.every(name)
    returned = find_returned(mail)
    if returned is not None:
        for name in _FROM_WHOM:
            yield from returned.every(name)
    for part in mail.walk():
        if part.content_type == "message/feedback-report":
            yield part.text


def _said(reading: ParsedReport) -> RecipientStatus | None:
    """The gravest that is said. A message has one recipient: whoever else is named had it from there."""
    told = [one for one in reading.recipients if one.kind is reading.kind and one.kind in _KINDS]
    return next((one for one in told if one.bounce_type == "permanent"), next(iter(told), None))


def _report(said: RecipientStatus, our_id: str, at: datetime) -> FeedbackEvent:
    # Without the Message-ID that it quotes: where the signed message is gone, no other one is meant.
    return FeedbackEvent(
        kind=_KINDS[said.kind],
        at=at,
        source=_SOURCE,
        recipient=said.address or None,
        message_id=our_id,
        bounce_type=said.bounce_type if said.kind is MailKind.BOUNCE else None,
        bounce_subtype=said.subtype,
        smtp_code=said.smtp_code,
        status=said.status,
        diagnostic=said.diagnostic,
        suppresses=said.suppresses if said.kind is MailKind.BOUNCE else said.kind is MailKind.COMPLAINT,
    )
