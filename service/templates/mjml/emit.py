"""Emits the tree as canonical MJML for mrml, with Jinja where mrml leaves it alone, and inline CSS for premailer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

from service.templates.findings import FindingCollector
from service.templates.jinja.composites import composite, composite_css
from service.templates.jinja.html_content import canonical_html, escape_attribute
from service.templates.jinja.html_scanner import without_html_comments
from service.templates.jinja.tokens import PLACEHOLDER, Tokens
from service.templates.mjml.components import COMMENT_PARENTS, TEXT_CONTENT
from service.templates.mjml.css import without_comments
from service.templates.mjml.defaults import Defaults
from service.templates.mjml.parse import Attribute, Element, Node, Slice
from service.templates.mjml.unprinted import Unprinted, names_of

#: Pictures that are for the eye alone unless the author says what they show.
_PICTURES = frozenset({"mj-image", "mj-social-element", "mj-carousel-image"})
#: mrml takes each value of it for "full-width", and knows no way back from a default.
_FULL_WIDTH = "full-width"
_PADDING = re.compile(r"(?:inner-)?padding(?:-\w+)?")
_NUMBER = re.compile(r"\d+")
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
    """MJML for mrml, and what is added to its HTML: attributes that it does not print, and inline CSS.

    `uncounted` are tokens that may vanish or be repeated: those in defaults, inline CSS and html-attributes. `prologue`
    are the definitions around the document, which go before it.
    """

    mjml: str = ""
    inline_css: list[InlineStyle] = field(default_factory=list)
    html_attributes: list[HtmlAttribute] = field(default_factory=list)
    unprinted: list[Unprinted] = field(default_factory=list)
    uncounted: set[int] = field(default_factory=set)
    prologue: str = ""


def emit(nodes: list[Node], root: Element, tokens: Tokens, collector: FindingCollector) -> Emitted:
    """Emit a file's `nodes`, whose document is `root`; both are validated. Raises CompileAborted; reported."""
    emitter = _Emitter(root, tokens, collector)
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
    def __init__(self, root: Element, tokens: Tokens, collector: FindingCollector) -> None:
        self._tokens = tokens
        self._collector = collector
        self._defaults = Defaults(root)
        self._social: Element | None = None
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
            if element.tag == "mj-social":
                self._social = element
            self.out.append(f"<{element.tag}{self._attributes(element, above)}>")
            for child in element.children:
                if isinstance(child, Element):
                    self.element(child, element.tag)
                else:
                    self._between(child, element.tag)
            self.out.append(f"</{element.tag}>")

    def _attributes(self, element: Element, above: str) -> str:
        out = []
        is_default = above == "mj-attributes"
        for attribute in element.attributes:
            if attribute.name in (_FULL_WIDTH, "css-class") and not is_default:
                continue
            if attribute.name == _FULL_WIDTH:
                continue
            value = self._value(attribute)
            if is_default:
                self.emitted.uncounted.update(token.index for token in self._tokens.expanded(value))
            elif attribute.name == "mj-class" and not PLACEHOLDER.search(value):
                value = " ".join(reversed(value.split()))  # of several, npm mjml takes the last, mrml the first
            out.append(f' {attribute.name}="{escape_attribute(value)}"')
        if not is_default:
            out += self._resolved(element)
        return "".join(out)

    def _resolved(self, element: Element) -> Iterator[str]:
        """Attributes whose value is worked out here, because mrml takes another one or prints none."""
        if element.tag in _PICTURES and self._defaults.resolve(element, "alt") is None:
            yield ' alt=""'
        if element.tag in ("mj-section", "mj-wrapper"):
            full_width = self._defaults.resolve(element, _FULL_WIDTH)
            if full_width is not None and full_width.value.text == _FULL_WIDTH:
                yield f' {_FULL_WIDTH}="{_FULL_WIDTH}"'
        classes = self._defaults.css_classes(element)
        own = element.attribute("css-class")
        names = [self._value(one) for one in classes] if own or len(classes) > 1 else []
        if marker := self._mark_unprinted(element):
            names = [*(self._value(one) for one in classes), marker]
        if names:
            yield f' css-class="{escape_attribute(" ".join(names))}"'

    def _value(self, attribute: Attribute) -> str:
        text = attribute.value.text
        if attribute.name.endswith(("href", "src", "url")):
            text = text.strip()
        elif _PADDING.fullmatch(attribute.name):
            # mrml computes widths without the whole padding where a zero has no unit
            text = " ".join("0px" if one == "0" else one for one in text.split())
        return composite(text, attribute.place, self._tokens, self._collector, f'the value of "{attribute.name}"')

    def _mark_unprinted(self, element: Element) -> str | None:
        """Note the attributes that mrml won't print; returns the class by which its HTML is found, None without any."""
        values: dict[str, str] = {}
        for name in names_of(element.tag):
            attribute = self._defaults.resolve(element, name)
            if attribute is None and self._social and (element.tag, name) == ("mj-social-element", "border"):
                attribute = self._defaults.resolve(self._social, name)
            if attribute is None:
                continue
            value = unescape(self._value(attribute))
            if name == "mode":
                value = self._height_of_width(element, attribute)
            elif name == "gap" and any(
                isinstance(one, Slice) and PLACEHOLDER.search(one.text) for one in element.children
            ):
                self._collector.warning(
                    attribute.place,
                    "not-printed",
                    '"gap" is not printed: a block decides which of the sections comes first',
                    "give the sections a padding-top",
                )
                continue
            if value:
                values[name] = value
        if not values:
            return None
        marker = f"zqm{len(self.emitted.unprinted):05}x"
        self.emitted.unprinted.append(Unprinted(element.tag, marker, values))
        return marker

    def _height_of_width(self, hero: Element, mode: Attribute) -> str:
        """The height of a hero in percent of its width; "" if it is fixed."""
        if mode.value.text != "fluid-height":
            return ""
        sizes = [self._defaults.resolve(hero, name) for name in ("background-height", "background-width")]
        height, width = (int(found[0]) if one and (found := _NUMBER.match(one.value.text)) else 0 for one in sizes)
        if height and width:
            return f"{height / width * 100:.0f}%"
        self._collector.warning(
            mode.place,
            "not-printed",
            '"fluid-height" has no effect without the size of the picture',
            'write background-width="600px" and background-height="…px"',
        )
        return ""

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
