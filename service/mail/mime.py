"""MIME writer: builds a message's bytes, the same each time.

It assembles bytes instead of the standard library's EmailMessage, which costs 30 times as much. Only the transfer
encoding of the two bodies waits until the server is known; everything else is decided here. The text of headers is
encoded in `headers`.
"""

import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Literal

from service.mail import addresses
from service.mail.addresses import Address
from service.mail.headers import address_list, file_name, named_address, plain, unstructured
from service.models import Attachment

Transfer = Literal["8bit", "quoted-printable"]

#: RFC 5321, 4.5.3.1.6: 1000 octets with CRLF.
MAX_LINE_BYTES = 998

#: Headers that only this module or a mail server may write.
_OURS = re.compile(
    r"(from|sender|to|cc|bcc|reply-to|subject|date|message-id|auto-submitted|mime-version|received|return-path"
    r"|content-.*|resent-.*|dkim-.*|arc-.*)",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,255}")
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True, slots=True)
class Mail:
    """Headers, bodies and attachments of a mail to build; header values are not yet encoded.

    `rfc_message_id` is without angle brackets, `date_at` aware. `from_header` and `reply_to` are `Name <address>` or an
    address, `to` is the recipient's address; where `visible_to` and `visible_cc` are given, To and Cc show these
    addresses, separated by commas. `headers` are further ones. `html` and `text` may be UTF-8 already.
    """

    rfc_message_id: str
    date_at: datetime
    from_header: str
    to: str
    reply_to: str | None
    subject: str
    html: str | bytes
    text: str | bytes
    attachments: Sequence[Attachment] = ()
    headers: tuple[tuple[str, str], ...] = ()
    visible_to: str | None = None
    visible_cc: str | None = None


@dataclass(frozen=True, slots=True)
class _Body:
    """One text part: UTF-8 with CRLF, encoded once the server is known."""

    data: bytes

    def encode(self, transfer: Transfer) -> bytes:
        if transfer == "8bit" and _fits_8bit(self.data):
            return b"Content-Transfer-Encoding: 8bit\r\n\r\n" + self.data
        # b2a_qp takes its soft line breaks from the first line end it meets, and without one breaks with a bare LF.
        quoted = binascii.b2a_qp(self.data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        return b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted


@dataclass(frozen=True, slots=True)
class Wire:
    """The wire form of a mail: CRLF everywhere, no line above 998 octets, dots not stuffed.

    For one transfer encoding the bytes are always the same. `needs_smtputf8`: an address has letters beyond ASCII
    before its @, so the headers are UTF-8 (RFC 6532) and only a server with SMTPUTF8 can take it.
    """

    needs_smtputf8: bool
    _parts: tuple[bytes | _Body, ...]
    _encoded: dict[Transfer, tuple[bytes, ...]] = field(default_factory=dict, compare=False, repr=False)

    def encode(self, transfer: Transfer) -> bytes:
        """Return the whole message. Bodies that 8bit can't carry (long lines, NUL) are quoted-printable either way."""
        return b"".join(self._pieces(transfer))

    def size_bytes(self, transfer: Transfer) -> int:
        """Length of `encode`'s result, for the SIZE extension (RFC 1870)."""
        return sum(map(len, self._pieces(transfer)))

    def _pieces(self, transfer: Transfer) -> tuple[bytes, ...]:
        pieces = self._encoded.get(transfer)
        if pieces is None:
            pieces = tuple(part.encode(transfer) if isinstance(part, _Body) else part for part in self._parts)
            self._encoded[transfer] = pieces
        return pieces


class HeaderCache:
    """Cache of header lines that many mails share: From, Reply-To, what names the template, and Date to the second.

    It holds some thousand lines at most. Thread-safe.
    """

    def __init__(self) -> None:
        self.person = lru_cache(maxsize=2_000)(_person)
        self.date = lru_cache(maxsize=200)(_date)
        self.further = lru_cache(maxsize=500)(_further)


def build(mail: Mail, headings: HeaderCache | None = None) -> Wire:
    """Build the wire form, the same for equal mails, boundaries included (they come from the Message-ID).

    `headings` caches header lines across mails.

    Raises ValueError with a sentence for what can't stand in a header: control characters, a bad address
    (addresses.AddressInvalid), a header of ours a second time.
    """
    headings = headings or HeaderCache()
    to = addresses.parse(mail.to)
    sender, sender_needs_smtputf8 = headings.person("From", mail.from_header)
    reply_to, reply_needs_smtputf8 = headings.person("Reply-To", mail.reply_to) if mail.reply_to else (b"", False)
    needs_smtputf8 = to.needs_smtputf8 or sender_needs_smtputf8 or reply_needs_smtputf8
    text, html = _Body(_crlf(mail.text)), _Body(_crlf(mail.html))
    boundary = _boundary(mail.rfc_message_id, (text.data, html.data))
    head = b"\r\n".join(
        [
            sender,
            *_recipients(mail, to, is_utf8=needs_smtputf8),
            *([reply_to] if reply_to else []),
            b"Subject: " + unstructured("Subject", mail.subject),
            headings.date(mail.date_at.replace(microsecond=0)),
            b"Message-ID: <" + _message_id(mail.rfc_message_id) + b">",
            b"Auto-Submitted: auto-generated",  # RFC 3834, 5: no absence notice answers this
            # The links of List-Unsubscribe differ from mail to mail.
            *(
                (_further if name.startswith("List-") else headings.further)(name, value)
                for name, value in mail.headers
            ),
            b"MIME-Version: 1.0\r\n",
        ]
    )
    alternative = _alternative(text, html, boundary + b"a")
    if not mail.attachments:
        return Wire(needs_smtputf8, (head, *alternative))
    return Wire(needs_smtputf8, (head, *_mixed(alternative, mail.attachments, boundary + b"m")))


def _person(name: str, value: str) -> tuple[bytes, bool]:
    """The line of a From or Reply-To, and whether it needs SMTPUTF8."""
    named = addresses.parse_header(value)
    return f"{name}: ".encode() + named_address(name, named.name, named.address.wire), named.address.needs_smtputf8


def _recipients(mail: Mail, to: Address, *, is_utf8: bool) -> Iterator[bytes]:
    """The lines of To and Cc."""
    if mail.visible_to is None:
        yield b"To: " + to.wire.encode()
        return
    for name, written in (("To", mail.visible_to), ("Cc", mail.visible_cc)):
        if written:
            wires = [addresses.parse(one).wire for one in addresses.split_list(written)]
            yield f"{name}: ".encode() + address_list(name, wires, is_utf8=is_utf8)


def _date(at: datetime) -> bytes:
    return b"Date: " + format_datetime(at.astimezone(UTC)).encode("ascii")


def _alternative(text: _Body, html: _Body, boundary: bytes) -> Iterator[bytes | _Body]:
    """multipart/alternative, the plainest part first (RFC 2046, 5.1.4)."""
    yield b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n' % boundary
    yield b"\r\n--%b\r\nContent-Type: text/plain; charset=utf-8\r\n" % boundary
    yield text
    yield b"\r\n--%b\r\nContent-Type: text/html; charset=utf-8\r\n" % boundary
    yield html
    yield b"\r\n--%b--\r\n" % boundary


def _mixed(first: Iterator[bytes | _Body], files: Sequence[Attachment], boundary: bytes) -> Iterator[bytes | _Body]:
    yield b'Content-Type: multipart/mixed;\r\n boundary="%b"\r\n\r\n--%b\r\n' % (boundary, boundary)
    yield from first
    for file in files:
        yield b"\r\n--%b\r\n" % boundary + _file_head(file)
        yield _base64(file.data)
    yield b"\r\n--%b--\r\n" % boundary


def _file_head(file: Attachment) -> bytes:
    kind = file.content_type.lower()
    if not _CONTENT_TYPE.fullmatch(kind):
        raise ValueError("The content type of an attachment must be type/subtype without parameters.")
    # Without a charset a text part is US-ASCII (RFC 2046, 4.1.2); ours are checked to be UTF-8.
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    name, filename = file_name(file.filename)
    return b"".join(
        [
            f"Content-Type: {kind}{charset}".encode("ascii") + name,
            b"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment",
            filename + b"\r\n\r\n",
        ]
    )


def _base64(data: bytes) -> bytes:
    """RFC 2045, 6.8: lines of 76 characters."""
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))


