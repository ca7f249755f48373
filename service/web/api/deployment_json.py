"""Deployments, holds, and the state of the source as JSON values."""

from collections.abc import Sequence
from dataclasses import asdict

from typing_extensions import TypedDict  # pydantic reads the one of `typing` only from Python 3.12 on

from service.deployments.changes import DeploymentChanges, FileChange, TemplateChange
from service.deployments.history import RevisionFigures
from service.deployments.status import StatusReport
from service.errors import Finding
from service.models import DeployedSnapshots, Deployment, DeploymentItem, Hold, SourceStatus
from service.web.api.messages import as_time
from service.web.api.templates import FindingAnswer


class SnapshotsAnswer(TypedDict):
    """How many mails of changed templates are as the commit's snapshots have them; the first that are not are named.

    A mail is KEY/LOCALE.EXAMPLE.
    """

    equal: int
    differing: int
    missing: int
    differing_mails: list[str]
    missing_mails: list[str]


class DeploymentAnswer(TypedDict):
    """One commit, compiled, checked and recorded; `templates`, `changed` and `broken` are counts.

    `snapshots` null: nothing was compared, as where no template changed, or no snapshots are kept.
    """

    id: str
    commit: str | None
    state: str
    trigger: str
    reason: str | None
    created_at: str
    live_at: str | None
    ended_at: str | None
    source: str
    ref: str | None
    parent: str | None
    author: str | None
    committed_at: str | None
    first_line: str | None
    requested_by: str | None
    why: str | None
    templates: int
    changed: int
    broken: int
    snapshots: SnapshotsAnswer | None


class ItemAnswer(TypedDict):
    """A template of a deployment; `wanted_revision` is that of the commit, where a hold keeps it out."""

    key: str
    version: int | None
    revision: str | None
    wanted_revision: str | None
    change: str
    findings: list[FindingAnswer]


class FigureAnswer(TypedDict):
    """What became of the mails of a template: `refused` counts send requests that were answered with 422."""

    key: str
    revision: str
    sent: int
    bounced: int
    complaints: int
    refused: int


class ConditionAnswer(TypedDict):
    """A state that holds, with a sentence."""

    state: str
    message: str


class ProcessAnswer(TypedDict):
    """A process that was seen in the last seconds, and the deployment that it serves."""

    id: str
    role: str
    deployment_id: str | None
    seen_at: str


class HoldAnswer(TypedDict):
    """A revision that must not be served; `until` null: until somebody lifts the hold."""

    key: str
    revision: str
    held_by: str
    why: str
    since: str
    until: str | None


class SuspensionAnswer(TypedDict):
    """Newer commits wait until then, or until sync is resumed (null)."""

    by: str
    why: str
    since: str
    until: str | None


class SourceAnswer(TypedDict):
    """What was last seen of the repository. A request to look is answered once `answered_look` has its number."""

    url: str | None
    seen_commit: str | None
    fetched_at: str | None
    failed_at: str | None
    failure: str | None
    orphaned: bool
    suspended: SuspensionAnswer | None
    requested_look: int
    answered_look: int


def as_deployment(one: Deployment) -> DeploymentAnswer:
    """A deployment without its templates."""
    commit = one.commit
    return {
        "id": one.id,
        "commit": commit.id if commit else None,
        "state": one.state.value,
        "trigger": one.trigger.value,
        "reason": one.reason,
        "created_at": as_time(one.created_at),
        "live_at": as_time(one.live_at),
        "ended_at": as_time(one.ended_at),
        "source": one.source,
        "ref": one.ref,
        "parent": commit.parent if commit else None,
        "author": commit.author if commit else None,
        "committed_at": as_time(commit.committed_at) if commit else None,
        "first_line": commit.first_line if commit else None,
        "requested_by": one.requested_by,
        "why": one.why,
        "templates": one.templates_count,
        "changed": one.changed_count,
        "broken": one.broken_count,
        "snapshots": as_snapshots(one.snapshots) if one.snapshots else None,
    }


def as_snapshots(found: DeployedSnapshots) -> SnapshotsAnswer:
    """How a deployment's mails compare with its commit's snapshots."""
    return {
        "equal": found.equal,
        "differing": found.differing,
        "missing": found.missing,
        "differing_mails": list(found.differing_mails),
        "missing_mails": list(found.missing_mails),
    }


