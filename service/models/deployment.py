"""Deployments of the template repository, their templates, holds, and the processes that serve them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from service.errors import Finding


class Trigger(StrEnum):
    """What made a deployment."""

    POLL = "poll"
    WEBHOOK = "webhook"
    COMMAND = "command"
    PAGE = "page"
    PUBLISH = "publish"
    ROLLBACK = "rollback"
    FILES = "files"
    COMPILER = "compiler"


class DeploymentState(StrEnum):
    """What became of a deployment: served, served once, refused by a check, or ready and waiting to be activated."""

    LIVE = "live"
    ENDED = "ended"
    HELD = "held"
    WAITING = "waiting"


class Change(StrEnum):
    """How a template of a deployment differs from what was live before.

    KEPT: its files changed, but an earlier revision is served, because they have an error or a hold keeps them out.
    """

    NEW = "new"
    CHANGED = "changed"
    BY_SHARED_PART = "by_shared_part"
    SAME = "same"
    GONE = "gone"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of the template repository; `first_line` is of its message."""

    id: str
    parent: str | None = None
    author: str | None = None
    committed_at: datetime | None = None
    first_line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentItem:
    """A template of a deployment. `revision` is what it serves, or would; None: nothing.

    `wanted_revision` is that of the commit, where it differs because a hold keeps it out.
    """

    key: str
    revision: str | None
    change: Change
    wanted_revision: str | None = None
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedSnapshots:
    """How the mails of a deployment's changed templates compare with the snapshots of its commit.

    Counts of mails, as KEY/LOCALE.EXAMPLE; of those that differ or have no snapshot the first are named.
    """

    equal: int = 0
    differing: int = 0
    missing: int = 0
    differing_mails: Sequence[str] = ()
    missing_mails: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One commit, compiled, checked and recorded; without its templates. `commit` is None for files in no commit.

    `source` is a URL without credentials, or "files". `site_values` are the installation's values in the repository,
    `tree` is the digest of its files. `snapshots` is None where nothing was compared.
    """

    id: str
    source: str
    ref: str | None = None
    path: str = ""
    commit: Commit | None
    trigger: Trigger
    requested_by: str | None = None
    why: str | None = None
    state: DeploymentState
    reason: str | None = None
    templates_count: int
    changed_count: int
    broken_count: int
    compiler: int
    site_values: Mapping[str, str] = field(default_factory=dict)
    tree: str
    created_at: datetime
    live_at: datetime | None = None
    ended_at: datetime | None = None
    snapshots: DeployedSnapshots | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A revision of a template that must not be served, until `held_until` or for good (None)."""

    key: str
    revision: str
    held_by: str
    why: str
    since_at: datetime
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProcess:
    """A process of the service, and the deployment that it serves (None: none yet).

    `role`: api, worker, serve, sync.
    """

    id: str
    role: str
    deployment_id: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Sync is suspended: newer commits wait until `until`, or until it is resumed (None)."""

    by: str
    why: str
    since_at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """What was last seen of the source. `failed_at` is the first failure since the last fetch that worked.

    `wanted_look` counts the requests to look now, `done_look` is the last one that was answered; `look_trigger` and
    `look_by` are of the last request.
    """

    lease_owner: str | None = None
    lease_until: datetime | None = None
    source: str | None = None
    seen_commit: str | None = None
    fetched_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str | None = None
    is_orphaned: bool = False
    judged: str | None = None
    wanted_look: int = 0
    done_look: int = 0
    look_trigger: Trigger | None = None
    look_by: str | None = None
    suspension: Suspension | None = None
