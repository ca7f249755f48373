"""The plain text part, derived from the MJML tree.

Line breaks are control characters first: at least a new line, a paragraph, a `<br>`. Between two literals they become
newlines when the template is compiled; beside a Jinja block they become newlines when it is rendered, because what the
block prints decides how many are needed.
"""

import re
from collections.abc import Iterable

from service.mail.html_tokens import unescape
from service.templates.findings import FindingCollector
from service.templates.jinja.html_comments import comments_in_text
from service.templates.jinja.html_content import canonical_html
from service.templates.jinja.tokens import PLACEHOLDER, Tokens
from service.templates.mjml import html_tree
from service.templates.mjml.html_tree import is_element, parse_html
from service.templates.mjml.parse import Element, Node, Slice
from service.templates.text_inline import beside_label, raised, struck
from service.templates.text_layout import (
    KEPT_NEWLINE,
    KEPT_SPACE,
    has_later_numbers,
    has_lists,
    in_one_line,
    lay_out,
    lay_out_where,
    marked_item,
    marked_list,
)

LINE, PARAGRAPH, BREAK = "\x1e", "\x1d", "\x1f"
_MARKS = re.compile(r"(?<![ \t\n])[ \t\n]*[\x1d-\x1f][\x1d-\x1f \t\n]*")
#: Marks in a rendered text: no white space is before a mark, and each begins with the same character, because a search
#: for one character is much quicker than one for several.
_MARKS_LEFT = re.compile(r"\x1e[\x1d-\x1f \t\n]*")
_MANY_NEWLINES = re.compile(r"\n{3,}")
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "hr", "pre", "dl"})
_ROW_GROUPS = frozenset({"thead", "tbody", "tfoot"})
_LINES = frozenset(
    {
        *("div", "tr", "caption", "section", "article", "dt", "dd", "center", "address", "header", "footer", "main"),
        *("nav", "aside", "figure", "figcaption", "details", "summary", "fieldset", "legend", "form"),
    }
)
_KEEPS_SPACE = re.compile(r"white-space:(?:pre|pre-wrap|break-spaces)(?:;|!|$)")
_LINE_THROUGH = re.compile(r"text-decoration(?:-line)?:[^;:]*line-through")
_SKIPPED = frozenset({"style", "script", "head", "title"})
#: Also the control characters that references such as `&#14;` become: they would be marks.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\u034f\u200b-\u200f\u2060\ufeff\u00ad]")
_INLINE = frozenset({"a", "sup", "sub", "q", "s", "del", "strike"})
_RULE = "-" * 40


def derive_text(root: Element, tokens: Tokens, collector: FindingCollector) -> str:
    """The text part of a validated tree, with placeholders and marks."""
    body = next(element for element in root.elements() if element.tag == "mj-body")
    writer = _Components(tokens, collector)
    writer.children(body)
    return settle_marks("".join(writer.out), tokens)


def finish_text(text: str) -> str:
    """Finish a rendered text: marks become newlines, blank lines are never two, the end is one newline."""
    for mark in (PARAGRAPH, BREAK):
        if mark in text:
            text = text.replace(mark, LINE + mark)
    if LINE in text:
        text = _MARKS_LEFT.sub(_newlines, text)
    if has_lists(text):
        text = lay_out(text)
    if " \n" in text or ("\t" in text and "\t\n" in text):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "\n\n\n" in text:
        text = _MANY_NEWLINES.sub("\n\n", text)
    text = text.strip() + "\n"
    if KEPT_SPACE in text or KEPT_NEWLINE in text:
        text = text.replace(KEPT_SPACE, " ").replace(KEPT_NEWLINE, "\n").strip("\n") + "\n"
    return text


def _newlines(marks: re.Match[str]) -> str:
    run = marks[0]
    if run == LINE:  # nearly all that wait for the rendering: a row of a table
        return "\n"
    if PARAGRAPH in run:
        return "\n\n"
    return "\n" * min(max(run.count(BREAK), 1), 2)


