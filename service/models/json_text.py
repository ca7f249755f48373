"""Decode a JSON text of a stranger: bounded in what it becomes, and with each name of an object at most once."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from service.errors import InvalidRequest, MalformedRequest, Problem, TooLarge, pointer

#: Values of one text. Each takes some 70 bytes once it is decoded, however short it was written: `[],` a million times
#: is 3 MB of JSON.
MAX_VALUES = 1_000_000
#: A text is looked through in pieces of this size, so that looking takes little memory.
_PIECE_BYTES = 256 * 1024
#: Repeated names that a refusal lists.
_MAX_PROBLEMS = 100


def decode(body: bytes) -> Any:
    """Decode one JSON text (RFC 8259: NaN and lone surrogates are none).

    Raises MalformedRequest where it is not one, TooLarge for more than MAX_VALUES values, and InvalidRequest for a
    value that can't be taken, and with a pointer for each name that an object has twice: readers disagree which counts.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        _count(body)  # those in strings are no values
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply.") from None
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            "The body holds a value that can't be taken.", [Problem("", "value", str(error))]
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"The body is not JSON: {error}.") from None
    require_unique_names(body, value)
    return value


def require_unique_names(body: bytes, value: object) -> None:
    """Raise InvalidRequest as `decode` does, for a body that was decoded to this value."""
    members = _count_members(value)
    # There is a colon behind each name. Most texts have no others; only else the strings are left out.
    if body.count(b":") != members and _count(body) != members:
        raise _with_repeated_names(body)


def _count(body: bytes) -> int:
    """Count the names of all objects, repeated ones too. Raises TooLarge where there are too many values."""
    names, values = 0, 0
    for piece in _outside_strings(body):
        names += piece.count(b":")
        values += piece.count(b",") + piece.count(b"[") + piece.count(b"{")
        if values > MAX_VALUES:
            raise TooLarge(f"The body holds more than {MAX_VALUES:,} values.")
    return names


def _outside_strings(body: bytes) -> Iterator[bytes]:
    """What stands outside of strings, in pieces. Quotes of a text that is no JSON may be taken for others."""
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    start = 0
    while start < len(text):
        end = start + _PIECE_BYTES
        piece = text[start:end]
        if piece.count(b'"') % 2:  # it ends within a string
            end = text.find(b'"', end) + 1 or len(text)
            piece = text[start:end]
        yield b"".join(piece.split(b'"')[::2])
        start = end


def _count_members(value: object) -> int:
    """Count the members of all objects in a decoded value."""
    found, left = 0, [value]
    while left:
        one = left.pop()
        if type(one) is dict:
            found += len(one)
            left += one.values()
        elif type(one) is list:
            left += one
    return found


class _Members(dict[str, Any]):
    """An object of JSON that knows which of its names came twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = {name for name, _ in pairs if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _with_repeated_names(body: bytes) -> InvalidRequest:
    """The refusal, with a pointer to each repeated name; of two members with one name, only the last is looked into."""
    try:
        value = json.loads(body, object_pairs_hook=_Members)
    except (ValueError, RecursionError):  # the standard library takes less than msgspec does
        value = None
    problems = []
    left: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while left:
        path, one = left.pop()
        if isinstance(one, _Members):
            problems += [Problem(pointer(*path, name), "repeated", "this name is given twice") for name in one.repeated]
            left.extend(((*path, name), inner) for name, inner in one.items())
        elif isinstance(one, list):
            left.extend(((*path, n), inner) for n, inner in enumerate(one))
    problems = sorted(problems, key=lambda problem: problem.pointer)[:_MAX_PROBLEMS]
    return InvalidRequest("The body has a name twice in one object.", problems)
