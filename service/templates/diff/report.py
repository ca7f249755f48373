"""The report of a diff, `report.json`: what a pull request changes, as data. docs/report.md describes it.

Whoever writes a comment from it reads a stranger's file: every field is bounded, and unknown ones are refused.
"""

from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

REPORT_VERSION: Literal[1] = 1
#: A repository has hundreds of templates.
MAX_TEMPLATES = 2_000
MAX_MAILS = 500
MAX_FINDINGS = 2_000
MAX_NAMES = 2_000

Name = Annotated[str, StringConstraints(max_length=300)]
Line = Annotated[str, StringConstraints(max_length=1_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


def cut(text: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis; without surrogates, which JSON can't carry."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as "1 mail" and "1,200 mails"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Side(_Model):
    """One side: the ref as it was named, and its commit; None is the working tree with changes not committed."""

    ref: Name
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")] | None = None
    note: Line | None = None


class Why(_Model):
    """A reason why a template's mails differ: a file of its own, a shared part, or a value of the installation.

    `name` is a path relative to the template directory, or `site.NAME (ENVIRONMENT)`.
    """

    kind: Literal["own", "shared", "value"]
    name: Name


class Words(_Model):
    """A short text before and after; None where that side has none."""

    before: Line | None
    after: Line | None


class MailReport(_Model):
    """One example in one language: which parts differ, and its sizes in bytes of HTML.

    `parts` are of html, text, subject, preheader and headers. `is_clipped`: Gmail shows 102 KB of the HTML after.
    """

    locale: Name
    example: Name
    parts: Annotated[list[Literal["html", "text", "subject", "preheader", "headers"]], Field(max_length=5)]
    subject: Words
    preheader: Words
    size_before: Count | None
    size_after: Count | None
    is_clipped: bool = False
    failure: Line | None = None

    @property
    def is_new(self) -> bool:
        """Whether only the side after has the mail: its parts are new, and not another form of what was sent."""
        return self.size_before is None and self.size_after is not None


class TemplateReport(_Model):
    """A template: how it differs, why, and its mails that differ. One that is the same has neither."""

    key: Name
    change: Literal["same", "changed", "new", "gone"]
    version_before: int | None = None
    version_after: int | None = None
    why: Annotated[list[Why], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    mails: Annotated[list[MailReport], Field(max_length=MAX_MAILS)] = Field(default_factory=list)
    mails_in_all: Count = 0

    @property
    def new_examples(self) -> int:
        """How many of the mails are new, of a template that had mails before."""
        had_mails = self.change == "changed" and self.version_before is not None
        return sum(one.is_new for one in self.mails) if had_mails else 0

    @property
    def changed_parts(self) -> Counter[str]:
        """How many mails differ in each part; a new example of a template that was there before is no difference."""
        had_no_mails = self.change == "new" or self.version_before is None
        return Counter(part for mail in self.mails if had_no_mails or not mail.is_new for part in mail.parts)


class FindingReport(_Model):
    """A finding with its position in the template directory."""

    file: Name
    line: Count
    column: Count
    severity: Literal["error", "warning"]
    code: Name
    message: Line
    hint: Line = ""


class Findings(_Model):
    """Findings that the head has and the base has not, those that are gone, and how many stay."""

    new: Annotated[list[FindingReport], Field(max_length=MAX_FINDINGS)] = Field(default_factory=list)
    fixed: Annotated[list[FindingReport], Field(max_length=MAX_FINDINGS)] = Field(default_factory=list)
    as_before: Count = 0


class ContractReport(_Model):
    """A change of what callers must send, at its line. `is_accepted`: by a trailer `Breaking: KEY` or an option."""

    key: Name
    code: Name
    is_breaking: bool
    is_accepted: bool = False
    file: Name
    line: Count
    column: Count
    message: Line


class Snapshots(_Model):
    """Files below `snapshots/`: those that differ from the base and are what is rendered now, and the wrong ones."""

    committed: Annotated[list[Name], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    wrong: Annotated[list[Name], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    missing: Annotated[list[Name], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    orphans: Annotated[list[Name], Field(max_length=MAX_NAMES)] = Field(default_factory=list)


class Refused(_Model):
    """How many sends of one source endpoint would be refused at one JSON pointer."""

    endpoint: Name
    pointer: Name
    count: Count


class Replayed(_Model):
    """The last sends of a template, replayed by the running service: numbers alone."""

    key: Name
    replayed: Count
    refused: Count
    by: Annotated[list[Refused], Field(max_length=20)] = Field(default_factory=list)
    failure: Line | None = None


class ServiceReplay(_Model):
    """The answer of a running service: the environment, the days that it looked back, and a result for each template.

    `failure` says why there is no answer.
    """

    environment: Name | None = None
    days: Count = 0
    templates: Annotated[list[Replayed], Field(max_length=MAX_TEMPLATES)] = Field(default_factory=list)
    failure: Line | None = None


Verdict = Literal["breaking", "errors", "warnings", "snapshots"]


class Report(_Model):
    """All that a diff found. `fails` names what of `--fail-on` is the case; with none of it the exit code is 0.

    `is_whole` is False if lists were cut at their bounds.
    """

    version: Literal[1] = REPORT_VERSION
    tool: Name
    base: Side
    head: Side
    templates: Annotated[list[TemplateReport], Field(max_length=MAX_TEMPLATES)]
    contract: Annotated[list[ContractReport], Field(max_length=MAX_FINDINGS)] = Field(default_factory=list)
    findings: Findings = Field(default_factory=Findings)
    snapshots: Snapshots = Field(default_factory=Snapshots)
    replay: ServiceReplay | None = None
    fails: Annotated[list[Verdict], Field(max_length=4)] = Field(default_factory=list)
    is_whole: bool = True
