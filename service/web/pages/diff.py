"""What differs between two texts, line by line, for the markup to print."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Sign = Literal["same", "out", "in", "gap"]
_AROUND = 3
#: Where nearly everything differs, a finer look takes time and tells nothing.
_MAX_LINES = 4_000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line: the numbers it has before and after, counted from 1; None where it is not there."""

    sign: Sign
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that came, went or changed."""

    file: str
    lines: Sequence[DiffLine]
    added: int
    removed: int


def between(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """Every file that differs, by name."""
    names = sorted(before.keys() | after.keys(), key=lambda name: (not name.startswith("template.mjml"), name))
    return [
        difference(name, before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name) != after.get(name)
    ]


def difference(file: str, before: str, after: str) -> Difference:
    """The changed lines with three around each; a gap between groups."""
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
