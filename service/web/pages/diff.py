"""Line-by-line diff of two sets of files, for the markup to print."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Sign = Literal["same", "out", "in", "gap"]
_AROUND = 3
#: Beyond this many lines difflib's faster heuristic is used: an exact diff would take seconds.
_MAX_LINES = 4_000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff with its numbers before and after, counted from 1; None where the line does not exist."""

    sign: Sign
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The diff of a file that was added, removed or changed."""

    file: str
    lines: Sequence[DiffLine]
    added: int
    removed: int


def between(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """Return the diff of each file that differs: the mail itself first, then by name."""
    names = sorted(before.keys() | after.keys(), key=lambda name: (not name.startswith("template.mjml"), name))
    return [
        difference(name, before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name) != after.get(name)
    ]


def difference(file: str, before: str, after: str) -> Difference:
    """Return the changed lines with three lines of context, and a gap between groups."""
    old, new = before.splitlines(), after.splitlines()
    lines = list(_lines(old, new))
    return Difference(
        file, lines, sum(1 for line in lines if line.sign == "in"), sum(1 for line in lines if line.sign == "out")
    )


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > _MAX_LINES)
    for number, group in enumerate(matcher.get_grouped_opcodes(_AROUND)):
        if number:
            yield DiffLine("gap", None, None, "")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                for offset in range(old_to - old_from):
                    yield DiffLine("same", old_from + offset + 1, new_from + offset + 1, old[old_from + offset])
                continue
            for index in range(old_from, old_to):
                yield DiffLine("out", index + 1, None, old[index])
            for index in range(new_from, new_to):
                yield DiffLine("in", None, index + 1, new[index])
