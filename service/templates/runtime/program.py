"""Programs: compiled Jinja with a source map to the author's file, which turns runtime errors into findings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

from jinja2.exceptions import SecurityError, UndefinedError

from service.errors import Finding, RenderError
from service.mail.addresses import AddressInvalid
from service.templates.jinja.restore import Restored
from service.templates.jinja.tokens import Tokens
from service.templates.runtime.escapes import Unprintable
from service.templates.runtime.meter import LimitExceeded

#: A message may quote a value, or a key of one.
_LONGEST_MESSAGE = 500


class SourceMapEntry(NamedTuple):
    """A tag of the author's: its position, its text, and the variable that its value comes from, if known."""

    file: str
    line: int
    column: int
    tag: str
    variable: str | None = None


@dataclass(frozen=True)
class Program:
    """Jinja source with a source map: line number -> fields of a `SourceMapEntry`. Without entries it is constant.

    The fields are plain tuples, which the garbage collector does not track: with hundreds of templates its runs would
    be noticeable.
    """

    source: str
    source_map: Mapping[int, tuple[Any, ...]] = field(default_factory=dict)

    def entry_at(self, line: int) -> SourceMapEntry | None:
        """The tag in this line of the source; None if there is none."""
        fields = self.source_map.get(line)
        return SourceMapEntry(*fields) if fields else None

    @property
    def is_constant(self) -> bool:
        """True if no Jinja is in the source, so that it prints as it is."""
        return not self.source_map

    @classmethod
    def of(cls, restored: Restored, tokens: Tokens, variables: Mapping[int, str]) -> "Program":
        """The program of restored Jinja; `variables` maps a token's index to the variable its value comes from."""
        spots: dict[int, tuple[Any, ...]] = {}
        for line, index in restored.tokens.items():
            token = tokens[index]
            place = token.place
            spots[line] = tuple(SourceMapEntry(place.file, place.line, place.column, str(token), variables.get(index)))
        return cls(restored.source, spots)

    def as_json(self) -> dict[str, Any]:
        """The program as JSON values."""
        return {
            "source": self.source,
            "spots": [[line, *fields] for line, fields in self.source_map.items()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Program":
        """The program that `as_json` wrote."""
        return cls(data["source"], {line: tuple(rest) for line, *rest in data["spots"]})


def explain(error: BaseException, program: Program, modules: Mapping[str, Program], part: str) -> RenderError:
    """Convert a runtime error to a finding at the author's tag, with the variable that caused it."""
    entry = _innermost_entry(error.__traceback__, program, modules)
    if isinstance(error, LimitExceeded) and error.line is not None:
        entry = program.entry_at(error.line) or entry
    code, message = _code_and_message(error)
    message = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
    if entry is None:
        first = next(iter(program.source_map), None)
        place = program.entry_at(first) if first is not None else None
        file, line = (place.file, place.line) if place else ("", 1)
        blamed = place.variable if place and len(program.source_map) == 1 else None
        return RenderError(Finding(file, line, 1, "error", code, f"{part}: {message}"), variable=blamed)
    hint = f"in {entry.tag}"
    missing = re.fullmatch(r"(\w+) is missing", message)
    variable = missing[1] if missing else entry.variable
    return RenderError(Finding(entry.file, entry.line, entry.column, "error", code, message, hint), variable=variable)


def _code_and_message(error: BaseException) -> tuple[str, str]:
    if isinstance(error, LimitExceeded):
        return "too-much", str(error)
    if isinstance(error, UndefinedError):
        return "missing-value", str(error)
    if isinstance(error, Unprintable):
        return "unprintable-value", str(error)
    if isinstance(error, AddressInvalid):
        return "bad-address", str(error)
    if isinstance(error, RecursionError):
        return "too-much", "macros call each other endlessly"
    if isinstance(error, SecurityError):
        return "not-allowed", str(error)
    if isinstance(error, ZeroDivisionError):
        return "bad-value", "division by zero"
    return "bad-value", f"{error}" or type(error).__name__


def _innermost_entry(
    traceback: TracebackType | None, program: Program, modules: Mapping[str, Program]
) -> SourceMapEntry | None:
    """The innermost tag in the traceback; the code of a template knows the lines of its source."""
    found: SourceMapEntry | None = None
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(traceback.tb_lineno)
            owner = program if template.name is None else modules.get(template.name)
            found = (owner.entry_at(line) if owner else None) or found
        traceback = traceback.tb_next
    return found
