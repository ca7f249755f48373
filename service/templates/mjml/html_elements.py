"""HTML elements and attributes that no mail holds: they load another document, or run something."""

from html import unescape

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.escape_contexts import LINK_HINT, harmful_scheme
from service.templates.jinja.html_scanner import Attribute, HtmlToken
from service.templates.jinja.tokens import PLACEHOLDER
from service.templates.mjml.css import check_css
from service.templates.mjml.parse import Slice
from service.templates.size_limits import MAX_ATTRIBUTES

#: Mail programs show none of these; `base` would change every link, `animate` and `set` set one later.
_REFUSED = frozenset(["animate", "applet", "base", "embed", "frame", "frameset", "iframe", "object", "portal", "set"])
#: What a `<link>` may not be.
_LOADED = frozenset(["import", "manifest", "modulepreload", "prefetch", "preload", "prerender", "stylesheet"])


def check_element(tag: HtmlToken, content: Slice, collector: FindingCollector) -> None:
    """Check an opening tag and the links and styles in its attributes.

    Raises CompileAborted for an element or a style that is refused; links are reported together.
    """
    place = content.place(tag.start)
    attributes = tag.attributes
    if tag.name in _REFUSED:
        collector.error(
            place, "html-refused", f"<{tag.name}> can't stand in mail", "mail programs show none: delete it"
        )
        raise CompileAborted
    if len(attributes) > MAX_ATTRIBUTES:
        collector.error(place, "too-large", f"<{tag.name}> has more than {MAX_ATTRIBUTES} attributes", "leave some out")
        raise CompileAborted
    for one in attributes:
        name, value = one.name.lower(), one.value or ""
        if scheme := harmful_scheme(name, value):
            collector.error(
                content.place(one.start), "harmful-link", f'links with "{scheme}:" are not allowed', LINK_HINT
            )
        elif _loads(tag.name, name, value):
            collector.error(
                content.place(one.start),
                "html-refused",
                f'{name}="{value[:30]}" of <{tag.name}> would load another document',
                "write the styles into <mj-style>, and fonts as <mj-font>; a mail has no other documents",
            )
            raise CompileAborted
        elif name == "style":
            check_css(_value_of(one, content), collector, is_attribute=True)


def _loads(tag: str, name: str, value: str) -> bool:
    """True for an attribute that makes a mail program load another document, or that might be one by its value."""
    words = unescape(value).lower().split()
    if name == "srcdoc":
        return True
    if tag == "link" and name == "rel":
        return not _LOADED.isdisjoint(words) or PLACEHOLDER.search(value) is not None
    if tag == "meta" and name == "http-equiv":
        return words == ["refresh"] or PLACEHOLDER.search(value) is not None
    return False


def _value_of(attribute: Attribute, content: Slice) -> Slice:
    return Slice(attribute.value or "", content.mapped, content.start + attribute.value_start)
