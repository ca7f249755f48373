"""Raised, struck and linked HTML in plain text."""

import re
from urllib.parse import unquote

from service.templates.jinja.restore import LINK_BEGIN, LINK_END
from service.templates.jinja.tokens import PLACEHOLDER, Tokens

_ABOVE = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")  # a true minus sign
_BELOW = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_SIGNS = {"tm": "™", "sm": "℠"}
#: Ends of ordinals and abbreviations, which are read the same on the line: 1er, 2e, no, Mme, 4th.
_ENDINGS = frozenset(
    ["e", "er", "ers", "re", "res", "ere", "ère", "eme", "ème", "nd", "nde", "ds", "o", "os", "me", "mes"]
)
_ENDINGS |= {"lle", "lles", "gr", "rs", "st", "rd", "th"}
_NUMBERS = frozenset({"tel", "sms"})


def raised(text: str, *, is_below: bool) -> str:
    """The text of `<sup>` or `<sub>`: 10⁶, H₂O, x^(a+b), 1er."""
    inner = text.strip()
    if not re.search(r"\w", inner) or (not is_below and inner.lower() in _ENDINGS):
        return text
    if inner.lower() in _SIGNS:
        return _SIGNS[inner.lower()]
    table = _BELOW if is_below else _ABOVE
    if all(ord(character) in table for character in inner):
        return inner.translate(table)
    sign = "_" if is_below else "^"
    return f"{sign}{inner}" if inner.isalnum() or PLACEHOLDER.fullmatch(inner) else f"{sign}({inner})"


def struck(text: str) -> str:
    """A text that is crossed out: ~~12 000~~."""
    inner = text.strip(" \n\x1d\x1e\x1f")
    if not inner:
        return text
    start = text.index(inner)
    return f"{text[:start]}~~{inner}~~{text[start + len(inner) :]}"


def beside_label(label: str, link: str, tokens: Tokens) -> str:
    """What is written beside the label of a link: its URL, its address or number; "" if the label says it already."""
    if not link or link.startswith("#"):
        return ""
    scheme, _, rest = link.partition(":")
    scheme = scheme.lower()
    if scheme == "mailto" or scheme in _NUMBERS:
        address = rest.partition("?")[0]
        address = address if PLACEHOLDER.search(address) else unquote(address)
        return "" if _says(label, address, tokens, is_number=scheme in _NUMBERS) else address
    if _says(label, link, tokens, is_number=False):
        return ""
    return f"{LINK_BEGIN}{link}{LINK_END}" if PLACEHOLDER.search(link) else link


def _says(label: str, address: str, tokens: Tokens, *, is_number: bool) -> bool:
    """True if the label holds the address, or the same number in other groups."""
    label, address = (PLACEHOLDER.sub(lambda found: _value(tokens, found), one) for one in (label, address))
    if not is_number:
        return address in label
    label, address = (re.sub(r"[\s().\u00a0\u202f-]", "", one) for one in (label, address))
    return address in label


def _value(tokens: Tokens, found: re.Match[str]) -> str:
    """The expression of a placeholder without its filters, so that `{{ phone }}` and `{{ phone|trim }}` are one."""
    return f"\0{tokens[int(found[1])].body.partition('|')[0].strip()}\0"
