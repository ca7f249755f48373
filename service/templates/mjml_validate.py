"""The tree against the component table and what compiling once can't do. Mistakes are reported, nothing changed."""

import re
from collections.abc import Sequence

from service.templates.components import (
    ATTRIBUTES,
    CHILDREN,
    COMMENT_PARENTS,
    COMMON_ATTRIBUTES,
    CONTENT,
    NO_CONTROL,
    TEXT_CONTENT,
    drives_layout,
    expected,
    type_check,
)
from service.templates.composites import check_blocks
from service.templates.html_content import check_html
from service.templates.mjml_parse import Attribute, Element, Node, Slice
from service.templates.places import Place
from service.templates.report import Refused, Report, did_you_mean
from service.templates.tokens import PLACEHOLDER, Token, Tokens

#: Control tags that print nothing and close nothing: they may stand where an element may.
_SILENT = frozenset({"set", "import", "from", "do"})
_STRUCTURAL = frozenset({"if", "elif", "else", "endif", "for", "endfor", "with", "endwith"}) | _SILENT


def validate(nodes: Sequence[Node], tokens: Tokens, report: Report, *, file: Place) -> Element | None:
    """The `<mjml>` element, or None where there is no single one. `file` is the start of the template."""
    roots = [node for node in nodes if isinstance(node, Element) and node.tag != "mj-raw"]
    validator = _Validator(tokens, report)
    for node in nodes:
        if isinstance(node, Slice):
            validator.outside(node)
    if len(roots) != 1 or roots[0].tag != "mjml":
        place = roots[0].place if roots else file
        report.error(
            place, "no-document", "the template must be one <mjml> element", "write <mjml><mj-body>…</mj-body></mjml>"
        )
        return None
    validator.element(roots[0], None)
    if not any(element.tag == "mj-body" for element in roots[0].elements()):
        report.error(roots[0].place, "no-document", "<mjml> has no <mj-body>", "add <mj-body>…</mj-body>")
    return roots[0]


