"""A readable diff of two mails.

Compiled HTML has lines of thousands of characters. They are broken between tags and after CSS declarations, for
reading only; changes within a line are marked word by word: `[-old-]{+new+}`. It goes to terminals, and the texts may
be a stranger's: control characters are written out.
"""

import difflib
import re
from collections.abc import Iterator, Sequence

#: Lines that are compared of each side, once those that are the same at both ends are left out.
_MAX_COMPARED = 1_000
_MAX_WORDS = 1_000
_MAX_LINE = 2_000
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_TAG = re.compile(r"<[^<>]+>")
_BREAKS = re.compile(r"(?<=>)|(?=<)|(?<=;)(?=[\w-]+:)|\n")


def differences(old: str, new: str) -> Iterator[str]:
    """Lines that tell how `new` differs from `old`, in order, each with the line before it. Empty when equal."""
    before, after = _prettified(old), _prettified(new)
    start, end = _same_ends(before, after)
    context = before[start - 1] if start else None
    before, after = before[start : len(before) - end], after[start : len(after) - end]
    is_cut = max(len(before), len(after)) > _MAX_COMPARED
    yield from _changes(before[:_MAX_COMPARED], after[:_MAX_COMPARED], context)
    if is_cut:
        yield f"  … only {_MAX_COMPARED} lines are compared"
    if old != new and before == after:
        yield f"  only spaces or line breaks differ, first at character {_first_difference(old, new)}"


def shortened(lines: Iterator[str], limit: int) -> Iterator[str]:
    """The first lines, and how many more there are."""
    more = 0
    for number, line in enumerate(lines):
        if number < limit:
            yield line
        else:
            more += 1
    if more:
        yield f"  … and {more} more line{'s' if more > 1 else ''}"


def printable(text: str) -> str:
    """A line of a terminal in which no character controls it; spaces of any width stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or (one.isspace() and one >= "\xa0") else _escaped(one) for one in text)


def _changes(before: Sequence[str], after: Sequence[str], context: str | None) -> Iterator[str]:
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        above = before[i - 1] if i > 0 else context
        if above is not None:
            yield f"  {_bounded(above)}"
        pairs = min(i_end - i, j_end - j)
        for line_old, line_new in zip(before[i : i + pairs], after[j : j + pairs], strict=True):
            yield f"! {_bounded(_marked(line_old, line_new))}"
        for line in before[i + pairs : i_end]:
            yield f"- {_bounded(line)}"
        for line in after[j + pairs : j_end]:
            yield f"+ {_bounded(line)}"


def _prettified(text: str) -> list[str]:
    # The compiler wraps long lines within tags, where a line break means nothing.
    text = _TAG.sub(lambda tag: tag[0].replace("\n", " "), text)
    return [line.strip() for line in _BREAKS.split(text) if line.strip()]


def _marked(old: str, new: str) -> str:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    start, end = _same_ends(before, after)
    tail = before[len(before) - end :]
    head, before, after = before[:start], before[start : len(before) - end], after[start : len(after) - end]
    out = ["".join(head)]
    if max(len(before), len(after)) > _MAX_WORDS:
        out += _replaced(before, after)
    else:
        for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            out += ["".join(before[i:i_end])] if kind == "equal" else _replaced(before[i:i_end], after[j:j_end])
    return "".join((*out, *tail))


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if old:
        yield f"[-{_shown(''.join(old))}-]"
    if new:
        yield f"{{+{_shown(''.join(new))}+}}"


def _shown(text: str) -> str:
    """A text that changed: a space that is not the usual one is written out, because it looks like it."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _bounded(line: str) -> str:
    return printable(line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]} …")


def _same_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many elements are the same at the beginning and, beyond them, at the end."""
    shorter = min(len(one), len(other))
    start = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    left = shorter - start
    end = next((n for n in range(left) if one[-1 - n] != other[-1 - n]), left)
    return start, end


def _first_difference(old: str, new: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
