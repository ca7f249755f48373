"""Previews: open pull requests of the template repository, compiled as pr-N beside what is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.errors import Finding
from service.models.deployment import Change, Commit


@dataclass(frozen=True, slots=True)
class PreviewRef:
    """A ref of the repository at the last look. `over` says why it has no preview; None: it has one.

    `first_seen_at` is when it was first seen to lead to this commit; `is_older`: it was there at the first look at all,
    perhaps for long.
    """

    ref: str
    commit: str
    first_seen_at: datetime
    is_older: bool = False
    over: str | None = None


@dataclass(frozen=True, slots=True)
class ContractLine:
    """A change of what callers may send with a template. `place` is file:line:column."""

    code: str
    place: str
    message: str
    is_breaking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An open pull request at one commit, without its templates. `deployment_id` is what it is compared with.

    `reason` says why all or a part of it is missing, one sentence a line. `findings` are of its files as a whole,
    `findings_count` counts them and the new ones of its templates. `site_values` are the installation's values in its
    repository, `site_examples` the examples that it declares for them. `links` is random, and signed in links to it.
    """

    name: str
    ref: str
    commit: Commit
    seen_at: datetime
    prepared_at: datetime
    judged: str
    deployment_id: str | None
    reason: str | None = None
    findings: Sequence[Finding] = ()
    site_values: Mapping[str, str] = field(default_factory=dict)
    site_examples: Mapping[str, str] = field(default_factory=dict)
    changed_count: int = 0
    findings_count: int = 0
    links: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewItem:
    """A template that a pull request changes. `revision` is None where it is gone or does not compile.

    `why` names the changed files and values of the installation that it uses. `new_findings` are those of `findings`
    that the live template has not.
    """

    key: str
    change: Change
    why: Sequence[str] = ()
    revision: str | None = None
    version: int | None = None
    revision_before: str | None = None
    version_before: int | None = None
    contract: Sequence[ContractLine] = ()
    findings: Sequence[Finding] = ()
    new_findings: Sequence[Finding] = ()
