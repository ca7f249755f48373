"""Three-way merge of template files that two people changed at the same time."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged files; `conflicts` names those where both changed the same place, which hold our version."""

    texts: Mapping[str, str]
    conflicts: Sequence[str]


def merge(base: Mapping[str, str], theirs: Mapping[str, str], ours: Mapping[str, str]) -> Merged:
    """Merge each file: the changed side wins; if both changed it, merge by line. A missing file was deleted."""
    texts: dict[str, str] = {}
    conflicts: list[str] = []
    for name in sorted(base.keys() | theirs.keys() | ours.keys()):
        was, their, our = base.get(name), theirs.get(name), ours.get(name)
        kept = our
        if our == was:
            kept = their
        elif their not in (was, our):
            together = merge_lines(was or "", their, our) if their is not None and our is not None else None
            if together is None:
                conflicts.append(name)
            kept = our if together is None else together
        if kept is not None:
            texts[name] = kept
    return Merged(texts, conflicts)


def merge_lines(base: str, theirs: str, ours: str) -> str | None:
    """Return the text with both changes; None if they touch the same or adjacent lines."""
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
    """Return the changes to the lines: from, to, and their replacement."""
    new = text.splitlines(keepends=True)
    codes = difflib.SequenceMatcher(None, lines, new, autojunk=False).get_opcodes()
    return [(begin, end, tuple(new[a:b])) for tag, begin, end, a, b in codes if tag != "equal"]
