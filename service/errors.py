"""One tree of errors, split by what the caller does next.

    EmailServiceError
    ├── ConfigurationError        the operator mends the settings; the process does not start
    ├── RequestRefused            the caller mends the request; repeating it as it is does not help
    │   ├── MalformedRequest          not JSON at all
    │   ├── InvalidRequest            JSON that breaks a rule; every mistake, with its JSON pointer
    │   ├── NotAuthenticated          no key, or none that is known
    │   ├── NotAllowed                a known caller without the scope
    │   ├── NotVerified               nobody vouches for what a message says
    │   ├── NotFound                  no such template, message or attachment
    │   ├── Conflict                  the state of things forbids it now
    │   ├── Gone                      it was there and has been anonymised
    │   ├── PreconditionFailed        somebody else changed it in between
    │   ├── PreconditionRequired      a condition must come with this request
    │   └── TooLarge                  more bytes than we take
    ├── TryLater                  the same request may work in a moment
    │   └── TooManyAttempts           too many wrong tokens from one place
    ├── TemplateError             the template's author mends a file
    │   ├── TemplateInvalid           it can't be compiled; every finding with its position
    │   └── RenderError               it compiled, but not with these values
    ├── StoreError                the database refuses or lies
    │   ├── StoreBusy                 locked, full or away: nothing was stored, try again
    │   └── ArchiveCorrupt            stored bytes do not match their digest
    ├── InboxUnreachable          the mailbox of returned mail can't be read now; the next look may
    └── GitError                  git is missing, too slow, or refuses

Messages are for people: what, where, how to mend it. They hold no SQL, no stack, no path outside the
template directory, no secret, and no address in clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a request. `pointer` is an RFC 6901 JSON pointer into its body ("" is the whole)."""

    pointer: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in a template: where it is (lines and columns count from 1) and how to mend it.

    `file` is relative to the template directory. An "error" can't be compiled or would send a wrong
    mail; a "warning" only makes a mail worse.
    """

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class EmailServiceError(Exception):
    """Any failure that this service names itself."""


class ConfigurationError(EmailServiceError):
    """Settings that can't work; `problems` are full sentences, one for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class RequestRefused(EmailServiceError):
    """The request can't be taken as it is; `problems` names every mistake found."""

    code = "refused"

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message)


class MalformedRequest(RequestRefused):
    """The body is not JSON (RFC 8259)."""

    code = "malformed_json"


class InvalidRequest(RequestRefused):
    """Valid JSON that breaks a rule."""

    code = "invalid_request"


class NotAuthenticated(RequestRefused):
    """No key, or none that is known."""

    code = "not_authenticated"


class NotAllowed(RequestRefused):
    """The caller is known and lacks the scope."""

    code = "not_allowed"


class NotVerified(RequestRefused):
    """A message whose sender can't be verified; the reason is a sentence."""

    code = "not_verified"


class NotFound(RequestRefused):
    """There is no such thing, or not for this caller."""

    code = "not_found"


class Conflict(RequestRefused):
    """The state of things forbids it now."""

    code = "conflict"


class Gone(RequestRefused):
    """It was there, and has been anonymised."""

    code = "gone"


class PreconditionFailed(RequestRefused):
    """Somebody else changed it since it was read (If-Match)."""

    code = "precondition_failed"


class PreconditionRequired(RequestRefused):
    """This change must say which state it changes (RFC 6585)."""

    code = "precondition_required"


class TooLarge(RequestRefused):
    """More bytes than this service takes."""

    code = "too_large"


class TryLater(EmailServiceError):
    """Can't be taken just now; nothing was stored. `retry_after_s` is a sensible pause in seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class TooManyAttempts(TryLater):
    """Too many wrong tokens from one place; `retry_after_s` says when the next one is looked at."""


class TemplateError(EmailServiceError):
    """Something is wrong in a template."""


class TemplateInvalid(TemplateError):
    """A template that can't be compiled; `findings` holds every mistake, in the order of the text."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in findings))


class RenderError(TemplateError):
    """A compiled template refuses these values.

    `finding` has the place in the source; `variable` is the name of the variable to blame where that is
    known, so that an answer can point at it.
    """

    def __init__(self, finding: Finding, *, variable: str | None = None) -> None:
        self.finding = finding
        self.variable = variable
        super().__init__(str(finding))


class StoreError(EmailServiceError):
    """The database refuses or lies."""


class StoreBusy(StoreError):
    """Locked, full or out of reach: nothing was stored, the same work may be tried again."""


class ArchiveCorrupt(StoreError):
    """Stored bytes do not match their digest."""


class InboxUnreachable(EmailServiceError):
    """The IMAP server is away, hangs, or refuses; the message says why in words that name nobody."""


class GitError(EmailServiceError):
    """git is missing, too slow, or refuses; the message is a sentence. `reply` is what git itself said, for the log."""

    def __init__(self, message: str, *, reply: str = "") -> None:
        self.reply = reply
        super().__init__(message)
