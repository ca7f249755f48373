"""Two people have changed the same text: theirs and ours put together, where they changed different places of it."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Merged:
    """The files with both changes; `torn` are those where both changed the same place, which hold ours alone."""

    texts: Mapping[str, str]
    torn: Sequence[str]


def merge(base: Mapping[str, str], theirs: Mapping[str, str], ours: Mapping[str, str]) -> Merged:
    """Each file: whoever changed it is followed; where both did, line by line. What is not in one is not there."""
    texts: dict[str, str] = {}
    torn: list[str] = []
    for name in sorted(base.keys() | theirs.keys() | ours.keys()):
        was, their, our = base.get(name), theirs.get(name), ours.get(name)
        kept = our
        if our == was:
            kept = their
        elif their not in (was, our):
            together = merge_lines(was or "", their, our) if their is not None and our is not None else None
            if together is None:
                torn.append(name)
            kept = our if together is None else together
        if kept is not None:
            texts[name] = kept
    return Merged(texts, torn)


def merge_lines(base: str, theirs: str, ours: str) -> str | None:
    """The text with both changes; None where they touch the same lines, or lines beside each other."""
    lines = base.splitlines(keepends=True)
    changes = sorted({*_changes(lines, theirs), *_changes(lines, ours)})
    for (_, end, _), (begin, _, _) in pairwise(changes):
        if begin <= end:
            return None
    made: list[str] = []
    at = 0
    for begin, end, new in changes:
        made += [*lines[at:begin], *new]
        at = end
    return "".join([*made, *lines[at:]])


def _changes(lines: Sequence[str], text: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """What was done to the lines: from, to, and what stands there instead."""
    new = text.splitlines(keepends=True)
    codes = difflib.SequenceMatcher(None, lines, new, autojunk=False).get_opcodes()
    return [(begin, end, tuple(new[a:b])) for tag, begin, end, a, b in codes if tag != "equal"]
