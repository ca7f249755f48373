"""A scanner of HTML with positions, for the content of MJML elements and for the output of mrml.

It is no HTML parser: it yields comments, tags and text in their order and builds no tree.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
#: Elements whose content is always text.
RAW_TEXT = frozenset({"style", "script", "title", "textarea"})
_RAW_ENDS = {name: re.compile(rf"</\s*{name}\s*>", re.I) for name in RAW_TEXT}

_TAG = re.compile(r"""<(?P<slash>/?)\s*(?P<name>[A-Za-z][\w:.-]*+)(?:[^>"']|"[^"]*"|'[^']*')*>""")
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])")
_NAME_END = re.compile(r"<\s*[\w:.-]*")
_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute in a tag. `value` is without quotes, None if there is only a name; the starts are offsets."""

    name: str
    value: str | None
    start: int
    value_start: int


@dataclass(frozen=True, slots=True)
class HtmlToken:
    """A comment, a declaration, a tag, or text. `text` is its source at offset `start`; `name` is in lower case."""

    kind: Literal["comment", "declaration", "open", "close", "text", "raw"]
    text: str
    start: int
    name: str = ""

    @property
    def closes_itself(self) -> bool:
        """True for an opening tag that ends with `/>`."""
        return self.kind == "open" and self.text.endswith("/>")

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes of an opening tag in their order, parsed at each access."""
        inside = self.text[: -2 if self.closes_itself else -1]
        name = _NAME_END.match(inside)
        return tuple(_attribute(found, self.start) for found in _ATTRIBUTE.finditer(inside, name.end() if name else 0))


def scan_html(html: str) -> Iterator[HtmlToken]:
    """Yield the parts of `html` without gaps; the content of style, script, title and textarea is one `raw` part.

    From a tag or comment that never ends, the rest is text: checks find it there, and no part is scanned twice.
    """
    position = text_start = 0
    while found := _MARKUP.search(html, position):
        part = _markup(html, found.start())
        if part is None:
            break
        if part.start > text_start:
            yield HtmlToken("text", html[text_start : part.start], text_start)
        yield part
        position = text_start = part.start + len(part.text)
        if part.kind == "open" and part.name in RAW_TEXT and not part.closes_itself:
            end = _RAW_ENDS[part.name].search(html, position)
            text_start = position = end.start() if end else len(html)
            if position > part.start + len(part.text):
                yield HtmlToken(
                    "raw", html[part.start + len(part.text) : position], part.start + len(part.text), part.name
                )
    if text_start < len(html):
        yield HtmlToken("text", html[text_start:], text_start)


def without_html_comments(html: str, filling: str = "") -> str:
    """The text without its comments; `filling` stands for each of their characters. One that never ends is text."""
    out: list[str] = []
    position = 0
    while (start := html.find("<!--", position)) >= 0:
        end = html.find("-->", start + 4) + 3
        if end < 3:
            break
        out += [html[position:start], filling * (end - start)]
        position = end
    return "".join(out) + html[position:]


def _markup(html: str, start: int) -> HtmlToken | None:
    """The comment, declaration or tag that begins at `start`; None if it never ends."""
    if html.startswith("<!--", start):
        end = html.find("-->", start + 4)
        return HtmlToken("comment", html[start : end + 3], start) if end >= 0 else None
    if html[start + 1] in "!?":
        end = html.find(">", start)
        return HtmlToken("declaration", html[start : end + 1], start) if end >= 0 else None
    tag = _TAG.match(html, start)
    if tag is None:
        return None
    return HtmlToken("close" if tag["slash"] else "open", tag[0], start, tag["name"].lower())


def _attribute(found: re.Match[str], start: int) -> Attribute:
    value = found[2]
    quoted = value is not None and value[0] in "\"'"
    name_start = start + found.start(1)
    value_start = start + found.start(2) + quoted if value is not None else name_start
    return Attribute(found[1], value[1:-1] if quoted else value, name_start, value_start)


def tag_sequence(html: str) -> list[str]:
    """The tags of `html` in order, which must be equal before and after premailer, as lxml repairs wrong HTML.

    Styles are left out, because rules that can't be inlined (`:hover`, `@media`) become one more; so is `tbody`.
    """
    return [
        ("/" if part.kind == "close" else "") + part.name
        for part in scan_html(html)
        if part.kind in ("open", "close") and part.name not in ("tbody", "style")
    ]
