"""MIME parser for foreign mails: headers and parts of any bytes, within bounds and in linear time. Never raises.

The standard library's parser is not used because a bounce may come from a mail server of any year, often not MIME at
all, and anybody may send one: it recurses on depth, is quadratic in places and raises for odd headers. Here depth,
number of parts and bytes are bounded, and a broken header costs that header only. Beyond the bounds lies the returned
mail, whose end does not tell what became of it.
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.mail.charsets import decode
from service.mail.parameters import parse_parameters

#: Bytes that are read of one mail. A report precedes the mail that it returns; 2 MiB hold thousands of recipients.
MAX_READ_BYTES = 2 * 1024 * 1024
MAX_PARTS = 200
MAX_DEPTH = 8
MAX_HEADER_BYTES = 256 * 1024
_MAX_HEADERS = 1_000
#: Octets of a header's name that are read. RFC 5322, 2.1.1 allows lines of 998.
_MAX_NAME_BYTES = 1_000

_NOT_BASE64 = bytes(octet for octet in range(256) if not (chr(octet).isalnum() and octet < 128) and octet not in b"+/")
#: RFC 2046, 5.1.1 allows 70 characters.
_MAX_BOUNDARY_LENGTH = 200
_MAX_MARKS = 100_000
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
#: Content types of a returned mail or its headers: RFC 3462, RFC 6533 and older customs.
RETURNED_TYPES = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "text/rfc822-header",
        "text/rfc822",
        "message/rfc822-headers",
        "message/global-headers",
        "message/partial",
    }
)


@dataclass(frozen=True, slots=True)
class MimePart:
    """One part of a mail, or all of it. Names of headers are in lower case, values unfolded and in Unicode."""

    headers: Sequence[tuple[str, str]]
    content_type: str
    parameters: dict[str, str]
    body: bytes
    children: tuple["MimePart", ...] = ()

    def header(self, name: str) -> str:
        """Return the first header of this name, "" without one."""
        return next((value for key, value in self.headers if key == name), "")

    def every(self, name: str) -> list[str]:
        """Return all headers of this name, in order."""
        return [value for key, value in self.headers if key == name]

    @property
    def content(self) -> bytes:
        """The body without its transfer encoding."""
        return _undo_encoding(self.body, self.header("content-transfer-encoding"))

    @property
    def text(self) -> str:
        """The body as text: transfer encoding and character set undone, lines ended by LF."""
        text = decode(self.content, self.parameters.get("charset", ""))
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def walk(self) -> Iterator["MimePart"]:
        """Yield this part and all below it, in the order of the mail, without the parts of returned mails."""
        yield self
        for child in self.children:
            yield from child.walk()


class Bounds(NamedTuple):
    """How many parts of a mail are read, and how deep they may lie. What lies deeper is one part."""

    parts: int = MAX_PARTS
    depth: int = MAX_DEPTH


def read(raw: bytes) -> MimePart:
    """Parse the beginning of a returned mail. Lines may end in CRLF, LF or CR, and an mbox's first line is skipped."""
    raw = raw[:MAX_READ_BYTES].replace(b"\0", b"").replace(b"\r\n", b"\n")
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    return read_whole(raw, Bounds())


def read_whole(raw: bytes, bounds: Bounds) -> MimePart:
    """Parse a mail of any size whose lines end in LF or CRLF."""
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if raw.startswith((b"From ", b">From ")):
        raw = raw.partition(b"\n")[2]
    return _read_part(raw, bounds.depth, [bounds.parts])


def read_head(raw: bytes) -> list[tuple[str, str]]:
    """Return a mail's headers alone, their names as they are written."""
    return _split_head(raw[: 2 * MAX_HEADER_BYTES].lstrip(b"\r\n"), lower=False)[0]


def read_headers(text: str) -> MimePart:
    """Parse a text that begins with headers, perhaps wrapped by others; the body follows a blank line."""
    headers, body = _split_head(text.encode("utf-8", "surrogatepass"), wrapped=True)
    return MimePart(headers, *_content_type(headers), body)


def _read_part(raw: bytes, depth: int, left: list[int]) -> MimePart:
    left[0] -= 1
    headers, body = _split_head(raw)
    content_type, parameters = _content_type(headers)
    children: tuple[MimePart, ...] = ()
    if content_type.startswith("multipart/") and depth > 0:
        pieces = _split_multipart(body, parameters.get("boundary", ""), left[0])
        # The preamble is not a part (RFC 2046, 5.1.1), but the whole text where no part follows.
        children = tuple(_read_part(piece, depth - 1, left) for piece in pieces if left[0] > 0)
    return MimePart(headers, content_type, parameters, body, children)


def _split_head(raw: bytes, *, wrapped: bool = False, lower: bool = True) -> tuple[list[tuple[str, str]], bytes]:
    headers: list[tuple[str, bytearray]] = []
    place, end = 0, min(len(raw), MAX_HEADER_BYTES)
    while place < end:
        stop = raw.find(b"\n", place)
        stop = len(raw) if stop < 0 else stop
        line = raw[place:stop].rstrip(b"\r")
        if not line:
            place = stop + 1
            break
        named = _NAME.match(line[:_MAX_NAME_BYTES])
        if line[:1] in b" \t" or (wrapped and not named):
            if headers:
                headers[-1][1].extend(b" " + line.strip())
        elif named:
            if len(headers) < _MAX_HEADERS:
                name = named[1].decode("ascii")
                headers.append((name.lower() if lower else name, bytearray(line[named.end() :].strip())))
        elif not line.startswith((b"From ", b">From ")):
            break  # no header: the blank line was forgotten
        place = stop + 1
    return [(name, decode(bytes(value[:MAX_HEADER_BYTES])).strip()) for name, value in headers], raw[place:]


def _content_type(headers: Sequence[tuple[str, str]]) -> tuple[str, dict[str, str]]:
    value = next((value for name, value in headers if name == "content-type"), "")
    kind, parameters = parse_parameters(value)
    return kind if "/" in kind else "text/plain", parameters


def _split_multipart(body: bytes, boundary: str, most: int) -> list[bytes]:
    if not boundary or len(boundary) > _MAX_BOUNDARY_LENGTH:
        return []
    try:
        mark = b"\n--" + boundary.encode("latin-1")
    except UnicodeEncodeError:
        mark = b"\n--" + boundary.encode("utf-8", "replace")
    body = b"\n" + body
    pieces: list[bytes] = []
    place = body.find(mark)
    for _ in range(_MAX_MARKS):  # also lines that only begin like a boundary
        if place < 0 or len(pieces) >= most:
            break
        line_end = body.find(b"\n", place + 1)
        rest = body[place + len(mark) : line_end if line_end >= 0 else len(body)].strip()
        following = body.find(mark, line_end) if line_end >= 0 else -1
        if rest == b"--" or line_end < 0:
            break
        if not rest:  # another boundary may begin with this one
            # The line end before a boundary belongs to it (RFC 2046, 5.1.1).
            piece = body[line_end + 1 : following if following >= 0 else len(body)]
            pieces.append(piece.removesuffix(b"\r") if following >= 0 else piece)
        place = following
    return pieces


def _undo_encoding(body: bytes, name: str) -> bytes:
    name = name.partition(";")[0].partition("(")[0].strip().lower()
    if name == "quoted-printable":
        return binascii.a2b_qp(body)
    if name == "base64":
        letters = body.translate(None, _NOT_BASE64)
        letters = letters[: len(letters) - (len(letters) % 4 == 1)]
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    return body
