"""Lists and kept white space of the plain text part: marks for them, and their layout.

All marks are control characters, which values never hold. A list without Jinja blocks is laid out when the template is
compiled; one with blocks when it is rendered, because its items are known then.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from service.templates.jinja.tokens import PLACEHOLDER
from service.templates.mjml.html_tree import Node

LIST_BEGIN, LIST_END, ITEM = "\x0e", "\x0f", "\x10"
#: White space of `<pre>`, which nothing collapses.
KEPT_SPACE, KEPT_NEWLINE = "\x1a", "\x1b"
#: After an item's mark, so that a list whose marks a macro loses still reads as one.
_BULLET = "- "
#: Around the number of a list or an item, which may be an expression.
_NUMBER = "\x15"
_NUMBERS, _LETTERS, _ROMAN, _CAPITALS, _NO_BULLET, _REVERSED = "\x16", "\x17", "\x18", "\x19", "\x05", "\x06"
#: By the attribute `type`, and by the property `list-style-type`.
_KINDS = {"1": _NUMBERS, "a": _LETTERS, "A": _LETTERS + _CAPITALS, "i": _ROMAN, "I": _ROMAN + _CAPITALS}
_STYLES = {
    "disc": "",
    "circle": "",
    "square": "",
    "none": _NO_BULLET,
    "decimal": _NUMBERS,
    "lower-alpha": _KINDS["a"],
    "lower-latin": _KINDS["a"],
    "upper-alpha": _KINDS["A"],
    "upper-latin": _KINDS["A"],
    "lower-roman": _KINDS["i"],
    "upper-roman": _KINDS["I"],
}
_MARK = re.compile("(\x0e[\x05\x06\x16-\x19]*(?:\x15[^\x15]*\x15)?|\x0f|\x10(?:\x15[^\x15]*\x15)?)")
_LATER_NUMBER = re.compile(f"{_NUMBER}[^{_NUMBER}]*{PLACEHOLDER.pattern}")
_LIST_STYLE = re.compile(r"list-style(?:-type)?\s*:([^;]*)", re.I)
_LIST_ENDS = re.compile("[\x0e\x0f]")
_NEW_LINE = re.compile("(?<![\n\x1b])([\n\x1b]+)(?=[^\n\x1b])")
_ROMAN_NUMBERS = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
#: Roman numbers and letters end here in browsers as well (CSS Counter Styles 3).
_LARGEST = 3_999


def marked_list(element: Node, text: str) -> str:
    """The text of a list's element, marked."""
    marks = _KINDS.get(element.get("type") or "1", _NUMBERS) if element.tag == "ol" else ""
    for declared in _LIST_STYLE.findall(element.get("style") or ""):
        word = next((one for one in declared.lower().split() if one in _STYLES), "")
        marks = _STYLES.get(word, marks)
    if element.get("reversed") is not None:
        marks += _REVERSED
    return f"{LIST_BEGIN}{marks}{_marked_number(element.get('start'))}{text}{LIST_END}"


def marked_item(element: Node, text: str) -> str:
    """The text of an item, marked, with its own number where it has one."""
    return f"{ITEM}{_marked_number(element.get('value'))}{_BULLET}{text.strip(' ')}"


def lay_out(text: str) -> str:
    """Write the lists of a text: numbers, bullets, and each level indented below its item."""
    root = _List("")
    levels = [root]
    for index, piece in enumerate(_MARK.split(text)):
        if index % 2 == 0:
            levels[-1].add(piece)
        elif piece[0] == LIST_BEGIN:
            levels.append(_List(piece))
        elif piece[0] == ITEM:
            levels[-1].begin_item(_number_of(piece))
        elif len(levels) > 1:
            done = levels.pop()
            levels[-1].add(done.text())
    while len(levels) > 1:
        done = levels.pop()
        levels[-1].add(done.text())
    return "".join(root.before + [part for _, parts in root.items for part in (_BULLET, *parts)])


def lay_out_where(text: str, is_static: Callable[[str], bool]) -> str:
    """Write the outermost lists whose text `is_static` accepts; the others stay marked."""
    out: list[str] = []
    depth = position = 0
    for found in _LIST_ENDS.finditer(text):
        if found[0] == LIST_BEGIN:
            if depth == 0:
                out.append(text[position : found.start()])
                position = found.start()
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                part = text[position : found.end()]
                out.append(lay_out(part) if is_static(part) else part)
                position = found.end()
    return "".join([*out, text[position:]])


def in_one_line(text: str, *, is_static: bool) -> str:
    """A list between other texts on one line; without numbers where Jinja decides how many items it has."""
    if not is_static:
        return _MARK.sub("", text)
    return ", ".join(line.strip() for line in lay_out(text).split("\n") if line.strip())


def has_later_numbers(text: str) -> bool:
    """True if an expression gives the number of a list or an item."""
    return _LATER_NUMBER.search(text) is not None


def has_lists(text: str) -> bool:
    """True if a list or an item is still marked."""
    return LIST_BEGIN in text or ITEM in text


@dataclass
class _List:
    """A list that is read: its mark, the text before its first item, its items with their own numbers."""

    mark: str
    before: list[str] = field(default_factory=list)
    items: list[tuple[int | None, list[str]]] = field(default_factory=list)

    def begin_item(self, number: int | None) -> None:
        self.items.append((number, []))

    def add(self, text: str) -> None:
        if not self.items:
            self.before.append(text)
            return
        parts = self.items[-1][1]
        parts.append(text if parts else text.removeprefix(_BULLET[0]).lstrip(" \n"))

    def text(self) -> str:
        step = -1 if _REVERSED in self.mark else 1
        start = _number_of(self.mark)
        number = start if start is not None else len(self.items) if step < 0 else 1
        lines = [before] if (before := "".join(self.before).strip(" \n")) else []
        for own, parts in self.items:
            number = number if own is None else own
            bullet = self._bullet(number)
            number += step
            body = "".join(parts).strip(" \n")
            lines.append(bullet + _NEW_LINE.sub(r"\1" + " " * len(bullet), body))
        return "\n".join(lines)

    def _bullet(self, number: int) -> str:
        if _NO_BULLET in self.mark:
            return ""
        if not any(kind in self.mark for kind in (_NUMBERS, _LETTERS, _ROMAN)):
            return _BULLET
        label = str(number)
        if 0 < number <= _LARGEST and _NUMBERS not in self.mark:
            label = _in_letters(number) if _LETTERS in self.mark else _in_roman(number)
        return f"{label.upper() if _CAPITALS in self.mark else label}. "


def _in_letters(number: int) -> str:
    label = ""
    while number:
        number, letter = divmod(number - 1, 26)
        label = chr(ord("a") + letter) + label
    return label


def _in_roman(number: int) -> str:
    label = ""
    for value, digits in _ROMAN_NUMBERS:
        label += digits * (number // value)
        number %= value
    return label


def _marked_number(written: str | None) -> str:
    return f"{_NUMBER}{written.strip()}{_NUMBER}" if written else ""


def _number_of(mark: str) -> int | None:
    """The number in a mark; None if there is none, or it is no number."""
    written = mark.partition(_NUMBER)[2].rstrip(_NUMBER)
    return int(written) if re.fullmatch(r"-?[0-9]{1,6}", written) else None
