"""The collector of findings: an author sees every mistake of a template at once."""

import difflib
from collections.abc import Iterable

from service.errors import Finding
from service.templates.positions import Place


class FindingCollector:
    """Collects findings; an identical finding is kept once."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}
        self._silenced: set[str] = set()

    def error(self, place: Place, code: str, message: str, hint: str = "") -> None:
        """Add an error: something that can't be compiled or would send a wrong mail.

        A tag with a syntax error gets no further error.
        """
        syntax_error = (place.file, place.line, place.column, "jinja-syntax")
        if code in self._silenced or any(
            (one.file, one.line, one.column, one.code) == syntax_error for one in self._findings
        ):
            return
        self._findings[Finding(place.file, place.line, place.column, "error", code, message, hint)] = None

    def silence(self, code: str) -> None:
        """Drop further errors with this code, because another finding explains them already."""
        self._silenced.add(code)

    def warning(self, place: Place, code: str, message: str, hint: str = "") -> None:
        """Add a warning: something that only makes a mail worse."""
        self._findings[Finding(place.file, place.line, place.column, "warning", code, message, hint)] = None

    @property
    def has_errors(self) -> bool:
        """True if an error was collected."""
        return any(finding.is_error for finding in self._findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the text."""
        return tuple(sorted(self._findings, key=lambda found: (found.file, found.line, found.column, found.severity)))


class CompileAborted(Exception):
    """A compilation step can't go on; the reason is among the findings."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the most similar known word; "" if none is similar."""
    nearest = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f'did you mean "{nearest[0]}"?' if nearest else ""
