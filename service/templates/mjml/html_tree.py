"""The HTML tree of lxml: parse, iterate, select by CSS."""

from collections.abc import Iterator
from typing import Any

from lxml import etree
from lxml.cssselect import CSSSelector, SelectorError

#: An element or a comment; the types of lxml's stubs are narrower.
Node = Any


class BadSelector(ValueError):
    """A text is no CSS selector, or one that lxml does not support."""


def parse_html(html: str) -> Node:
    """The root element, as libxml2's HTML parser reads it."""
    return etree.fromstring(html.strip(), etree.HTMLParser())


def write_html(root: Node) -> str:
    """The document of `root` as HTML."""
    text: str = etree.tostring(root.getroottree(), method="html", encoding="utf-8").decode("utf-8")
    return text


def is_element(node: Node) -> bool:
    """False for comments and processing instructions."""
    return isinstance(node.tag, str)


def elements(root: Node) -> Iterator[Node]:
    """All elements below and including `root`, in order."""
    return (node for node in root.iter() if is_element(node))


def select(root: Node, selector: str) -> list[Node]:
    """The elements that a CSS selector matches. Raises BadSelector."""
    try:
        found: Any = CSSSelector(selector)(root)
    except (SelectorError, etree.XPathError) as error:
        raise BadSelector(f'"{selector}" is no selector: {error}') from None
    return list(found)
