r"""A scanner of CSS (CSS Syntax Module Level 3) that resolves comments and escapes, in which nothing can hide.

`@\69mport` and `@im/**/port` are what cssutils reads as `@import`, once comments are taken out.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import accumulate
from typing import NoReturn

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.escape_contexts import LINK_HINT, harmful_scheme
from service.templates.mjml.parse import Slice
from service.templates.size_limits import MAX_CSS_BRACKETS

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.?)*(?:"|\n|\Z)|'(?:[^'\\\n]|\\.?)*(?:'|\n|\Z))"""
    r"|(?P<word>@?(?:[-\w]|\\(?:[0-9a-fA-F]{1,6}\s?|[^\n]))+)(?P<function>\()?|(?P<open>[({\[])|(?P<close>[)}\]])",
    re.S,
)
_URL = re.compile(r"""\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|((?:[^)\\]|\\.)*))""", re.S)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.S)
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Rule:
    """The text before a brace, such as the selectors of a rule, and the offset where it begins."""

    prelude: str
    start: int


def rules(css: str) -> Iterator[Rule]:
    """Yield the rules of a style sheet, those inside of `@media` and the like too."""
    start = 0
    for brace in re.finditer(r"[{}]", css):
        if brace[0] == "{" and brace.start() > start:
            yield Rule(css[start : brace.start()], start)
        start = brace.end()


def without_comments(css: str) -> str:
    """The CSS without comments, and without the marks that once hid it from old browsers."""
    return "".join(text for text, _ in _parts(css))


def _parts(css: str) -> Iterator[tuple[str, int]]:
    """The text between comments, each with its offset; a comment that never ends is text."""
    position = 0
    for found in re.finditer(r"/\*|<!--|-->", css):
        if found.start() < position:
            continue
        end = css.find("*/", found.end()) + 2 if found[0] == "/*" else found.end()
        if end < found.end():
            break
        yield css[position : found.start()], position
        position = end
    yield css[position:], position


def check_css(css: Slice, collector: FindingCollector, *, is_attribute: bool = False) -> None:
    """Refuse CSS that loads a style sheet, links to a harmful scheme, or has brackets too deep inside each other.

    `is_attribute` is for declarations in an attribute, with references in place of characters. Raises CompileAborted;
    reported.
    """
    _Check(css, collector, is_attribute=is_attribute).run()


class _Check:
    def __init__(self, css: Slice, collector: FindingCollector, *, is_attribute: bool) -> None:
        self._css = css
        self._collector = collector
        self._is_attribute = is_attribute
        parts = list(_parts(unescape(css.text) if is_attribute else css.text))
        self._text = "".join(part for part, _ in parts)
        self._origins = [origin for _, origin in parts]
        self._starts = [0, *accumulate(len(part) for part, _ in parts)]

    def run(self) -> None:
        if (comment := self._text.find("/*")) >= 0:
            self._refuse(comment, "malformed-tag", "this comment never ends", "close it with */")
        depth = position = 0
        while found := _TOKEN.search(self._text, position):
            position = found.end()
            depth += bool(found["open"] or found["function"]) - bool(found["close"])
            if depth > MAX_CSS_BRACKETS:
                message = f"more than {MAX_CSS_BRACKETS} brackets inside each other"
                self._refuse(found.start(), "too-deep", message, "use fewer levels")
            word = _resolved(found["word"] or "").lower()
            if word == "@import":
                self._refuse(found.start(), "css-import", "@import would fetch another file", "write the rules here")
            if word == "url" and found["function"]:
                position = self._url(position)

    def _url(self, start: int) -> int:
        """Check the link that begins at `start`; returns the offset of its end."""
        link = _URL.match(self._text, start)
        if link is None:
            return start
        written = next((one for one in link.groups() if one), "")
        if scheme := harmful_scheme("src", _resolved(written)):
            self._refuse(start, "harmful-link", f'links with "{scheme}:" are not allowed', LINK_HINT)
        return link.end()

    def _refuse(self, offset: int, code: str, message: str, hint: str) -> NoReturn:
        index = bisect.bisect_right(self._starts, offset, hi=len(self._origins)) - 1
        origin = 0 if self._is_attribute else self._origins[index] + offset - self._starts[index]
        self._collector.error(self._css.place(origin), code, message, hint)
        raise CompileAborted


def _resolved(text: str) -> str:
    """The text with its escapes resolved (CSS Syntax Module Level 3, 4.3.7)."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return "" if escape[2] == "\n" else str(escape[2])
    number = int(escape[1], 16)
    return chr(number) if 0 < number <= _LAST_CODE_POINT else "\ufffd"
