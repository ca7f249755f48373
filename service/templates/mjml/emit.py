"""Emits the tree as canonical MJML for mrml, with Jinja where mrml leaves it alone, and inline CSS for premailer."""

import re
from dataclasses import dataclass, field

from service.templates.findings import FindingCollector
from service.templates.jinja.composites import composite, composite_css
from service.templates.jinja.html_content import canonical_html, escape_attribute
from service.templates.jinja.html_scanner import without_html_comments
from service.templates.jinja.tokens import PLACEHOLDER, Tokens
from service.templates.mjml.components import COMMENT_PARENTS, TEXT_CONTENT
from service.templates.mjml.css import without_comments
from service.templates.mjml.parse import Element, Node, Slice

_DECLARATION_WITH_TOKEN = re.compile(r"(?<=[{;])([^{};]*zqj\d{5}x[^{};]*)")


@dataclass(slots=True)
class HtmlAttribute:
    """An attribute that mj-html-attributes sets on the elements which `selector` finds; mrml 6 doesn't know it."""

    selector: str
    name: str
    value: str


@dataclass(slots=True)
class InlineStyle:
    """A style element for premailer: its CSS with composites, and the author's text for places."""

    css: str
    source: Slice


@dataclass
class Emitted:
    """MJML for mrml, and what premailer adds to its HTML.

    `uncounted` are tokens that may vanish or be repeated: those in defaults, inline CSS and html-attributes. `prologue`
    are the definitions around the document, which go before it.
    """

    mjml: str = ""
    inline_css: list[InlineStyle] = field(default_factory=list)
    html_attributes: list[HtmlAttribute] = field(default_factory=list)
    uncounted: set[int] = field(default_factory=set)
    prologue: str = ""


def emit(nodes: list[Node], root: Element, tokens: Tokens, collector: FindingCollector) -> Emitted:
    """Emit a file's `nodes`, whose document is `root`; both are validated. Raises CompileAborted; reported."""
    emitter = _Emitter(tokens, collector)
    emitter.element(root, "")
    emitter.emitted.mjml = "".join(emitter.out)
    outside: list[str] = []
    for node in nodes:
        if isinstance(node, Slice):
            outside += [found[0] for found in PLACEHOLDER.finditer(node.text)]
        elif node.content is not None and node.tag == "mj-raw":
            outside.append(canonical_html(node.content, tokens, collector))
    emitter.emitted.prologue = "".join(outside) + "".join(emitter.hoisted)
    return emitter.emitted


class _Emitter:
    def __init__(self, tokens: Tokens, collector: FindingCollector) -> None:
        self._tokens = tokens
        self._collector = collector
        self.out: list[str] = []
        self.hoisted: list[str] = []
        self.emitted = Emitted()

    def element(self, element: Element, above: str) -> None:
        if element.tag == "mj-html-attributes":
            self._html_attributes(element)
        elif element.tag == "mj-style" and element.literal("inline") == "inline":
            self._inline_style(element)
        elif element.content is not None:
            self._with_content(element, element.content, above)
        else:
            self.out.append(f"<{element.tag}{self._attributes(element, above)}>")
            for child in element.children:
                if isinstance(child, Element):
                    self.element(child, element.tag)
                else:
                    self._between(child, element.tag)
            self.out.append(f"</{element.tag}>")

    def _attributes(self, element: Element, above: str) -> str:
        out = []
        for attribute in element.attributes:
            text = (
                attribute.value.text.strip()
                if attribute.name.endswith(("href", "src", "url"))
                else attribute.value.text
            )
            value = composite(text, attribute.place, self._tokens, self._collector, f'the value of "{attribute.name}"')
            if above == "mj-attributes":
                self.emitted.uncounted.update(token.index for token in self._tokens.expanded(value))
            out.append(f' {attribute.name}="{escape_attribute(value)}"')
        if element.tag == "mj-image" and element.attribute("alt") is None:
            out.append(' alt=""')
        return "".join(out)

    def _between(self, text: Slice, parent: str) -> None:
        for found in PLACEHOLDER.finditer(text.text):
            if parent in ("mj-head", "mjml"):
                self.hoisted.append(found[0])
            elif parent in COMMENT_PARENTS:
                self.out.append(f"<!--{found[0]}-->")
            else:
                self.out.append(f"<mj-raw>{found[0]}</mj-raw>")

    def _with_content(self, element: Element, content: Slice, above: str) -> None:
        if element.tag == "mj-raw" and above in COMMENT_PARENTS:
            self._between(content, above)
            return
        if element.tag == "mj-raw" and above == "mj-head" and self._is_definition(content):
            self.hoisted.append(canonical_html(content, self._tokens, self._collector))
            return
        if element.tag == "mj-style":
            text = without_comments(content.text)
        elif element.tag in TEXT_CONTENT:
            text = without_html_comments(content.text).strip()
            text = composite(text, content.place(), self._tokens, self._collector, f"<{element.tag}>")
        else:
            text = canonical_html(content, self._tokens, self._collector)
        self.out.append(f"<{element.tag}{self._attributes(element, above)}>{text}</{element.tag}>")

    def _is_definition(self, content: Slice) -> bool:
        found = self._tokens.within(content.text)
        return bool(found) and found[0].opens and found[0].word in ("macro", "set")

    def _inline_style(self, element: Element) -> None:
        if element.content is None:
            return
        place = element.content.place()
        css = without_comments(element.content.text)
        css = _DECLARATION_WITH_TOKEN.sub(
            lambda found: composite_css(found[1], place, self._tokens, self._collector), css
        )
        self.emitted.uncounted.update(token.index for token in self._tokens.expanded(css))
        self.emitted.inline_css.append(InlineStyle(css, element.content))

    def _html_attributes(self, element: Element) -> None:
        for selector in element.elements():
            for one in selector.elements():
                text = one.content.text.strip() if one.content else ""
                value = composite(text, one.place, self._tokens, self._collector, "<mj-html-attribute>")
                self.emitted.uncounted.update(token.index for token in self._tokens.expanded(value))
                self.emitted.html_attributes.append(
                    HtmlAttribute(selector.literal("path") or "", one.literal("name") or "", value)
                )
