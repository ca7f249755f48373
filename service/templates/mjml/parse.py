"""The MJML parser: MJML with placeholders for Jinja becomes a tree with positions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens
from service.templates.mjml.components import CONTENT
from service.templates.positions import MappedText, Place
from service.templates.size_limits import MAX_ATTRIBUTES, MAX_LEVELS

_MARKUP = re.compile(
    r"zqj(\d{5})x|<!--.*?-->|<!\[[^>]*>|<\?[^>]*>|<!\w[^>]*>|</\s*([A-Za-z][\w:-]*)\s*>|<([A-Za-z][\w:-]*)", re.S
)
_ATTRIBUTE = re.compile(r"""\s*([^\s=/>"'<]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
_TAG_START = re.compile(r"<[A-Za-z/!?]")
_TAG_END = re.compile(r"\s*(/?)>")


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a mapped text: its `text`, and the offset `start` where it begins."""

    text: str
    mapped: MappedText
    start: int

    def place(self, offset: int = 0) -> Place:
        """The position of the character at `offset` of this slice."""
        return self.mapped.place(self.start + offset)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a component; `place` is that of its name."""

    name: str
    value: Slice
    place: Place


@dataclass(slots=True)
class Element:
    """A component. Ending components have HTML or text as `content`; the others have children."""

    tag: str
    place: Place
    attributes: list[Attribute] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)
    content: Slice | None = None

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of this name; None if there is none."""
        return next((one for one in self.attributes if one.name == name), None)

    def literal(self, name: str) -> str | None:
        """The value of an attribute as written; None if there is none."""
        found = self.attribute(name)
        return found.value.text if found else None

    def elements(self) -> Iterator["Element"]:
        """The components directly below."""
        return (child for child in self.children if isinstance(child, Element))

    def walk(self) -> Iterator["Element"]:
        """This component and all below it, in the order of the text."""
        yield self
        for child in self.elements():
            yield from child.walk()


#: Text between components: white space and placeholders. A comment is dropped while it is parsed.
Node = Element | Slice


def parse(mapped: MappedText, tokens: Tokens, collector: FindingCollector) -> list[Node]:
    """Parse one file. Raises CompileAborted if the tags don't match; reported."""
    return _Parser(mapped, tokens, collector).parse()


def refuse_level(level: int, place: Place, collector: FindingCollector) -> None:
    """Refuse an element at `place` with `level` others around it if these are too many.

    Raises CompileAborted; reported.
    """
    if level >= MAX_LEVELS:
        collector.error(place, "too-deep", f"more than {MAX_LEVELS} elements inside each other", "use fewer levels")
        raise CompileAborted


class _Parser:
    def __init__(self, mapped: MappedText, tokens: Tokens, collector: FindingCollector) -> None:
        self._mapped = mapped
        self._tokens = tokens
        self._text = mapped.text
        self._collector = collector
        self._root = Element("", mapped.place(0))
        self._open = [self._root]

    def parse(self) -> list[Node]:
        self._refuse_what_never_ends()
        position = text_start = 0
        while found := _MARKUP.search(self._text, position):
            position = found.end()
            if found[1] and not self._is_definition(self._tokens[int(found[1])]):
                continue
            self._add_text(text_start, found.start())
            if found[1]:
                position = self._definition(found)
            elif found[2]:
                self._close(found)
            elif found[3]:
                position = self._open_tag(found)
            elif found[0].startswith("<!["):
                self._refuse(
                    found.start(),
                    "conditional-comment",
                    f"the HTML parser would destroy {found[0][:20]}",
                    "write <!--[if !mso]><!--> … <!--<![endif]--> in mj-raw",
                )
            elif PLACEHOLDER.search(found[0]):
                self._comment(found)
            text_start = position
        self._add_text(text_start, len(self._text))
        if len(self._open) > 1:
            last = self._open[-1]
            self._collector.error(last.place, "unclosed-tag", f"<{last.tag}> is never closed", f"add </{last.tag}>")
            raise CompileAborted
        return self._root.children

    def _refuse_what_never_ends(self) -> None:
        """Refuse comments and tags that never end: searching the rest of a file for the end of each takes minutes."""
        start = self._text.find("<!--", self._text.rfind("-->") + 1)
        if start >= 0:
            self._refuse(start, "malformed-tag", "this comment never ends", "close it with -->")
        if tag := _TAG_START.search(self._text, self._text.rfind(">") + 1):
            self._refuse(tag.start(), "malformed-tag", "this tag never ends", 'close it with ">"; a bare "<" is &lt;')

    def _add_text(self, start: int, end: int) -> None:
        if end > start:
            self._open[-1].children.append(Slice(self._text[start:end], self._mapped, start))

    @staticmethod
    def _is_definition(token: Token) -> bool:
        """True for a macro or an assigned block: it prints nothing where it stands, and holds HTML, not components."""
        return token.opens and token.word in ("macro", "set")

    def _definition(self, begin: re.Match[str]) -> int:
        """Add a definition as raw content, up to the end of its closing tag; returns the offset after it."""
        depth, end = 0, 0
        for found in PLACEHOLDER.finditer(self._text, begin.start()):
            token = self._tokens[int(found[1])]
            depth += token.opens - token.closes
            if depth == 0:
                end = found.end()
                break
        if not end:
            token = self._tokens[int(begin[1])]
            self._refuse(begin.start(), "block-crosses", f"{token} is never closed", "close it in the same file")
        content = Slice(self._text[begin.start() : end], self._mapped, begin.start())
        token = self._tokens[int(begin[1])]
        if component := re.search(r"<mj-[\w-]*", content.text):
            self._collector.error(
                content.place(component.start()),
                "components-in-macro",
                f"{component[0]}> inside {token} would not be compiled",
                "use mj-include for components; a macro prints HTML inside mj-text, mj-table or mj-raw",
            )
            raise CompileAborted
        self._open[-1].children.append(Element("mj-raw", token.place, content=content))
        return end

    def _comment(self, found: re.Match[str]) -> None:
        """Report Jinja in a comment between components: the comment is dropped, and the Jinja with it."""
        token = PLACEHOLDER.search(found[0])
        offset = found.start() + (token.start() if token else 0)
        self._collector.error(
            self._mapped.place(offset),
            "jinja-in-comment",
            "Jinja in an HTML comment is never shown",
            "delete it, or comment it out with {# … #}",
        )

    def _close(self, found: re.Match[str]) -> None:
        last = self._open[-1]
        if last.tag == found[2]:
            self._open.pop()
            return
        if last is self._root:
            self._refuse(found.start(), "unexpected-tag", f"</{found[2]}> closes nothing", "delete it")
        self._refuse(
            found.start(),
            "mismatched-tag",
            f"</{found[2]}> does not close <{last.tag}>",
            f"<{last.tag}> was opened at {last.place.line}:{last.place.column}",
        )

    def _open_tag(self, found: re.Match[str]) -> int:
        tag = found[3]
        place = self._mapped.place(found.start())
        if PLACEHOLDER.search(tag) or PLACEHOLDER.match(self._text, found.end()):
            self._refuse(
                found.start(), "jinja-in-tag", "Jinja can't be part of a tag's name", "use {% if %} around two elements"
            )
        refuse_level(len(self._open) - 1, place, self._collector)
        element = Element(tag, place)
        position, closes_itself = self._attributes(element, found.end())
        self._open[-1].children.append(element)
        if closes_itself:
            return position
        if tag in CONTENT:
            return self._content(element, position)
        self._open.append(element)
        return position

    def _attributes(self, element: Element, position: int) -> tuple[int, bool]:
        while True:
            if end := _TAG_END.match(self._text, position):
                return end.end(), end[1] == "/"
            found = _ATTRIBUTE.match(self._text, position)
            if found is None or found.end() == position:
                self._refuse(
                    position, "malformed-tag", f"<{element.tag}> is not well formed", 'expected name="value" or ">"'
                )
            name, value, start = found[1], found[2], found.start(1)
            place = self._mapped.place(start)
            if PLACEHOLDER.search(name):
                self._refuse(
                    start,
                    "jinja-in-tag",
                    "Jinja can't stand in place of an attribute",
                    'put it inside the value: name="{{ … }}"',
                )
            quoted = value is not None and value[0] in "\"'"
            if value is None or not quoted:
                self._collector.error(
                    place, "unquoted-value", f'the value of "{name}" must be quoted', f'write {name}="…"'
                )
            if len(element.attributes) >= MAX_ATTRIBUTES:
                self._refuse(start, "too-large", f"more than {MAX_ATTRIBUTES} attributes", "leave some out")
            if element.attribute(name):
                self._collector.error(place, "duplicate-attribute", f'"{name}" is given twice', "delete one")
            else:
                text = (value[1:-1] if quoted else value) if value is not None else ""
                offset = found.start(2) + quoted if value is not None else start
                element.attributes.append(Attribute(name, Slice(text, self._mapped, offset), place))
            position = found.end()

    def _content(self, element: Element, position: int) -> int:
        tag = re.compile(rf"<!--.*?-->|<(/?){re.escape(element.tag)}(?=[\s/>])[^>]*>", re.S)
        depth = 1
        for found in tag.finditer(self._text, position):
            if not found[0].startswith("<!--"):
                depth += -1 if found[1] else (0 if found[0].endswith("/>") else 1)
            if depth == 0:
                content = Slice(self._text[position : found.start()], self._mapped, position)
                if self._holds_only_blocks(element, content):
                    self._open[-1].children[-1] = content
                element.content = content
                return found.end()
        self._collector.error(
            element.place, "unclosed-tag", f"<{element.tag}> is never closed", f"add </{element.tag}>"
        )
        raise CompileAborted

    def _holds_only_blocks(self, element: Element, content: Slice) -> bool:
        """True for `<mj-raw>{% if … %}</mj-raw>`, as other MJML tools want it; it means the same as the block alone."""
        found = self._tokens.within(content.text)
        return (
            element.tag == "mj-raw"
            and bool(found)
            and all(token.kind == "control" for token in found)
            and not PLACEHOLDER.sub("", content.text).strip()
        )

    def _refuse(self, offset: int, code: str, message: str, hint: str = "") -> NoReturn:
        self._collector.error(self._mapped.place(offset), code, message, hint)
        raise CompileAborted
