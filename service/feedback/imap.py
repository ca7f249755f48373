"""IMAP client (RFC 3501) for the bounce mailbox: reads mails after a UID, and changes nothing unless asked.

A session is short: it begins with a login and ends with a logout, so that a restarted server or a dead connection costs
one poll. Every step has a time-out, and `abort` ends a step that hangs.
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
from service.feedback.imap_connection import AnswerTooLarge, BoundedImap4, BoundedImap4Ssl
from service.mail.parser import MAX_READ_BYTES

#: One byte more than is parsed, so that a mail of exactly that size is whole.
_FETCHED_BYTES = MAX_READ_BYTES + 1
#: UIDs that one SEARCH spans, growing while it finds none: the answer is one line, of which the library reads a million
#: octets, and a UID has at most ten digits.
_NARROW, _WIDE = 1_000, 80_000
#: RFC 3501, 9: UIDs and UIDVALIDITY have 32 bits.
_MAX_NUMBER = 2**32 - 1
_UID = re.compile(rb"\bUID (\d{1,10})(?!\d)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')
#: The answer to a FETCH without its literal: our own few words, with their values.
_MAX_HEAD_BYTES = 1_000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WHEN = re.compile(r"\s*(\d{1,2})-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """Server, login and folder of the mailbox.

    `timeout_s` bounds each step; `ca_file` is trusted besides the system's authorities.
    """

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
        """The bounce mailbox of the EMAIL_INBOX_* settings, or None."""
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
        """Name under which the position in this mailbox is stored."""
        return f"{self.user}@{self.host}:{self.port}/{self.folder}"


@dataclass(frozen=True, slots=True)
class ImapMail:
    """One mail. `raw` is its beginning, nearly always the whole mail; `received_at` is the server's time."""

    uid: int
    received_at: datetime | None
    raw: bytes


class ImapMailbox:
    """Opens one session at a time, which another thread may end at any moment."""

    def __init__(self, account: ImapAccount) -> None:
        self.account = account
        self._context = verifying_context(account.ca_file, setting="EMAIL_INBOX_CA_FILE")
        self._socket: socket.socket | None = None
        self._is_aborted = False

    def abort(self) -> None:
        """End the session under way, and refuse later ones."""
        self._is_aborted = True
        self.interrupt()

    def interrupt(self) -> None:
        """End the session under way."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def open(self, *, writable: bool = False) -> Iterator["ImapSession"]:
        """Open the folder, read-only unless `writable`. Raises InboxUnreachable, here or at any later step."""
        with _unreachable_for_errors():
            connection = self._connect()
        try:
            with _unreachable_for_errors():
                _log_in(connection, self.account)
                opened = _select(connection, self.account.folder, writable=writable)
            yield opened
        finally:
            with suppress(OSError, imaplib.IMAP4.error, AnswerTooLarge):
                if not self._is_aborted and not connection.is_overrun:
                    connection.begin_step()
                    connection.logout()
            self._close(connection)

    def _connect(self) -> BoundedImap4:
        self._refuse_aborted()
        account = self.account
        connection: BoundedImap4
        if account.tls == "implicit":
            connection = BoundedImap4Ssl(
                account.host, account.port, ssl_context=self._context, timeout=account.timeout_s
            )
        else:
            connection = BoundedImap4(account.host, account.port, timeout=account.timeout_s)
        try:
            self._socket = connection.socket()
            self._refuse_aborted()
            if account.tls == "starttls":
                connection.starttls(ssl_context=self._context)
                self._socket = connection.socket()
                self._refuse_aborted()
        except BaseException:
            self._close(connection)
            raise
        return connection

    def _close(self, connection: BoundedImap4) -> None:
        self._socket = None
        with suppress(OSError):
            connection.shutdown()

    def _refuse_aborted(self) -> None:
        if self._is_aborted:
            raise InboxUnreachable("this worker is stopping")


class ImapSession:
    """An open folder. `uid_validity` changes when its UIDs mean other mails (RFC 3501, 2.3.1.1)."""

    def __init__(self, connection: BoundedImap4, uid_validity: int, next_uid: int | None) -> None:
        self._connection = connection
        self._next_uid = next_uid
        self.uid_validity = uid_validity

    def uids_after(self, uid: int, *, limit: int) -> list[int]:
        """Return the UIDs of the next mails after `uid`, at most `limit`, in order.

        Mails that came after the folder was opened may be missing: the next session finds them.
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
        with _unreachable_for_errors():
            self._connection.begin_step()
            data = _ok(self._connection.uid("SEARCH", "UID", f"{first}:{last}"))
            numbers = sorted(int(number) for number in b" ".join(item for item in data if item).split())
        # `n:*` always contains the last mail, also where its UID is less than n (RFC 3501, 6.4.8).
        return [number for number in numbers if first <= number <= _MAX_NUMBER]

    def fetch(self, uid: int) -> ImapMail | None:
        """Fetch a mail's beginning without marking it read; None where it was deleted.

        Raises AnswerTooLarge where the server sends more than the beginning.
        """
        with _unreachable_for_errors(except_too_large=True):
            self._connection.begin_step()
            data = _ok(self._connection.uid("FETCH", str(uid), f"(UID INTERNALDATE BODY.PEEK[]<0.{_FETCHED_BYTES}>)"))
        for item in data:
            if isinstance(item, tuple) and (number := _UID.search(item[0][:_MAX_HEAD_BYTES])) and int(number[1]) == uid:
                return ImapMail(uid, _received_at(item[0]), bytes(item[1]))
        parts = [item for item in data if isinstance(item, tuple)]
        return ImapMail(uid, _received_at(parts[0][0]), bytes(parts[0][1])) if parts else None

    def delete(self, uids: Sequence[int]) -> None:
        """Delete these mails and no others that are marked (UIDPLUS, RFC 4315); without UIDPLUS only mark them."""
        if not uids:
            return
        numbers = ",".join(map(str, uids))
        with _unreachable_for_errors():
            self._connection.begin_step()
            _ok(self._connection.uid("STORE", numbers, "+FLAGS.SILENT", "(\\Deleted)"))
            if "UIDPLUS" in self._connection.capabilities:
                _ok(self._connection.uid("EXPUNGE", numbers))


