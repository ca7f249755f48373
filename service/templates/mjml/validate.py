"""Validation of the MJML tree: components, attributes, values, and what can't vary in mail that is compiled once."""

from collections.abc import Sequence

from service.templates.findings import CompileAborted, FindingCollector, did_you_mean
from service.templates.jinja.block_balance import check_balance
from service.templates.jinja.escape_contexts import LINK_HINT, harmful_scheme
from service.templates.jinja.html_content import check_html
from service.templates.jinja.html_scanner import without_html_comments
from service.templates.jinja.tokens import PLACEHOLDER, Tokens
from service.templates.mjml.blocks import SILENT, Blocks, shortened
from service.templates.mjml.components import (
    ATTRIBUTES,
    CHILDREN,
    COMMENT_PARENTS,
    COMMON_ATTRIBUTES,
    CONTENT,
    TEXT_CONTENT,
    drives_layout,
    expected,
    type_check,
)
from service.templates.mjml.css import check_css
from service.templates.mjml.parse import Attribute, Element, Node, Slice
from service.templates.mjml.unprinted import without_effect
from service.templates.positions import Place


def validate(nodes: Sequence[Node], tokens: Tokens, collector: FindingCollector, *, file: Place) -> Element | None:
    """Validate a template's nodes; returns the `<mjml>` element, None if there is no single one.

    `file` is the start of the template. The nodes are not changed.
    """
    roots = [node for node in nodes if isinstance(node, Element) and node.tag != "mj-raw"]
    validator = _Validator(tokens, collector)
    for node in nodes:
        if isinstance(node, Slice):
            validator.outside(node)
    if len(roots) != 1 or roots[0].tag != "mjml":
        place = roots[0].place if roots else file
        collector.error(
            place, "no-document", "the template must be one <mjml> element", "write <mjml><mj-body>…</mj-body></mjml>"
        )
        return None
    validator.document(roots[0])
    if not any(element.tag == "mj-body" for element in roots[0].elements()):
        collector.error(roots[0].place, "no-document", "<mjml> has no <mj-body>", "add <mj-body>…</mj-body>")
    return roots[0]