def as_finding(one: Finding) -> FindingAnswer:
    """A finding."""
    found: FindingAnswer = asdict(one)  # type: ignore[assignment]  # the fields are the same
    return found


def as_item(item: DeploymentItem, version: int | None) -> ItemAnswer:
    """A template of a deployment, with the version of its revision."""
    return {
        "key": item.key,
        "version": version,
        "revision": item.revision,
        "wanted_revision": item.wanted_revision,
        "change": item.change.value,
        "findings": [as_finding(one) for one in item.findings],
    }


def as_figures(one: RevisionFigures) -> FigureAnswer:
    """What became of the mails of a template."""
    return {
        "key": one.template_key,
        "revision": one.revision,
        "sent": one.sent,
        "bounced": one.bounced,
        "complaints": one.complaints,
        "refused": one.refused,
    }


def as_hold(hold: Hold) -> HoldAnswer:
    """A hold."""
    return {
        "key": hold.key,
        "revision": hold.revision,
        "held_by": hold.held_by,
        "why": hold.why,
        "since": as_time(hold.since_at),
        "until": as_time(hold.held_until),
    }


def as_source(source: SourceStatus) -> SourceAnswer:
    """What was last seen of the source."""
    suspended = source.suspension
    return {
        "url": source.source,
        "seen_commit": source.seen_commit,
        "fetched_at": as_time(source.fetched_at),
        "failed_at": as_time(source.failed_at),
        "failure": source.failure,
        "orphaned": source.is_orphaned,
        "suspended": {
            "by": suspended.by,
            "why": suspended.why,
            "since": as_time(suspended.since_at),
            "until": as_time(suspended.until),
        }
        if suspended
        else None,
        "requested_look": source.wanted_look,
        "answered_look": source.done_look,
    }


def as_conditions(report: StatusReport) -> list[ConditionAnswer]:
    """All states that hold, the most important first."""
    return [{"state": one.code, "message": one.message} for one in report.conditions]


def as_processes(report: StatusReport) -> list[ProcessAnswer]:
    """The processes and what each serves."""
    return [
        {"id": one.id, "role": one.role, "deployment_id": one.deployment_id, "seen_at": as_time(one.seen_at)}
        for one in report.processes
    ]


class FileAnswer(TypedDict):
    """A changed file; `diff` is null for one that is no text, is long, or found no more room."""

    path: str
    diff: str | None


class SideAnswer(TypedDict):
    """What a template serves on one side of a comparison."""

    revision: str
    version: int | None


class TemplateChangeAnswer(TypedDict):
    """A template that differs; `shared` names the changed files beside its folder that it takes in."""

    key: str
    change: str
    before: SideAnswer | None
    after: SideAnswer | None
    findings: list[FindingAnswer]
    files: list[FileAnswer]
    shared: list[str]


class DiffAnswer(TypedDict):
    """What a deployment changes of another; `against` is null where there was none. `whole`: nothing was left out."""

    id: str
    against: str | None
    templates: list[TemplateChangeAnswer]
    shared: list[FileAnswer]
    whole: bool


def as_diff(found: DeploymentChanges) -> DiffAnswer:
    """What differs between two deployments, as unified diffs."""
    return {
        "id": found.deployment.id,
        "against": found.against.id if found.against else None,
        "templates": [_template(one) for one in found.templates],
        "shared": _files(found.shared),
        "whole": found.is_whole,
    }


def _template(one: TemplateChange) -> TemplateChangeAnswer:
    return {
        "key": one.key,
        "change": one.change.value,
        "before": _side(one.revision_before, one.version_before),
        "after": _side(one.revision_after, one.version_after),
        "findings": [as_finding(finding) for finding in one.findings],
        "files": _files(one.files),
        "shared": list(one.shared),
    }


def _side(revision: str | None, version: int | None) -> SideAnswer | None:
    return {"revision": revision, "version": version} if revision is not None else None


def _files(files: Sequence[FileChange]) -> list[FileAnswer]:
    return [{"path": one.path, "diff": one.unified() if one.is_shown else None} for one in files]
