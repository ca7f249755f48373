"""Encoding of header values: folded, in encoded words where needed, and safe from header injection.

Each function returns the value without the header's name, folded with CRLF and a blank. Text that merely looks
encoded (`=?utf-8?q?…?=`) is encoded itself, so that no reader decodes it into something else (CVE-2024-6923).
"""

import base64
import re
import unicodedata
from collections.abc import Iterator, Sequence
from urllib.parse import quote

#: RFC 5322, 2.1.1: the length that lines should not exceed, and the one they must not.
_LINE = 78
_MAX_LINE = 998
#: RFC 2047, 2: longest encoded word, and longest line with one.
_WORD = 75
_WORD_LINE = 76
_PREFIX = len("=?utf-8?q?") + len("?=")

#: RFC 2047, 5 (3): characters that need no encoding in a phrase, the strictest place.
_Q_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
#: Each octet in Q, and each character that is one.
_Q = tuple(b"_" if octet == 0x20 else b"%c" % octet if octet in _Q_SAFE else b"=%02X" % octet for octet in range(256))
_Q_ASCII = {chr(octet): _Q[octet] for octet in range(128)}
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: Characters of a file's name that its ASCII form is made of: the time of ordering accents grows with their square.
_MAX_NAME_LENGTH = 300
_TOKENS = re.compile(r"[!-~]+(?: [!-~]+)*")


def unstructured(name: str, value: str) -> bytes:
    """Encode a Subject or other free text. Raises ValueError for control characters."""
    _refuse_controls(name, value)
    if not value:
        return b""
    if _TOKENS.fullmatch(value) and "=?" not in value and max(map(len, value.split(" "))) < _MAX_LINE - _LINE:
        return _fold(len(name) + 2, value)
    return _encoded_words(len(name) + 2, value)


def plain(name: str, value: str) -> bytes:
    """Return a value for programs, unchanged. Raises ValueError where it can't stand in a header as it is."""
    _refuse_controls(name, value)
    if not _TOKENS.fullmatch(value) or "=?" in value or max(map(len, value.split(" "))) > _MAX_LINE - _LINE:
        raise ValueError(f"The header {name} must be plain ASCII with single blanks, without =?.")
    return _fold(len(name) + 2, value)


def named_address(name: str, display_name: str, address: str) -> bytes:
    """Encode `Display name <address>`, or the address alone, which is one from `addresses.parse`."""
    if not display_name:
        return address.encode("utf-8")
    _refuse_controls(name, display_name)
    start = len(name) + 2
    if "=?" in display_name or not display_name.isascii() or len(display_name) > 200:
        phrase = _encoded_words(start, display_name, cut_at_blanks=True)
    elif _ATOMS.fullmatch(display_name):
        phrase = _fold(start, display_name)
    else:
        phrase = b'"' + re.sub(r'(["\\])', r"\\\1", display_name).encode("ascii") + b'"'
    last_line = phrase.rpartition(b"\r\n")[2]
    used = len(last_line) + (start if last_line is phrase or b"\r\n" not in phrase else 0)
    separator = b" " if used + 3 + len(address) <= _LINE else b"\r\n "
    return phrase + separator + b"<" + address.encode("utf-8") + b">"


def address_list(name: str, addresses: Sequence[str], *, is_utf8: bool) -> bytes:
    """Encode a list of addresses in the form of envelopes (RFC 5322, 3.4), one a line where they would not fit.

    Unless headers may be UTF-8, an address with other letters than ASCII becomes an empty group of that name, as RFC
    6857 has it: it is seen, and no server has to know SMTPUTF8 for its sake.
    """
    written = b""
    for n, address in enumerate(addresses):
        is_plain = is_utf8 or address.isascii()
        item = address.encode("utf-8") if is_plain else _encoded_words(1, address) + b":;"
        item += b"," if n < len(addresses) - 1 else b""
        line = written.rpartition(b"\r\n")[2]
        used = len(line) + (len(name) + 2 if len(line) == len(written) else 0)
        has_room = used + 1 + len(item.partition(b"\r\n")[0]) <= _LINE
        written += item if not written else (b" " if has_room else b"\r\n ") + item
    return written