class _Validator:
    def __init__(self, tokens: Tokens, report: Report) -> None:
        self._tokens = tokens
        self._report = report

    def outside(self, text: Slice) -> None:
        """Around `<mjml>` only definitions may stand."""
        for token in self._tokens.within(text.text):
            if token.word not in _SILENT:
                self._report.error(
                    token.place, "outside-document", f"{token} stands outside of <mjml>", "put it into <mj-body>"
                )
        stray = PLACEHOLDER.sub("", text.text).strip()
        if stray:
            offset = text.text.index(stray.split("\n", 1)[0].strip()[:1])
            self._report.error(
                text.place(offset), "stray-text", f"text outside of <mjml>: {_short(stray)}", "delete it"
            )

    def element(self, element: Element, parent: Element | None, *, in_loop: bool = False) -> None:
        above = parent.tag if parent else ""
        if not self._is_known(element, above):
            return
        if above and above != "mj-attributes" and element.tag not in CHILDREN.get(above, frozenset()):
            where = ", ".join(f"<{name}>" for name, below in CHILDREN.items() if element.tag in below)
            self._report.error(
                element.place,
                "wrong-parent",
                f"<{element.tag}> can't stand inside <{above}>",
                f"it stands in {where}" if where else "",
            )
        self._attributes(element, above)
        if element.content is not None:
            self._content(element, above)
        elif element.tag not in CONTENT:
            self._children(element, in_loop)

    def _is_known(self, element: Element, above: str) -> bool:
        if element.tag in ATTRIBUTES or (above == "mj-attributes" and element.tag in ("mj-all", "mj-class")):
            return True
        hint = did_you_mean(element.tag, ATTRIBUTES)
        if not element.tag.startswith("mj"):
            hint = f"HTML stands inside <mj-text>, <mj-table> or <mj-raw>, not directly in <{above}>" if above else hint
        self._report.error(element.place, "unknown-component", f"unknown component <{element.tag}>", hint)
        return False

    def _attributes(self, element: Element, above: str) -> None:
        known = ATTRIBUTES.get(element.tag, {})
        is_free = above == "mj-attributes"
        for attribute in element.attributes:
            if attribute.name not in known and not is_free and not self._is_common(attribute.name, element.tag):
                self._report.error(
                    attribute.place,
                    "unknown-attribute",
                    f'unknown attribute "{attribute.name}" on <{element.tag}>',
                    did_you_mean(attribute.name, [*known, *COMMON_ATTRIBUTES]),
                )
                continue
            self._value(element, attribute, known.get(attribute.name))

    @staticmethod
    def _is_common(name: str, tag: str) -> bool:
        return name in COMMON_ATTRIBUTES and tag not in ("mjml", "mj-head", "mj-style", "mj-raw")

    def _value(self, element: Element, attribute: Attribute, kind: str | None) -> None:
        found = self._tokens.within(attribute.value.text)
        if found:
            if drives_layout(element.tag, attribute.name, attribute.value.text):
                self._report.error(
                    found[0].place,
                    "layout-needs-literal",
                    f'"{attribute.name}" of <{element.tag}> decides the layout and must be literal',
                    'a width that follows a value is a cell of an mj-table: <td width="{{ … }}%">',
                )
            else:
                try:
                    check_blocks(
                        [t for t in found if t.kind == "control"], self._report, f'the value of "{attribute.name}"'
                    )
                except Refused:
                    return
        elif kind is not None and not type_check(kind)(attribute.value.text):
            self._report.error(
                attribute.place,
                "bad-value",
                f'"{attribute.value.text}" is no value for "{attribute.name}" of <{element.tag}>',
                f"expected {expected(kind)}",
            )

    def _content(self, element: Element, above: str) -> None:
        content = element.content
        if content is None:
            return
        try:
            if element.tag in TEXT_CONTENT:
                self._text_content(element, content)
            else:
                check_html(content, self._tokens, self._report)
                if element.tag == "mj-raw" and above in COMMENT_PARENTS and PLACEHOLDER.sub("", content.text).strip():
                    self._report.error(
                        element.place, "wrong-parent", f"HTML can't stand inside <{above}>", "only Jinja blocks can"
                    )
        except Refused:
            return

    def _text_content(self, element: Element, content: Slice) -> None:
        found = [token for token in self._tokens.within(content.text) if token.kind == "control"]
        check_blocks(found, self._report, f"<{element.tag}>")
        text = re.sub(r"<!--.*?-->", lambda comment: " " * len(comment[0]), content.text, flags=re.S)
        if "<" in text:
            self._report.error(
                content.place(text.index("<")),
                "html-in-text",
                f"HTML can't stand in <{element.tag}>",
                "write text only",
            )
        if element.tag != "mj-style":
            return
        if imported := re.search(r"@import", text, re.I):
            self._report.error(
                content.place(imported.start()),
                "css-import",
                "@import would fetch a file from elsewhere",
                "write the rules here",
            )
        if element.literal("inline") == "inline" and found:
            self._report.error(
                found[0].place,
                "jinja-in-inline-css",
                'blocks can\'t stand in <mj-style inline="inline">',
                "put the block into the element's own style, or use a plain <mj-style>",
            )

    def _children(self, element: Element, in_loop: bool) -> None:
        open_blocks: list[Token] = []
        conditional = False
        for child in element.children:
            if isinstance(child, Element):
                loop = in_loop or any(token.word == "for" for token in open_blocks)
                self._repeated(child, is_repeated=loop)
                self.element(child, element, in_loop=loop)
                if child.tag == "mj-raw" and child.content is not None:
                    conditional |= any(t.word in ("if", "for") for t in self._tokens.within(child.content.text))
                continue
            conditional |= self._between(element, child, open_blocks)
        for token in open_blocks:
            self._report.error(
                token.place,
                "block-crosses",
                f"{token} is not closed inside of <{element.tag}>",
                "a block opens and closes in the same element",
            )
        if conditional and element.tag in ("mj-section", "mj-group"):
            self._columns(element)

    def _repeated(self, child: Element, *, is_repeated: bool) -> None:
        if is_repeated and child.tag == "mj-navbar" and child.literal("hamburger") == "hamburger":
            self._report.error(
                child.place,
                "hamburger-in-loop",
                "a hamburger navbar in a loop repeats its ids",
                'leave out hamburger="hamburger"',
            )

    def _between(self, element: Element, text: Slice, open_blocks: list[Token]) -> bool:
        """What stands between components: white space and blocks. True: a block decides what is shown."""
        last = 0
        conditional = False
        for found in PLACEHOLDER.finditer(text.text):
            self._stray(element, text, last, found.start())
            last = found.end()
            token = self._tokens[int(found[1])]
            conditional |= token.word in ("if", "for")
            self._structural(element, token, open_blocks)
        self._stray(element, text, last, len(text.text))
        return conditional

    def _structural(self, element: Element, token: Token, open_blocks: list[Token]) -> None:
        if token.kind == "expression":
            self._report.error(
                token.place, "stray-text", f"{token} stands directly in <{element.tag}>", "put it into <mj-text>"
            )
        elif token.word not in _STRUCTURAL:
            self._report.error(
                token.place,
                "block-crosses",
                f"{token} can't stand between components",
                "use it inside <mj-text>, <mj-table> or <mj-raw>; for components use mj-include",
            )
        elif element.tag in NO_CONTROL:
            if element.tag in ("mj-head", "mjml") and token.word in _SILENT:
                return
            self._report.error(
                token.place,
                "jinja-not-here",
                f"{token} can't stand inside of <{element.tag}>",
                _ELSEWHERE.get(element.tag, ""),
            )
        elif token.opens:
            open_blocks.append(token)
        elif token.closes or token.continues:
            if not open_blocks:
                self._report.error(
                    token.place,
                    "block-crosses",
                    f"{token} belongs to a block that began outside of <{element.tag}>",
                    "a block opens and closes in the same element",
                )
            elif token.closes:
                open_blocks.pop()

    def _stray(self, element: Element, text: Slice, start: int, end: int) -> None:
        stray = text.text[start:end].strip()
        if stray:
            offset = start + len(text.text[start:end]) - len(text.text[start:end].lstrip())
            self._report.error(
                text.place(offset),
                "stray-text",
                f"text directly in <{element.tag}>: {_short(stray)}",
                "put it into <mj-text>",
            )

    def _columns(self, element: Element) -> None:
        for child in element.elements():
            if (
                child.tag in ("mj-column", "mj-group")
                and child.attribute("width") is None
                and child.attribute("mj-class") is None
            ):
                self._report.error(
                    child.place,
                    "column-needs-width",
                    f"<{child.tag}> beside a block needs a width",
                    'its share is computed at compile time: write width="50%", or width="100%" if it is alone',
                )


_ELSEWHERE = {
    "mj-head": "blocks work inside <mj-title>, <mj-preview>, <mj-style> and <mj-raw>",
    "mjml": "put it into <mj-body>",
    "mj-carousel": "a carousel's pictures are fixed when it is compiled",
    "mj-accordion-element": "put it around the whole <mj-accordion-element>, or inside of title and text",
}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return f'"{text[:30]}…"' if len(text) > 30 else f'"{text}"'
