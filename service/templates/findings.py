"""The collector of findings: an author sees every mistake of a template at once."""

import difflib
from collections.abc import Iterable

from service.errors import Finding
from service.templates.positions import Place

#: No name that could be meant is longer, and a comparison takes the longer the longer a word is.
_LONGEST_WORD = 100


class FindingCollector:
    """Collects findings; an identical finding is kept once.

    With `max_errors` the last of them raises CompileAborted: an author reads no more, and each takes time to explain.
    """

    def __init__(self, *, max_errors: int | None = None) -> None:
        self._findings: dict[Finding, None] = {}
        self._silenced: set[str] = set()
        self._syntax_errors: set[tuple[str, int, int]] = set()
        self._errors = 0
        self._max_errors = max_errors

    def error(self, place: Place, code: str, message: str, hint: str = "") -> None:
        """Add an error: something that can't be compiled or would send a wrong mail.

        A tag with a syntax error gets no further error.
        """
        at = (place.file, place.line, place.column)
        if code in self._silenced or at in self._syntax_errors:
            return
        if code == "jinja-syntax":
            self._syntax_errors.add(at)
        finding = Finding(*at, "error", code, message, hint)
        if finding not in self._findings:
            self._errors += 1
            self._findings[finding] = None
        if self._max_errors is not None and self._errors >= self._max_errors:
            raise CompileAborted

    def silence(self, code: str) -> None:
        """Drop further errors with this code, because another finding explains them already."""
        self._silenced.add(code)

    def warning(self, place: Place, code: str, message: str, hint: str = "") -> None:
        """Add a warning: something that only makes a mail worse."""
        self._findings[Finding(place.file, place.line, place.column, "warning", code, message, hint)] = None

    @property
    def has_errors(self) -> bool:
        """True if an error was collected."""
        return self._errors > 0

    @property
    def count(self) -> int:
        """The number of findings."""
        return len(self._findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the text."""
        return tuple(sorted(self._findings, key=lambda found: (found.file, found.line, found.column, found.severity)))


class CompileAborted(Exception):
    """A compilation step can't go on; the reason is among the findings."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the most similar known word; "" if none is similar."""
    if len(word) > _LONGEST_WORD:
        return ""
    nearest = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f'did you mean "{nearest[0]}"?' if nearest else ""