def _further(name: str, value: str) -> bytes:
    if not _HEADER_NAME.fullmatch(name) or _OURS.fullmatch(name):
        raise ValueError(f"A header named {name!a} can't be added.")
    # What programs read (List-Unsubscribe, RFC 2369) has no place for encoded words.
    written = plain(name, value) if name.lower().startswith("list-") else unstructured(name, value)
    return name.encode("ascii") + b": " + written


def _message_id(value: str) -> bytes:
    if not _MESSAGE_ID.fullmatch(value):
        raise ValueError("A Message-ID is letters@domain in ASCII, without angle brackets (RFC 5322, 3.6.4).")
    return value.encode("ascii")


def _crlf(text: str | bytes) -> bytes:
    """UTF-8 with each line end (CRLF, LF or a lone CR) as CRLF. Raises ValueError for lone surrogates."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.replace(b"\n", b"\r\n")


def _fits_8bit(data: bytes) -> bool:
    """True where 8bit can carry the data: no line above 998 octets, no NUL (RFC 2045, 2.8). Line ends are CRLF already.

    Jumps from a line end to the last one within reach, which is five times faster than splitting.
    """
    if b"\0" in data:
        return False
    start, reach = 0, MAX_LINE_BYTES + len(b"\r\n")
    while len(data) - start > MAX_LINE_BYTES:
        end = data.rfind(b"\n", start, start + reach)
        if end < 0:
            return False
        start = end + 1
    return True


def _boundary(rfc_message_id: str, bodies: Sequence[bytes]) -> bytes:
    """Return a boundary that no body contains; neither quoted-printable nor base64 can produce its =_."""
    seed = rfc_message_id.encode("utf-8", "surrogatepass")
    while True:
        seed = hashlib.sha256(seed).hexdigest().encode("ascii")
        boundary = b"=_" + seed[:32]
        if not any(boundary in body for body in bodies):
            return boundary