def _log_in(connection: BoundedImap4, account: ImapAccount) -> None:
    if "AUTH=PLAIN" in connection.capabilities:  # allows any character; the library's LOGIN only ASCII
        connection.authenticate("PLAIN", lambda _: f"\0{account.user}\0{account.password}".encode())
    else:
        connection.login(account.user, account.password)
    # The library asks once, before the login; after it the server may offer more.
    offered = connection.capability()[1][-1]
    if isinstance(offered, bytes):
        connection.capabilities = tuple(offered.decode("ascii", "replace").upper().split())


def _select(connection: BoundedImap4, folder: str, *, writable: bool) -> ImapSession:
    quoted = '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
    _ok(connection.select(quoted, readonly=not writable))
    validity = _number(connection, "UIDVALIDITY")
    if validity is None:
        raise InboxUnreachable("the server does not send UIDVALIDITY")
    return ImapSession(connection, validity, _number(connection, "UIDNEXT"))


def _number(connection: BoundedImap4, name: str) -> int | None:
    """Return a number from the server's answer to SELECT, or None."""
    values = connection.response(name)[1]
    number = values[-1] if values else None
    # A longer one would be no number of RFC 3501, and none that a row can hold.
    return int(number) if isinstance(number, bytes) and number.isdigit() and len(number) <= 10 else None


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    status, data = answer
    if status != "OK":
        raise InboxUnreachable(f"the server answers {status}")
    return data


def _received_at(head: bytes) -> datetime | None:
    found = _DATE.search(head[:_MAX_HEAD_BYTES])
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
def _unreachable_for_errors(*, except_too_large: bool = False) -> Iterator[None]:
    """Raise InboxUnreachable for the library's many exceptions, without an address or a mail's text in its words."""
    try:
        yield
    except AnswerTooLarge as error:
        if except_too_large:
            raise
        raise InboxUnreachable(str(error)) from error
    except imaplib.IMAP4.error as error:
        # Its text quotes the server, which may quote the user.
        raise InboxUnreachable(f"the server refuses ({type(error).__name__})") from error
    except ssl.SSLError as error:
        raise InboxUnreachable(f"TLS failed ({error.reason or type(error).__name__})") from error
    except (OSError, EOFError) as error:
        raise InboxUnreachable(str(getattr(error, "strerror", None) or error) or type(error).__name__) from error
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        # The library raises these where a server's answer is not IMAP.
        raise InboxUnreachable(f"the server's answer makes no sense ({type(error).__name__})") from error
