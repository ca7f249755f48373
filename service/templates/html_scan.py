"""A small reader of HTML with positions, for the content of MJML elements and for what mrml makes of them.

It is no HTML parser: it sees comments, tags and text in their order, and leaves the tree to those who need one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
#: Elements whose content is text, whatever it looks like.
RAW_TEXT = frozenset({"style", "script", "title", "textarea"})

_PART = re.compile(
    r"""(?P<comment><!--.*?-->)"""
    r"""|(?P<declaration><[!?][^>]*>)"""
    r"""|<(?P<slash>/?)\s*(?P<name>[A-Za-z][\w:.-]*)(?:[^>"']|"[^"]*"|'[^']*')*>""",
    re.S,
)
_NAME_END = re.compile(r"<\s*[\w:.-]*")
_ATTRIBUTE = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value` is without quotes, None where there is only a name. `start` and `value_start` are offsets."""

    name: str
    value: str | None
    start: int
    value_start: int


@dataclass(frozen=True, slots=True)
class Part:
    """A comment, a declaration, a tag, or text. `text` is all of it, at `start`; `name` is in lower case."""

    kind: Literal["comment", "declaration", "open", "close", "text", "raw"]
    text: str
    start: int
    name: str = ""

    @property
    def closes_itself(self) -> bool:
        return self.kind == "open" and self.text.endswith("/>")

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Of an opening tag, in their order; worked out when they are asked for."""
        inside = self.text[: -2 if self.closes_itself else -1]
        name = _NAME_END.match(inside)
        return tuple(_attribute(found, self.start) for found in _ATTRIBUTE.finditer(inside, name.end() if name else 0))


def parts(html: str) -> Iterator[Part]:
    """The parts of `html`, without gaps. The content of style, script, title and textarea comes as one `raw` part."""
    position = 0
    while found := _PART.search(html, position):
        if found.start() > position:
            yield Part("text", html[position : found.start()], position)
        position = found.end()
        if found["comment"] is not None:
            yield Part("comment", found[0], found.start())
        elif found["declaration"] is not None:
            yield Part("declaration", found[0], found.start())
        elif found["slash"]:
            yield Part("close", found[0], found.start(), found["name"].lower())
        else:
            part = Part("open", found[0], found.start(), found["name"].lower())
            yield part
            if part.name in RAW_TEXT and not part.closes_itself:
                end = re.compile(rf"</\s*{part.name}\s*>", re.I).search(html, position)
                stop = end.start() if end else len(html)
                if stop > position:
                    yield Part("raw", html[position:stop], position, part.name)
                position = stop
    if position < len(html):
        yield Part("text", html[position:], position)


def _attribute(found: re.Match[str], start: int) -> Attribute:
    value = found[2]
    quoted = value is not None and value[0] in "\"'"
    name_start = start + found.start(1)
    value_start = start + found.start(2) + quoted if value is not None else name_start
    return Attribute(found[1], value[1:-1] if quoted else value, name_start, value_start)
