"""A tokenizer of foreign HTML with linear cost: each character is looked at a bounded number of times.

The standard library's parser looks for the end of a tag again at each `<` that has none, up to Python 3.13.5. What
never ends is read as browsers read it: the rest of the document belongs to it.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

#: Elements whose content is text up to their end tag (HTML, 13.2.5.1).
RAW_TEXT = frozenset({"script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp"})

_MARKUP = re.compile(r"<(?=[A-Za-z!?/])")
_TAG_NAME = re.compile(r"[^\s/>]+")
_BETWEEN = re.compile(r"[\s/]*")
_ATTRIBUTE_NAME = re.compile(r"[^\s/>][^\s/>=]*")
_BLANKS = re.compile(r"\s*")
_BARE_VALUE = re.compile(r"[^\s>]*")
#: A reference to a number that no character has; `int` refuses one of 4,300 digits.
_LONG_REFERENCE = re.compile(r"&#(?:[0-9]{20,}|[xX][0-9A-Fa-f]{20,});?")


@dataclass(frozen=True, slots=True)
class HtmlToken:
    """A part of a document, `text` its source.

    `name` and `attributes` are those of a tag: in lower case, values without quotes and references. An attribute
    without a value has None, and of several of one name the first counts.
    """

    kind: Literal["text", "raw", "open", "close", "markup"]
    text: str
    name: str = ""
    attributes: tuple[tuple[str, str | None], ...] = ()


def tokens(document: str) -> Iterator[HtmlToken]:
    """Yield the parts of a document in order; `raw` is the content of elements that hold text, `markup` a comment."""
    place = text_start = 0
    while found := _MARKUP.search(document, place):
        start = found.start()
        token = _token(document, start)
        if token is None:  # "</" without a name is text
            place = start + 2
            continue
        if start > text_start:
            yield HtmlToken("text", document[text_start:start])
        yield token
        place = text_start = start + len(token.text)
        if token.kind == "open" and token.name in RAW_TEXT:
            text_start = place = _end_of_raw(document, token.name, place)
            if place > start + len(token.text):
                yield HtmlToken("raw", document[start + len(token.text) : place], token.name)
    if text_start < len(document):
        yield HtmlToken("text", document[text_start:])


def unescape(text: str) -> str:
    """Replace character references; unlike `html.unescape` it takes numbers of any length."""
    if "&#" in text:
        text = _LONG_REFERENCE.sub("\ufffd", text)
    return html.unescape(text)


def _token(document: str, start: int) -> HtmlToken | None:
    following = document[start + 1]
    if following in "!?":
        closing = "-->" if document.startswith("<!--", start) else ">"
        return HtmlToken("markup", document[start : _after(document, closing, start + 2)])
    closes = following == "/"
    name = _TAG_NAME.match(document, start + 1 + closes)
    if name is None or not name[0][0].isalpha():
        # "</>" is nothing, "</3>" a comment, and "</" at the end text.
        end = _after(document, ">", start)
        return HtmlToken("markup", document[start:end]) if end > start + 2 and document[end - 1] == ">" else None
    attributes, end = _attributes(document, name.end())
    kind: Literal["open", "close"] = "close" if closes else "open"
    return HtmlToken(kind, document[start:end], name[0].lower(), tuple(attributes.items()))


def _attributes(document: str, place: int) -> tuple[dict[str, str | None], int]:
    """Return the attributes from here and the place behind the tag's end."""
    found: dict[str, str | None] = {}
    while True:
        if between := _BETWEEN.match(document, place):
            place = between.end()
        name = _ATTRIBUTE_NAME.match(document, place)
        if name is None:  # ">" or the end of the document
            return found, min(place + 1, len(document))
        value, place = None, _behind_blanks(document, name.end())
        if document.startswith("=", place):
            value, place = _value(document, _behind_blanks(document, place + 1))
        found.setdefault(name[0].lower(), value)


def _value(document: str, place: int) -> tuple[str, int]:
    mark = document[place : place + 1]
    if mark in ('"', "'"):
        end = document.find(mark, place + 1)
        end = len(document) if end < 0 else end
        return unescape(document[place + 1 : end]), min(end + 1, len(document))
    bare = _BARE_VALUE.match(document, place)
    return (unescape(bare[0]), bare.end()) if bare else ("", place)


def _behind_blanks(document: str, place: int) -> int:
    blanks = _BLANKS.match(document, place)
    return blanks.end() if blanks else place


def _after(document: str, closing: str, place: int) -> int:
    end = document.find(closing, place)
    return len(document) if end < 0 else end + len(closing)


def _end_of_raw(document: str, name: str, place: int) -> int:
    """Return where the end tag begins; elements of this kind don't nest, so each is looked for once."""
    found = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(document, place)
    return found.start() if found else len(document)
