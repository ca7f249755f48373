"""Encoded words of headers (RFC 2047, RFC 2231), decoded in linear time; broken ones stay as they are.

The standard library's `decode_header` is quadratic in their number, and raises for several kinds of broken ones.
"""

import binascii
import re

from service.mail.charsets import decode

#: Character set with an optional language, encoding, text. Some programs leave blanks in the text.
_WORD = re.compile(r"=\?([^\s?*=]{1,40})(?:\*[^\s?*=]{0,40})?\?([bBqQ])\?([^?\r\n]*)\?=")
#: Octets of a header that are decoded; the rest stays as it is.
_MAX_LENGTH = 64 * 1024


def decode_words(value: str) -> str:
    """Decode the encoded words in a header's text; white space between two of them is dropped (RFC 2047, 6.2)."""
    if "=?" not in value:
        return value
    head, rest = value[:_MAX_LENGTH], value[_MAX_LENGTH:]
    texts: list[str] = []
    open_words: tuple[str, list[bytes]] | None = None  # a character may be divided between words of one character set
    place = 0
    for found in _WORD.finditer(head):
        data = _decoded(found[2].lower(), found[3])
        if data is None:
            continue
        between = head[place : found.start()]
        charset = found[1].lower()
        if open_words is not None and open_words[0] == charset and not between.strip():
            open_words[1].append(data)
        else:
            texts += [_text(open_words), between if open_words is None or between.strip() else ""]
            open_words = charset, [data]
        place = found.end()
    return "".join([*texts, _text(open_words), head[place:], rest])


def _decoded(encoding: str, text: str) -> bytes | None:
    if not text.isascii():
        return None
    try:
        if encoding == "q":
            return binascii.a2b_qp(text.encode("ascii"), header=True)
        return binascii.a2b_base64(text.rstrip("= \t") + "==")
    except (binascii.Error, ValueError):
        return None


def _text(words: tuple[str, list[bytes]] | None) -> str:
    return decode(b"".join(words[1]), words[0]) if words is not None else ""