class _Validator:
    def __init__(self, tokens: Tokens, collector: FindingCollector) -> None:
        self._tokens = tokens
        self._collector = collector
        self._defaults: list[Element] = []

    def outside(self, text: Slice) -> None:
        """Check the text around `<mjml>`, where only definitions may stand."""
        for token in self._tokens.within(text.text):
            if token.word not in SILENT:
                self._collector.error(
                    token.place, "outside-document", f"{token} stands outside of <mjml>", "put it into <mj-body>"
                )
        stray = PLACEHOLDER.sub("", text.text).strip()
        if stray:
            offset = text.text.index(stray.split("\n", 1)[0].strip()[:1])
            self._collector.error(
                text.place(offset), "stray-text", f"text outside of <mjml>: {shortened(stray)}", "delete it"
            )

    def document(self, root: Element) -> None:
        """Check the document; the defaults in its head apply to the components below."""
        attributes = (element for element in root.walk() if element.tag == "mj-attributes")
        self._defaults = [default for element in attributes for default in element.elements()]
        self.element(root, None)

    def element(self, element: Element, parent: Element | None, *, in_loop: bool = False) -> None:
        above = parent.tag if parent else ""
        if not self._is_known(element, above):
            return
        if above and above != "mj-attributes" and element.tag not in CHILDREN.get(above, frozenset()):
            where = ", ".join(f"<{name}>" for name, below in CHILDREN.items() if element.tag in below)
            self._collector.error(
                element.place,
                "wrong-parent",
                f"<{element.tag}> can't stand inside <{above}>",
                f"put it into {where}" if where else "",
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
        self._collector.error(element.place, "unknown-component", f"unknown component <{element.tag}>", hint)
        return False

    def _attributes(self, element: Element, above: str) -> None:
        known = ATTRIBUTES.get(element.tag, {})
        is_free = above == "mj-attributes"
        for attribute in element.attributes:
            if attribute.name not in known and not is_free and not self._is_common(attribute.name, element.tag):
                self._collector.error(
                    attribute.place,
                    "unknown-attribute",
                    f'unknown attribute "{attribute.name}" on <{element.tag}>',
                    did_you_mean(attribute.name, [*known, *COMMON_ATTRIBUTES]),
                )
                continue
            self._value(element, attribute, known.get(attribute.name))
            remedy = without_effect(element.tag, attribute.name, attribute.value.text)
            if remedy is not None:
                self._collector.warning(
                    attribute.place,
                    "not-printed",
                    f'{attribute.name}="{attribute.value.text}" of <{element.tag}> has no effect, or not all of it',
                    remedy,
                )

    @staticmethod
    def _is_common(name: str, tag: str) -> bool:
        return name in COMMON_ATTRIBUTES and tag not in ("mjml", "mj-head", "mj-style", "mj-raw")

    def _value(self, element: Element, attribute: Attribute, kind: str | None) -> None:
        found = self._tokens.within(attribute.value.text)
        if scheme := harmful_scheme(attribute.name, attribute.value.text):
            self._collector.error(attribute.place, "harmful-link", f'links with "{scheme}:" are not allowed', LINK_HINT)
        elif found:
            if drives_layout(element.tag, attribute.name, attribute.value.text):
                self._collector.error(
                    found[0].place,
                    "layout-needs-literal",
                    f'"{attribute.name}" of <{element.tag}> decides the layout and must be literal',
                    'for a width that depends on a value use a cell of an mj-table: <td width="{{ … }}%">',
                )
            else:
                try:
                    check_balance(found, f'the value of "{attribute.name}"', self._collector)
                except CompileAborted:
                    return
        elif kind is not None and not type_check(kind)(attribute.value.text):
            self._collector.error(
                attribute.place,
                "bad-value",
                f'"{attribute.value.text}" is not a valid value for "{attribute.name}" of <{element.tag}>',
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
                check_html(content, self._tokens, self._collector)
                if element.tag == "mj-raw" and above in COMMENT_PARENTS and PLACEHOLDER.sub("", content.text).strip():
                    self._collector.error(
                        element.place, "wrong-parent", f"HTML can't stand inside <{above}>", "only Jinja blocks can"
                    )
        except CompileAborted:
            return

    def _text_content(self, element: Element, content: Slice) -> None:
        found = [token for token in self._tokens.within(content.text) if token.kind == "control"]
        check_balance(found, f"<{element.tag}>", self._collector)
        text = without_html_comments(content.text, " ")
        if "<" in text:
            self._collector.error(
                content.place(text.index("<")),
                "html-in-text",
                f"HTML can't stand in <{element.tag}>",
                "write text only",
            )
        if element.tag != "mj-style":
            return
        check_css(content, self._collector)
        if element.literal("inline") == "inline" and found:
            self._collector.error(
                found[0].place,
                "jinja-in-inline-css",
                'blocks can\'t stand in <mj-style inline="inline">',
                "put the block into the element's own style, or use a plain <mj-style>",
            )

    def _children(self, element: Element, in_loop: bool) -> None:
        blocks = Blocks(element, self._tokens, self._collector)
        for child in element.children:
            if isinstance(child, Slice):
                blocks.between(child)
                continue
            loop = in_loop or blocks.in_loop
            if loop and child.tag == "mj-navbar" and child.literal("hamburger") == "hamburger":
                self._collector.error(
                    child.place,
                    "hamburger-in-loop",
                    "a hamburger navbar in a loop repeats its ids",
                    'leave out hamburger="hamburger"',
                )
            self.element(child, element, in_loop=loop)
        blocks.finish()
        if blocks.decides and element.tag in ("mj-section", "mj-group"):
            self._columns(element)

    def _columns(self, element: Element) -> None:
        for child in element.elements():
            if child.tag in ("mj-column", "mj-group") and not self._has_width(child):
                self._collector.error(
                    child.place,
                    "column-needs-width",
                    f"<{child.tag}> beside a block needs a width",
                    'its share is computed at compile time: write width="50%", or width="100%" if it is alone',
                )

    def _has_width(self, column: Element) -> bool:
        """True if the column, one of its classes or the head's defaults give it a width."""
        classes = (column.literal("mj-class") or "").split()
        return column.attribute("width") is not None or any(
            default.attribute("width") is not None
            and (default.tag == column.tag or (default.tag == "mj-class" and default.literal("name") in classes))
            for default in self._defaults
        )
