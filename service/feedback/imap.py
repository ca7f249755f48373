"""A mailbox on an IMAP server (RFC 3501): what lies in it from a place on. Nothing in it is changed unless asked.

Each conversation is short: it begins with a login and ends with a logout, so that a server that restarts, or a line
that died, costs one look. Every step has a time-out, and `abort` ends whatever step hangs.
"""

import imaplib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from service.config.settings import Settings
from service.config.tls import verifying_context
from service.errors import InboxUnreachable
from service.mail.parser import MAX_READ_BYTES

#: One more than is ever read, so that a mail of that size is whole.
_FETCHED_BYTES = MAX_READ_BYTES + 1
#: Numbers that are asked for at once: all mails of a full window are named in one line, of which the library reads a
#: million octets; a number has at most ten digits.
_NARROW, _WIDE = 1_000, 80_000
_UID = re.compile(rb"\bUID (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WHEN = re.compile(r"\s*(\d{1,2})-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """Where the mailbox is. `timeout_s` bounds each step; `ca_file` is trusted besides the system's authorities."""

    host: str
    port: int
    user: str
    password: str
    tls: Literal["implicit", "starttls", "none"]
    folder: str = "INBOX"
    ca_file: Path | None = None
    timeout_s: float = 20.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The bounce mailbox of the EMAIL_INBOX_* settings; None where none is read."""
        if settings.email_inbox_host is None:
            return None
        return cls(
            host=settings.email_inbox_host,
            port=settings.email_inbox_port,
            user=settings.email_inbox_user or "",
            password=settings.email_inbox_password.get_secret_value() if settings.email_inbox_password else "",
            tls=settings.email_inbox_tls,
            folder=settings.email_inbox_folder,
            ca_file=settings.email_inbox_ca_file,
            timeout_s=settings.email_inbox_timeout_seconds,
        )

    @property
    def name(self) -> str:
        """What its position is kept under."""
        return f"{self.user}@{self.host}:{self.port}/{self.folder}"


@dataclass(frozen=True, slots=True)
class ImapMail:
    """One mail. `raw` is its beginning, which is all of it for nearly every mail; `received_at` is the server's."""

    uid: int
    received_at: datetime | None
    raw: bytes


class ImapMailbox:
    """Opens one conversation at a time; another thread may end it at any moment."""

    def __init__(self, place: ImapAccount) -> None:
        self.place = place
        self._context = verifying_context(place.ca_file, setting="EMAIL_INBOX_CA_FILE")
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def abort(self) -> None:
        """Ends the conversation under way, and every later one before it begins."""
        self._is_aborted = True
        self.interrupt()

    def interrupt(self) -> None:
        """Ends the conversation under way."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def open(self, *, writable: bool = False) -> Iterator["ImapSession"]:
        """The folder, opened to be read alone unless `writable`. Raises InboxUnreachable, here or at any later step."""
        with _told():
            line = self._connect()
        try:
            with _told():
                _log_in(line, self.place)
                opened = _select(line, self.place.folder, writable=writable)
            yield opened
        finally:
            with suppress(OSError, imaplib.IMAP4.error):
                if not self._is_aborted:
                    line.logout()
            self._let_go(line)

    def _connect(self) -> imaplib.IMAP4:
        self._refuse_aborted()
        place = self.place
        line: imaplib.IMAP4
        if place.tls == "implicit":
            line = imaplib.IMAP4_SSL(place.host, place.port, ssl_context=self._context, timeout=place.timeout_s)
        else:
            line = imaplib.IMAP4(place.host, place.port, timeout=place.timeout_s)
        try:
            self._socket = line.socket()
            self._refuse_aborted()
            if place.tls == "starttls":
                line.starttls(ssl_context=self._context)
                self._socket = line.socket()
                self._refuse_aborted()
        except BaseException:
            self._let_go(line)
            raise
        return line

    def _let_go(self, line: imaplib.IMAP4) -> None:
        self._socket = None
        with suppress(OSError):
            line.shutdown()

    def _refuse_aborted(self) -> None:
        if self._is_aborted:
            raise InboxUnreachable("it is not asked any more")


class ImapSession:
    """A folder that is open. `uid_validity` changes when its numbers mean other mails (RFC 3501, 2.3.1.1)."""

    def __init__(self, line: imaplib.IMAP4, uid_validity: int, next_uid: int | None) -> None:
        self._line = line
        self._next_uid = next_uid
        self.uid_validity = uid_validity

    def uids_after(self, uid: int, *, limit: int) -> list[int]:
        """The numbers of the next mails behind `uid`, at most `limit`, in order.

        Mails that came after the folder was opened may be missing: the next conversation finds them.
        """
        first, width = uid + 1, _NARROW
        if self._next_uid is None:
            return self._search(first, "*")[:limit]
        while first < self._next_uid:
            last = min(first + width, self._next_uid) - 1
            if numbers := self._search(first, str(last)):
                return numbers[:limit]
            first, width = last + 1, min(width * 4, _WIDE)
        return []

    def _search(self, first: int, last: str) -> list[int]:
        with _told():
            data = _ok(self._line.uid("SEARCH", "UID", f"{first}:{last}"))
        numbers = sorted(int(number) for number in b" ".join(item for item in data if item).split())
        # `n:*` always holds the last mail, also where its number is less than n (RFC 3501, 6.4.8).
        return [number for number in numbers if number >= first]

    def fetch(self, uid: int) -> ImapMail | None:
        """The mail of this number, unread as it was; None where it is gone."""
        with _told():
            data = _ok(self._line.uid("FETCH", str(uid), f"(UID INTERNALDATE BODY.PEEK[]<0.{_FETCHED_BYTES}>)"))
        for item in data:
            if isinstance(item, tuple) and (number := _UID.search(item[0])) and int(number[1]) == uid:
                return ImapMail(uid, _received_at(item[0]), bytes(item[1]))
        parts = [item for item in data if isinstance(item, tuple)]
        return ImapMail(uid, _received_at(parts[0][0]), bytes(parts[0][1])) if parts else None

    def delete(self, uids: Sequence[int]) -> None:
        """Deletes these, and no other that somebody marked (RFC 4315); without that extension they are marked only."""
        if not uids:
            return
        numbers = ",".join(map(str, uids))
        with _told():
            _ok(self._line.uid("STORE", numbers, "+FLAGS.SILENT", "(\\Deleted)"))
            if "UIDPLUS" in self._line.capabilities:
                _ok(self._line.uid("EXPUNGE", numbers))


def _log_in(line: imaplib.IMAP4, place: ImapAccount) -> None:
    if "AUTH=PLAIN" in line.capabilities:  # takes any character; LOGIN of the library takes ASCII
        line.authenticate("PLAIN", lambda _: f"\0{place.user}\0{place.password}".encode())
    else:
        line.login(place.user, place.password)
    # The library asks once, before the login; what is offered after it may be more.
    offered = line.capability()[1][-1]
    if isinstance(offered, bytes):
        line.capabilities = tuple(offered.decode("ascii", "replace").upper().split())


def _select(line: imaplib.IMAP4, folder: str, *, writable: bool) -> ImapSession:
    quoted = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
    _ok(line.select(quoted, readonly=not writable))
    validity = _number(line, "UIDVALIDITY")
    if validity is None:
        raise InboxUnreachable("the server does not say UIDVALIDITY")
    return ImapSession(line, validity, _number(line, "UIDNEXT"))


def _number(line: imaplib.IMAP4, name: str) -> int | None:
    """What the server said of the folder under this name."""
    said = line.response(name)[1]
    number = said[-1] if said else None
    return int(number) if isinstance(number, bytes) and number.isdigit() else None


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    if status != "OK":
        raise InboxUnreachable(f"the server answers {status}")
    return data


def _received_at(head: bytes) -> datetime | None:
    found = _DATE.search(head)
    matched = _WHEN.match(found[1].decode("ascii", "replace")) if found else None
    if matched is None or matched[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second = matched[1], _MONTHS.index(matched[2]) + 1, *matched.group(3, 4, 5, 6)
    offset = timedelta(hours=int(matched[8]), minutes=int(matched[9])) * (-1 if matched[7] == "-" else 1)
    try:
        return datetime(int(year), month, int(day), int(hour), int(minute), int(second), tzinfo=UTC) - offset
    except (ValueError, OverflowError):
        return None


@contextmanager
def _told() -> Iterator[None]:
    """The library's many exceptions as one, in words that hold no address and nothing of a mail."""
    try:
        yield
    except imaplib.IMAP4.error as error:
        # Its text quotes the server, who may quote the user.
        raise InboxUnreachable(f"the server refuses ({type(error).__name__})") from error
    except ssl.SSLError as error:
        raise InboxUnreachable(f"TLS failed ({error.reason or type(error).__name__})") from error
    except (OSError, EOFError) as error:
        raise InboxUnreachable(str(getattr(error, "strerror", None) or error) or type(error).__name__) from error
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        # What the library meets where a server answers something that is no IMAP.
        raise InboxUnreachable(f"the server's answer makes no sense ({type(error).__name__})") from error