def settle_marks(text: str, tokens: Tokens) -> str:
    """Replace the marks that have no Jinja block beside them by newlines, and write the lists that hold none."""

    def settle(marks: re.Match[str]) -> str:
        before = PLACEHOLDER.fullmatch(text, max(marks.start() - 9, 0), marks.start())
        after = PLACEHOLDER.match(text, marks.end())
        if any(found and tokens[int(found[1])].kind == "control" for found in (before, after)):
            return marks[0].lstrip(" \t\n")
        return _newlines(marks)

    settled = _MARKS.sub(settle, text).strip(" \n")
    return lay_out_where(settled, lambda part: not (_has_blocks(part, tokens) or has_later_numbers(part)))


def _has_blocks(text: str, tokens: Tokens) -> bool:
    return any(tokens[int(found[1])].kind == "control" for found in PLACEHOLDER.finditer(text))


class _Components:
    def __init__(self, tokens: Tokens, collector: FindingCollector) -> None:
        self._tokens = tokens
        self._collector = collector
        self._base_url = ""
        self.out: list[str] = []

    def children(self, element: Element) -> None:
        for child in element.children:
            self.node(child)

    def node(self, node: Node) -> None:
        if isinstance(node, Slice):
            self.out += [found[0] for found in PLACEHOLDER.finditer(node.text)]
        elif node.tag in ("mj-text", "mj-table", "mj-raw", "mj-accordion-title", "mj-accordion-text"):
            text = self._html(node)
            self._paragraph(struck(text) if node.literal("text-decoration") == "line-through" else text)
        elif node.tag == "mj-button":
            self._paragraph(self._labelled(self._html(node), node.literal("href")))
        elif node.tag in ("mj-navbar-link", "mj-social-element"):
            link = (self._base_url if node.tag == "mj-navbar-link" else "") + (node.literal("href") or "")
            label = self._html(node) or unescape(node.literal("alt") or "")
            self.out += [LINE, self._labelled(label, link), LINE]
        elif node.tag in ("mj-image", "mj-carousel-image"):
            self._paragraph(
                self._labelled(unescape(node.literal("alt") or ""), node.literal("href")) if node.literal("alt") else ""
            )
        elif node.tag == "mj-divider":
            self._paragraph(_RULE)
        else:
            self._base_url = node.literal("base-url") or "" if node.tag == "mj-navbar" else self._base_url
            self.out.append(PARAGRAPH if node.children else "")
            self.children(node)
            self.out.append(PARAGRAPH if node.children else "")

    def _paragraph(self, text: str) -> None:
        if text:
            self.out += [PARAGRAPH, text, PARAGRAPH]

    def _labelled(self, label: str, link: str | None) -> str:
        label = label.strip(" \n" + LINE + PARAGRAPH + BREAK)
        beside = beside_label(label, unescape(link or "").strip(), self._tokens)
        return f"{label} : {beside}" if label and beside else label or beside

    def _html(self, element: Element) -> str:
        if element.content is None:
            return ""
        html = canonical_html(element.content, self._tokens, self._collector)
        return html_to_text(f"<table>{html}</table>" if element.tag == "mj-table" else html, self._tokens)


def html_to_text(html: str, tokens: Tokens) -> str:
    """Convert HTML with placeholders to text with placeholders and marks."""
    if not html.strip():
        return ""
    marked = comments_in_text(html.replace("\x00", ""))
    document = parse_html(f"<html><body><div>{marked}</div></body></html>")
    return _Html(tokens).inside(document.find("body"))


