"""Parameters of Content-Type and Content-Disposition: RFC 2045, and RFC 2231 for character sets and long values.

Read in one pass whatever they are; a broken one costs that one only.
"""

import re
from urllib.parse import unquote_to_bytes

from service.mail.charsets import decode
from service.mail.encoded_words import decode_words

#: Characters that are read of one header, and parameters of it.
_MAX_LENGTH = 16 * 1024
_MAX_PARAMETERS = 200
_NAME = re.compile(r"[\w!#$&^.+*'%-]+")
_BLANKS = re.compile(r"\s*")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
#: A section of a long value: its name, its number, and a star where it is percent-encoded.
_SECTION = re.compile(r"([^*]+)\*([0-9]{1,3})(\*?)")


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Return what is before the first semicolon, in lower case without comments, and the parameters by name."""
    value = value[:_MAX_LENGTH]
    kind, _, rest = value.partition(";")
    given: dict[str, str] = {}
    place = 0
    while place < len(rest) and len(given) < _MAX_PARAMETERS:
        name, text, place = _next(rest, place)
        if name:
            given.setdefault(name, text)
    return kind.partition("(")[0].strip().lower(), _joined(given)


def _next(text: str, place: int) -> tuple[str, str, int]:
    """Return the parameter at this place, its name "" where it is none, and where the next one begins."""
    name = _NAME.match(text, _behind_blanks(text, place))
    end = _behind_blanks(text, name.end()) if name else place
    if name is None or not text.startswith("=", end):
        return "", "", _after(text, end)
    begin = _behind_blanks(text, end + 1)
    if text.startswith('"', begin):
        closed = _closing_quote(text, begin + 1)
        return name[0].lower(), _QUOTED_PAIR.sub(r"\1", text[begin + 1 : closed]), _after(text, closed)
    after = _after(text, begin)
    bare = text[begin : after - 1] if text[after - 1 : after] == ";" else text[begin:after]
    return name[0].lower(), (bare.split() or [""])[0], after


def _behind_blanks(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks else place


def _after(text: str, place: int) -> int:
    end = text.find(";", place)
    return len(text) if end < 0 else end + 1


def _closing_quote(text: str, place: int) -> int:
    while place < len(text) and text[place] != '"':
        place += 2 if text[place] == "\\" else 1
    return min(place, len(text))


def _joined(given: dict[str, str]) -> dict[str, str]:
    """Join the sections of long values (RFC 2231, 3) and decode them (4); the encoded one wins over a plain one."""
    found: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, text in given.items():
        if matched := _SECTION.fullmatch(name):
            sections.setdefault(matched[1], {})[int(matched[2])] = text, bool(matched[3])
        elif name.endswith("*"):
            sections.setdefault(name[:-1], {})[0] = text, True
        else:
            found.setdefault(name, decode_words(text))
    for name, parts in sections.items():
        found[name] = _decoded([parts[number] for number in sorted(parts)])
    return found


def _decoded(parts: list[tuple[str, bool]]) -> str:
    charset = ""
    if parts[0][1] and parts[0][0].count("'") >= 2:
        charset, _, text = parts[0][0].split("'", 2)
        parts = [(text, True), *parts[1:]]
    data = [unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace") for text, encoded in parts]
    return decode(b"".join(data), charset)