def file_name(name: str) -> tuple[bytes, bytes]:
    """Encode a file's name as parameters of Content-Type and Content-Disposition, on lines of their own; b"" for none.

    An ASCII name is a plain `filename`. Another is a `filename*` (RFC 2231), and Content-Type has a `name` as close as
    ASCII allows, for readers without RFC 2231; some would prefer a second `filename` to the real name.
    Raises ValueError for control characters.
    """
    _refuse_controls("Content-Disposition", name)
    if name.isascii() and "=?" not in name and len(name) <= 255:
        quoted = re.sub(r'(["\\])', r"\\\1", name)
        return b"", f';\r\n filename="{quoted}"'.encode("ascii")
    fallback = f';\r\n name="{_ascii_name(name)}"'
    pieces = list(_extended(name))
    if len(pieces) == 1:
        return fallback.encode("ascii"), f";\r\n filename*=utf-8''{pieces[0]}".encode("ascii")
    pieces[0] = "utf-8''" + pieces[0]
    sections = "".join(f";\r\n filename*{n}*={piece}" for n, piece in enumerate(pieces))
    return fallback.encode("ascii"), sections.encode("ascii")


def _refuse_controls(name: str, value: str) -> None:
    """Raise ValueError for control characters, lone surrogates and Unicode's line ends."""
    if not value.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value
    ):
        raise ValueError(f"The header {name} must be one line without control characters.")


def _fold(start: int, value: str) -> bytes:
    """Break at blanks so that lines stay within 78 where words allow; `start` is the length of the header's name."""
    lines, used = [""], start
    for word in value.split(" "):
        if lines[-1] and used + 1 + len(word) > _LINE:
            lines.append(word)
            used = 1 + len(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
            used += 1 + len(word)
    return "\r\n ".join(lines).encode("ascii")


def _encoded_words(start: int, value: str, *, cut_at_blanks: bool = False) -> bytes:
    """Encode as RFC 2047 words, one a line, in Q where most of the text stays readable, else in B.

    Words are cut between characters; in a phrase behind blanks where possible, because some readers (Python up to
    3.12) insert a blank between the words of a phrase.
    """
    data = value.encode("utf-8")
    as_q = (len(data) - len(data.translate(None, _Q_SAFE + b" "))) * 3 > len(data) * 2
    encoding, raw = ("q", _q) if as_q else ("b", _octets)
    # Of the raw octets of a line; base64 makes four of each three begun.
    first_room, room = (
        octets if as_q else octets // 4 * 3 for octets in (_WORD_LINE - start - _PREFIX, _WORD - _PREFIX)
    )
    lines, line, left = [], bytearray(), first_room
    for piece in _whole_units(raw(value), _units(value), room) if cut_at_blanks else raw(value):
        if len(piece) > left:
            lines.append(line)
            line, left = bytearray(), room
        line += piece
        left -= len(piece)
    lines.append(line)
    words = [(line if as_q else base64.b64encode(line)).decode("ascii") for line in lines]
    return "\r\n ".join(f"=?utf-8?{encoding}?{word}?=" if word else "" for word in words).encode("ascii")


def _units(value: str) -> list[str]:
    return re.findall(r"[^ ]+ *| +", value)


def _whole_units(pieces: list[bytes], units: list[str], room: int) -> Iterator[bytes]:
    """Join the pieces of each unit where they fit in a line; `pieces` has one for each character."""
    start = 0
    for unit in units:
        whole = b"".join(pieces[start : start + len(unit)])
        yield from [whole] if len(whole) <= room else pieces[start : start + len(unit)]
        start += len(unit)


def _q(text: str) -> list[bytes]:
    """Encode each character in Q."""
    return [_Q_ASCII.get(one) or b"".join([_Q[octet] for octet in one.encode("utf-8")]) for one in text]


def _octets(text: str) -> list[bytes]:
    return [one.encode("utf-8") for one in text]


def _ascii_name(name: str) -> str:
    """Return the name with letters without accents, and _ for other characters beyond ASCII."""
    decomposed = unicodedata.normalize("NFKD", name[-_MAX_NAME_LENGTH:])
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return re.sub(r"[^A-Za-z0-9 !#$&+,.;@^_`{}~()\[\]-]", "_", bare)[-150:] or "_"


def _extended(name: str) -> Iterator[str]:
    """Yield RFC 2231 pieces of at most 60 characters, cut between characters."""
    piece = ""
    for character in name:
        quoted = quote(character, safe="")
        if len(piece) + len(quoted) > 60:
            yield piece
            piece = ""
        piece += quoted
    yield piece