class _Html:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._keeps_space = False

    def inside(self, element: html_tree.Node) -> str:
        out = [self._text(element.text)]
        for child in element:
            out += [self._element(child), self._text(child.tail)]
        return "".join(out)

    def _text(self, text: str | None) -> str:
        text = _INVISIBLE.sub("", text or "")
        if self._keeps_space:
            return text.expandtabs(8).replace("\n", KEPT_NEWLINE).replace(" ", KEPT_SPACE)
        return re.sub(r"[ \t\r\n\f]+", " ", text)

    def _element(self, element: html_tree.Node) -> str:
        if not is_element(element):
            found = PLACEHOLDER.fullmatch((element.text or "").strip())
            return found[0] if found else ""
        tag, style = element.tag, (element.get("style") or "").replace(" ", "")
        if tag in _SKIPPED or "display:none" in style or element.get("hidden") is not None:
            return ""
        if tag == "br":
            return KEPT_NEWLINE if self._keeps_space else BREAK
        if tag == "hr":
            return PARAGRAPH + _RULE + PARAGRAPH
        if tag == "img":
            return element.get("alt") or ""
        if tag == "table":
            return PARAGRAPH + self._table(element) + PARAGRAPH
        text = self._kept(element) if tag == "pre" or _KEEPS_SPACE.search(style) else self.inside(element)
        if tag in _INLINE or _LINE_THROUGH.search(style):
            text = self._inline(tag, text, element)
        if tag in ("ul", "ol"):
            mark = LINE if next(element.iterancestors("li"), None) is not None else PARAGRAPH
            return mark + marked_list(element, text) + mark
        if tag == "li":
            return LINE + marked_item(element, text)
        mark = PARAGRAPH if tag in _PARAGRAPHS else LINE if tag in _LINES else ""
        return mark + text + mark

    def _inline(self, tag: str, text: str, element: html_tree.Node) -> str:
        if tag == "a":
            beside = beside_label(text.strip(" "), (element.get("href") or "").strip(), self._tokens)
            return f"{text} ({beside})" if text.strip(" ") and beside else text or beside
        if tag in ("sup", "sub"):
            return raised(text, is_below=tag == "sub")
        return f'"{text}"' if tag == "q" else struck(text)

    def _kept(self, element: html_tree.Node) -> str:
        """The text with its white space; the parser drops a line break right behind the tag, and so do browsers."""
        before, self._keeps_space = self._keeps_space, True
        text = self.inside(element)
        self._keeps_space = before
        return text.removeprefix(KEPT_NEWLINE).rstrip(KEPT_NEWLINE)

    def _table(self, table: html_tree.Node) -> str:
        rows = [row for row in table.iter("tr") if next(row.iterancestors("table")) is table]
        cells = {row: self._cells(row) for row in rows}
        labels = [texts[0] for texts in cells.values() if len(texts) == 2 and self._is_static(texts[0])]
        width = max((len(_label(text)) for text in labels), default=0)
        return self._rows(table, cells, width)

    def _rows(self, element: html_tree.Node, cells: dict[html_tree.Node, list[str]], width: int) -> str:
        out: list[str] = []
        for child in element:
            if child.tag == "tr":
                out += [LINE, self._row(child, cells[child], width)]
            elif child.tag in _ROW_GROUPS:
                out.append(self._rows(child, cells, width))
            else:
                out.append(self._element(child))
        return "".join(out)

    def _cells(self, row: html_tree.Node) -> list[str]:
        """The texts of the cells; [] if Jinja blocks stand between cells, so that their number is not fixed."""
        if any(not is_element(child) for child in row):
            return []
        return [_one_paragraph(self.inside(cell)) for cell in row if cell.tag in ("td", "th")]

    def _row(self, row: html_tree.Node, texts: list[str], width: int) -> str:
        if not texts:
            parts = [self._element(child) if not is_element(child) else self.inside(child) + "  " for child in row]
            return "".join(parts).strip(" ")
        filled = [text for text in texts if text]
        if len(filled) == 1 and has_lists(filled[0]):
            return filled[0]
        if len(texts) != 2 or len(filled) != 2:
            return "  ".join(self._in_one_line(text) for text in filled)
        label = _label(texts[0])
        if not self._is_static(label):
            return f"{label} : {texts[1]}"
        return f"{label.ljust(width)} : {texts[1]}"

    def _in_one_line(self, text: str) -> str:
        if has_lists(text):
            text = in_one_line(text.replace(LINE, "\n"), is_static=not _has_blocks(text, self._tokens))
        return text.replace(LINE, ", ").replace("\n", ", ")

    @staticmethod
    def _is_static(text: str) -> bool:
        return PLACEHOLDER.search(text) is None


def _label(text: str) -> str:
    return text.rstrip(": \xa0\u202f")


def _one_paragraph(text: str) -> str:
    """The text of a table cell: its paragraphs become lines."""
    text = _MARKS.sub(LINE, text).strip(" \n" + LINE)
    return text if text.strip(" \xa0\u202f") else ""


def texts_of(nodes: Iterable[Node]) -> list[Slice]:
    """All slices of attribute values and contents below, in order, for a search for tokens."""
    found: list[Slice] = []
    for node in nodes:
        if isinstance(node, Slice):
            found.append(node)
        else:
            found += [attribute.value for attribute in node.attributes]
            found += [node.content] if node.content else texts_of(node.children)
    return found
