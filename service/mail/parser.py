"""MIME parser for returned mail: headers and parts of any bytes, within bounds. Never raises.

The standard library's parser is not used because a bounce may come from a mail server of any year, often not MIME at
all, and anybody may send one. Here depth, number of parts and bytes are bounded, and a broken header costs that header
only. Beyond the bounds lies the returned mail, whose end does not tell what became of it.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.header import decode_header

#: Bytes that are read of one mail. A report precedes the mail that it returns; 2 MiB hold thousands of recipients.
MAX_READ_BYTES = 2 * 1024 * 1024
MAX_PARTS = 200
MAX_DEPTH = 8
MAX_HEADER_BYTES = 256 * 1024
_MAX_HEADERS = 1_000

_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_PARAMETER = re.compile(r';\s*([\w!#$&^.+-]+)\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
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
    def text(self) -> str:
        """The body as text: transfer encoding and character set undone, lines ended by LF."""
        body = _undo_encoding(self.body, self.header("content-transfer-encoding"))
        return decode(body, self.parameters.get("charset", "")).replace("\r\n", "\n").replace("\r", "\n")

    def walk(self) -> Iterator["MimePart"]:
        """Yield this part and all below it, in the order of the mail, without the parts of returned mails."""
        yield self
        for child in self.children:
            yield from child.walk()


def read(raw: bytes) -> MimePart:
    """Parse a mail. Lines may end in CRLF, LF or CR, and an mbox's first line is skipped."""
    raw = raw[:MAX_READ_BYTES].replace(b"\0", b"").replace(b"\r\n", b"\n")
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\n")
    if raw.startswith((b"From ", b">From ")):
        raw = raw.partition(b"\n")[2]
    return _read_part(raw, 0, [MAX_PARTS])


def read_headers(text: str) -> MimePart:
    """Parse a text that begins with headers, perhaps wrapped by others; the body follows a blank line."""
    headers, body = _split_head(text.encode("utf-8", "surrogatepass"), wrapped=True)
    return MimePart(headers, *_content_type(headers), body)


def decode(data: bytes, charset: str) -> str:
    """Decode text; where the character set is unknown or wrong, as UTF-8, then as Latin-1, which decodes anything."""
    for name in (charset.strip("\"' "), "utf-8"):
        if name:
            try:
                return data.decode(name)
            except (LookupError, UnicodeError, ValueError):
                continue
    if charset.lower().startswith(("iso-2022", "shift", "euc", "gb", "big5", "cp932", "utf")):
        try:
            return data.decode(charset, "replace")
        except (LookupError, UnicodeError, ValueError):
            pass
    return data.decode("latin-1")


def decode_words(value: str) -> str:
    """Decode the encoded words (RFC 2047) of a header's text; broken ones stay as they are."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except Exception:  # the library raises several kinds for broken encoded words
        return value
    return "".join(piece if isinstance(piece, str) else decode(piece, charset or "") for piece, charset in pieces)


def _read_part(raw: bytes, depth: int, left: list[int]) -> MimePart:
    left[0] -= 1
    headers, body = _split_head(raw)
    content_type, parameters = _content_type(headers)
    children: tuple[MimePart, ...] = ()
    if content_type.startswith("multipart/") and depth < MAX_DEPTH:
        pieces = _split_multipart(body, parameters.get("boundary", ""), left[0])
        # The preamble is not a part (RFC 2046, 5.1.1), but the whole text where no part follows.
        children = tuple(_read_part(piece, depth + 1, left) for piece in pieces if left[0] > 0)
    return MimePart(headers, content_type, parameters, body, children)


def _split_head(raw: bytes, *, wrapped: bool = False) -> tuple[list[tuple[str, str]], bytes]:
    headers: list[tuple[str, bytearray]] = []
    place, end = 0, min(len(raw), MAX_HEADER_BYTES)
    while place < end:
        stop = raw.find(b"\n", place)
        stop = len(raw) if stop < 0 else stop
        line = raw[place:stop].rstrip(b"\r")
        if not line:
            place = stop + 1
            break
        if line[:1] in b" \t" or (wrapped and not _NAME.fullmatch(line)):
            if headers:
                headers[-1][1].extend(b" " + line.strip())
        elif matched := _NAME.fullmatch(line):
            if len(headers) < _MAX_HEADERS:
                headers.append((matched[1].decode("ascii").lower(), bytearray(matched[2].strip())))
        elif not line.startswith((b"From ", b">From ")):
            break  # no header: the blank line was forgotten
        place = stop + 1
    return [(name, decode(bytes(value), "").strip()) for name, value in headers], raw[place:]


def _content_type(headers: Sequence[tuple[str, str]]) -> tuple[str, dict[str, str]]:
    value = next((value for name, value in headers if name == "content-type"), "")
    kind = value.partition(";")[0].strip().lower()
    parameters = {
        found[1].lower(): re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        for found in _PARAMETER.finditer(value)
    }
    return kind if "/" in kind else "text/plain", parameters


def _split_multipart(body: bytes, boundary: str, most: int) -> list[bytes]:
    try:
        mark = b"\n--" + boundary.encode("latin-1")
    except UnicodeEncodeError:
        mark = b"\n--" + boundary.encode("utf-8", "replace")
    if not boundary:
        return []
    body = b"\n" + body
    pieces: list[bytes] = []
    place = body.find(mark)
    while place >= 0 and len(pieces) < most:
        line_end = body.find(b"\n", place + 1)
        rest = body[place + len(mark) : line_end if line_end >= 0 else len(body)].strip()
        following = body.find(mark, line_end) if line_end >= 0 else -1
        if rest == b"--" or line_end < 0:
            break
        if not rest:  # another boundary may begin with this one
            pieces.append(body[line_end + 1 : following if following >= 0 else len(body)])
        place = following
    return pieces


def _undo_encoding(body: bytes, name: str) -> bytes:
    name = name.partition(";")[0].strip().lower()
    if name == "quoted-printable":
        return quopri.decodestring(body)
    if name == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        try:
            return base64.b64decode(letters[: len(letters) // 4 * 4] + b"=" * 0) + _tail(letters)
        except binascii.Error:
            return body
    return body


def _tail(letters: bytes) -> bytes:
    rest = letters[len(letters) // 4 * 4 :]
    return base64.b64decode(rest + b"=" * (-len(rest) % 4)) if len(rest) > 1 else b""
