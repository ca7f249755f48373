"""Source positions: files with line indexes, and texts that map each character back to its file."""

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file of the template directory; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Source:
    """One file as text: newlines are LF, there is no byte order mark. `path` is relative to the template directory.

    A text that is part of its file (a value in the front matter) begins at `first_line` and `first_column` there; its
    further lines are indented by `indent` columns.
    """

    path: str
    text: str
    first_line: int = 1
    first_column: int = 1
    indent: int = 0
    _line_starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = (0, *(found.end() for found in re.finditer("\n", self.text)))
        object.__setattr__(self, "_line_starts", starts)

    def place(self, offset: int) -> Place:
        """The position of a character; an offset past the end is the end."""
        offset = min(offset, len(self.text))
        line = bisect.bisect_right(self._line_starts, offset)
        column = offset - self._line_starts[line - 1]
        return Place(
            self.path, self.first_line + line - 1, column + (self.first_column if line == 1 else self.indent + 1)
        )


def normalise_newlines(text: str) -> str:
    """`text` with LF newlines and without a byte order mark (mrml refuses CRLF)."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True, slots=True)
class TextRun:
    """A run of characters in a `MappedText`: it begins at `start` there and at `offset` of `origin`.

    A `Place` as origin is the position of all its characters.
    """

    start: int
    origin: Source | Place
    offset: int = 0


class MappedText:
    """A text put together from pieces of files, with a source map for each character."""

    def __init__(self, text: str, runs: Sequence[TextRun]) -> None:
        self.text = text
        self._runs = tuple(runs)
        self._starts = [run.start for run in self._runs]

    def place(self, offset: int) -> Place:
        """The position in the author's files of the character at `offset`."""
        run = self._runs[max(bisect.bisect_right(self._starts, offset) - 1, 0)]
        if isinstance(run.origin, Place):
            return run.origin
        return run.origin.place(run.offset + offset - run.start)
