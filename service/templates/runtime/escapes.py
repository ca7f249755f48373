"""Escapes by context: each takes the value of an expression and returns text for its place, or raises `Unprintable`.

The result of those in `ESCAPES` is printed as it is.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import markupsafe
from jinja2 import Undefined
from markupsafe import Markup, escape

from service.mail.html_tokens import unescape
from service.templates.runtime.meter import Captured

#: Escapes HTML's five characters in a plain text. The exported function also builds a `Markup` for each value, which
#: would be half of the cost of printing.
ESCAPE_PLAIN: Callable[[str], str] = markupsafe._escape_inner  # type: ignore[attr-defined]
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBERS = (int, float, Decimal)
#: RFC 3986 reserved and unreserved characters that a URL from a value keeps, and "%" because parts may be encoded.
_URL_SAFE = "%/:=?&#;,@+$!*~[]-._"
_SCHEMES = ("http", "https", "mailto", "tel", "cid")
#: Matches links that need no encoding, which most are.
PLAIN_URL = re.compile(r"(?:https?|mailto|tel|cid):[A-Za-z0-9%/:=?&#;,@+$!*~\[\]._-]*").fullmatch
#: Matches colours and sizes, which most CSS values are.
PLAIN_CSS = re.compile(r"#[0-9A-Fa-f]+|[0-9.]+(?:px|em|%)?").fullmatch
_CSS_VALUE = re.compile(r"[\w#%.,+\- ()]*")
_CSS_REFUSED = re.compile(r"url|expression|import|--|behavior|binding", re.I)


class Unprintable(ValueError):
    """A value can't be printed in its place; the message says why."""


class Encoded(str):
    """A text that `|urlencode` has encoded for a URL; a part of a URL is not encoded again."""

    __slots__ = ()


def has_marks(text: str) -> bool:
    """True if a text holds control characters other than white space."""
    return _CONTROL.search(text) is not None


def clean(value: str) -> str:
    """Remove control characters, and replace lone surrogates, which no encoding has."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", value))


def printable(value: Any) -> str:
    """Convert a text, number or date to text. Raises Unprintable for null, lists, objects and other values."""
    if isinstance(value, str):
        return value if value.isprintable() else clean(value)
    if isinstance(value, (*_NUMBERS, date, datetime)):
        return str(value)
    if isinstance(value, Undefined):
        return str(value)  # raises
    if value is None:
        raise Unprintable("the value is null; guard it with {% if %} or |default")
    kind = "an object" if isinstance(value, dict) else "a list" if isinstance(value, (list, tuple)) else "no text"
    raise Unprintable(f"the value is {kind}; print its parts")


def escape_text(value: Any) -> str:
    """Escape a value for HTML text; `Markup` (|safe, a macro's result) is printed as it is."""
    kind = type(value)
    if kind is str:
        return ESCAPE_PLAIN(value if value.isprintable() else clean(value))
    if kind is int:
        return str(value)
    if kind is Markup:
        return clean(value) if not value.isprintable() else value
    return str(escape(printable(value)))


def escape_attribute(value: Any) -> str:
    """Escape a value for a quoted attribute; HTML is escaped as text, so that it can't end the attribute."""
    return ESCAPE_PLAIN(plain(value))


def plain(value: Any) -> str:
    """Convert a value to plain text; entities in HTML are unescaped, tags are kept."""
    if type(value) is str and value.isprintable():
        return value
    if type(value) is Captured:
        return value  # all values in it have been cleaned
    text = printable(value)
    return unescape(str(text)) if isinstance(value, Markup) else text


def escape_url(value: Any) -> str:
    """Escape the start of a URL in an attribute. Raises Unprintable for a scheme that is not allowed, or none."""
    return ESCAPE_PLAIN(escape_style_url(value))


def escape_style_url(value: Any) -> str:
    """Encode the start of a URL in a style element, which has no entities; no quote or bracket is left.

    Raises Unprintable for a scheme that is not allowed, or none.
    """
    if type(value) is str and PLAIN_URL(value):
        return value
    text = plain(value).strip()
    bare = re.sub(r"[\x00-\x20\x7f-\xa0\u2028\u2029]", "", text)
    scheme, colon, _ = bare.partition(":")
    if not colon or scheme.lower() not in _SCHEMES:
        shown = bare[:30] + ("…" if len(bare) > 30 else "")
        raise Unprintable(f'"{shown}" is not a valid link; it must begin with https://, http://, mailto:, tel: or cid:')
    return quote(text, safe=_URL_SAFE, errors="replace")


def escape_url_part(value: Any) -> str:
    """Encode a later part of a URL: everything but unreserved characters, "/" too."""
    return ESCAPE_PLAIN(escape_style_url_part(value))


def escape_style_url_part(value: Any) -> str:
    """Encode a later part of a URL in a style element or in plain text, which have no entities."""
    if type(value) is Encoded:
        return value.replace("/", "%2F")
    return quote(plain(value), safe="-._~", errors="replace")


def escape_url_mail(value: Any) -> str:
    """Encode a part of a mailto: or tel: URL, where "@" and "+" are kept (RFC 6068, RFC 3966)."""
    return ESCAPE_PLAIN(value) if type(value) is Encoded else quote(plain(value), safe="@+-._~", errors="replace")


def escape_css(value: Any) -> str:
    """Check a CSS value: a narrow alphabet, and no function that fetches or runs. Raises Unprintable for others."""
    if type(value) is str and PLAIN_CSS(value):
        return value
    text = plain(value)
    if not _CSS_VALUE.fullmatch(text) or _CSS_REFUSED.search(text):
        shown = text[:30] + ("…" if len(text) > 30 else "")
        raise Unprintable(f'"{shown}" is not a plain CSS value: only letters, digits and # % . , + - ( ) are allowed')
    return text


def strip_tags(value: Any) -> str:
    """Strip the tags of HTML and unescape entities, for the plain text part."""
    text = str(printable(value))
    pieces: list[str] = []
    place = 0
    while (start := text.find("<", place)) >= 0 and (end := text.find(">", start)) >= 0:
        pieces.append(text[place:start])
        place = end + 1
    return unescape("".join([*pieces, text[place:]]))


#: The escapes by the filter names that `jinja.restore` writes.
ESCAPES = {
    "_attribute": escape_attribute,
    "_css": escape_css,
    "_url": escape_url,
    "_url_part": escape_url_part,
    "_url_mail": escape_url_mail,
    "_style_url": escape_style_url,
    "_style_url_part": escape_style_url_part,
    "_style_url_mail": escape_style_url_part,
}
