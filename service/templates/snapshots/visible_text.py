"""Visible words and links of a mail's HTML, to check the texts that it must or must not say."""

import re
from collections.abc import Iterator

from service.templates.mjml.html_tree import Node, elements, is_element, parse_html

#: Elements that do not separate words from those around them.
_INLINE = frozenset(
    {
        *("a", "abbr", "b", "big", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "s"),
        *("samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr"),
    }
)
_UNSEEN = frozenset({"head", "style", "script", "title", "template"})
#: Soft hyphens, joiners, marks of direction: they have no width.
_NO_WIDTH = re.compile("[\xad\u034f\u200b-\u200f\u2060\ufeff]")


def words_of(text: str) -> str:
    """A text in one line with usual spaces: no-break, thin and other spaces count as one, line breaks too."""
    return " ".join(_NO_WIDTH.sub("", text).split())


def visible_words(html: str) -> str:
    """The words of an HTML part, with its preheader, without comments; words of different blocks are apart."""
    root = parse_html(html) if html.strip() else None
    return words_of("".join(_texts(root))) if root is not None else ""


def links_of(html: str) -> frozenset[str]:
    """The targets of all links of an HTML part."""
    root = parse_html(html) if html.strip() else None
    if root is None:
        return frozenset()
    return frozenset(node.get("href") for node in elements(root) if node.get("href") is not None)


def _texts(root: Node) -> Iterator[str]:
    """Texts in order, with a space at each border of a block; without recursion, as markup may be deep."""
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, is_left = stack.pop()
        is_shown = is_element(node) and node.tag not in _UNSEEN
        space = "" if is_element(node) and node.tag in _INLINE else " "
        if not is_left:
            if is_shown:
                yield space
                yield node.text or ""
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(node))
                continue
        elif is_shown:
            yield space
        if node is not root:
            yield node.tail or ""
