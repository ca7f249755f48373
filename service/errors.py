"""The exceptions of the service, as one tree that is split by what the caller has to do.

    EmailServiceError
    ├── ConfigurationError        fix the settings; the process does not start
    ├── RequestRefused            fix the request; repeating it unchanged does not help
    │   ├── MalformedRequest          the body is not JSON
    │   ├── InvalidRequest            JSON that breaks a rule; lists every mistake with its JSON pointer
    │   ├── NotAuthenticated          no key, or an unknown one
    │   ├── NotAllowed                the caller lacks the scope
    │   ├── NotVerified               the signature of a notification can't be verified
    │   ├── NotFound                  no such template, message or attachment
    │   ├── Conflict                  not possible in the current state
    │   ├── Gone                      the content has been anonymised
    │   ├── PreconditionFailed        somebody else changed it since it was read
    │   ├── PreconditionRequired      the request must carry a condition (If-Match)
    │   └── TooLarge                  the body exceeds the limit
    ├── TryLater                  repeat the same request in a moment
    │   ├── TooManyAttempts           too many wrong tokens from one address
    │   └── TooManyRequests           more requests than a key or an address may send
    ├── TemplateError             fix a file of the template
    │   ├── TemplateInvalid           it does not compile; lists every finding
    │   └── RenderError               it compiles, but can't be rendered with these values
    ├── StoreError                the database failed
    │   ├── StoreBusy                 locked, full or unreachable: nothing was stored, try again
    │   └── ArchiveCorrupt            stored bytes do not match their digest
    ├── NoBrowser                 there is no Chromium, or no playwright, to take pictures with
    ├── ChildFailed               a child process crashed or exceeded its limits; its input is at fault
    ├── InboxUnreachable          the bounce mailbox can't be read now; the next poll tries again
    └── GitError                  git is missing, too slow, or failed

A message is written for people: what is wrong, where, and how to fix it. It contains no SQL, no traceback, no path
outside the template directory, no secret and no address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a request; `pointer` is a JSON pointer into the body (RFC 6901; "" is the whole body)."""

    pointer: str
    code: str
    message: str


def pointer(*parts: str | int) -> str:
    """The JSON pointer (RFC 6901) of a path: ("rows", 0, "a/b") -> "/rows/0/a~1b"."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake or warning in a template: its position (lines and columns count from 1) and a hint how to fix it.

    `file` is relative to the template directory. An "error" does not compile or would send a wrong mail; a "warning"
    makes a mail worse.
    """

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    message: str
    hint: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the template can't be compiled, or would send a wrong mail."""
        return self.severity == "error"

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


class EmailServiceError(Exception):
    """Base class of all errors of this service."""


class ConfigurationError(EmailServiceError):
    """The settings are invalid; `problems` has one sentence per mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class RequestRefused(EmailServiceError):
    """The request is refused; `problems` lists every mistake that was found."""

    code = "refused"

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message)


class MalformedRequest(RequestRefused):
    """The body is not JSON (RFC 8259)."""

    code = "malformed_json"


class InvalidRequest(RequestRefused):
    """The body is JSON that breaks a rule."""

    code = "invalid_request"


class NotAuthenticated(RequestRefused):
    """The request has no key, or an unknown one."""

    code = "not_authenticated"


class NotAllowed(RequestRefused):
    """The caller lacks the scope that the request needs."""

    code = "not_allowed"


class NotVerified(RequestRefused):
    """The signature of a notification can't be verified; the message is a sentence with the reason."""

    code = "not_verified"


class NotFound(RequestRefused):
    """The requested item does not exist, or not for this caller."""

    code = "not_found"


class Conflict(RequestRefused):
    """The request is not possible in the current state."""

    code = "conflict"


class Gone(RequestRefused):
    """The requested content has been anonymised."""

    code = "gone"


class PreconditionFailed(RequestRefused):
    """Somebody else changed the item since the caller read it (If-Match)."""

    code = "precondition_failed"


class PreconditionRequired(RequestRefused):
    """The request must name the state that it changes, with If-Match or If-None-Match (RFC 6585)."""

    code = "precondition_required"


class TooLarge(RequestRefused):
    """The body is larger than the service accepts."""

    code = "too_large"


class TryLater(EmailServiceError):
    """The request can't be accepted now and nothing was stored; `retry_after_s` is when to try again, in seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class TooManyAttempts(TryLater):
    """Too many wrong tokens from one address; a right one is still taken at once."""


class TooManyRequests(TryLater):
    """A key or an address sent more requests than its rate allows."""


class TemplateError(EmailServiceError):
    """A template has a mistake."""


class TemplateInvalid(TemplateError):
    """A template does not compile; `findings` lists every mistake, in the order of the source."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in findings))


class RenderError(TemplateError):
    """A compiled template can't be rendered with these values.

    `finding` has the position in the source; `variable` is the name of the variable at fault, if it is known, so that a
    response can point at it.
    """

    def __init__(self, finding: Finding, *, variable: str | None = None) -> None:
        self.finding = finding
        self.variable = variable
        super().__init__(str(finding))


class StoreError(EmailServiceError):
    """The database failed."""


class StoreBusy(StoreError):
    """The database is locked, full or unreachable; nothing was stored, and the work can be repeated."""


class ArchiveCorrupt(StoreError):
    """Stored bytes do not match their digest."""


class NoBrowser(EmailServiceError):
    """There is no browser to take pictures with; the message is a sentence how to get one."""


class ChildFailed(EmailServiceError):
    """A child process gave no result; the message says why, with "it" for the process."""


class InboxUnreachable(EmailServiceError):
    """The IMAP server is unreachable, hangs or refuses; the message has the reason, without names or addresses."""


class ForgeError(EmailServiceError):
    """A forge did not do what it was asked; the message says what to do. `is_lasting`: it won't until that is done.

    `code` is the same for the same kind of failure. `retry_after_s` is the pause that the forge asks for, in seconds.
    """

    def __init__(self, code: str, message: str, *, is_lasting: bool, retry_after_s: int | None = None) -> None:
        self.code = code
        self.is_lasting = is_lasting
        self.retry_after_s = retry_after_s
        super().__init__(message)


class GitError(EmailServiceError):
    """git is missing, too slow, or failed; the message is a sentence, `reply` is git's own output for the log."""

    def __init__(self, message: str, *, reply: str = "") -> None:
        self.reply = reply
        super().__init__(message)
