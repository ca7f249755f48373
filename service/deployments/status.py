"""The state of deployments as one word with its conditions: what is served, what waits, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from service.deployments.presence import SEEN_WITHIN
from service.models import Deployment, DeploymentState, Hold, ServiceProcess, SourceStatus
from service.monitoring.deployment_details import State
from service.store import deployments, template_source
from service.store.database import Database
from service.templates.catalogue import Catalogue

#: States in which something works less well than it should.
TROUBLED: frozenset[State] = frozenset({"unreachable", "orphaned", "held", "degraded"})
#: Roles of processes that render mail.
_SERVING = ("api", "serve", "worker")


@dataclass(frozen=True, slots=True)
class Condition:
    """A state that holds, with a sentence for people."""

    code: State
    message: str


@dataclass(frozen=True, slots=True)
class StatusReport:
    """`conditions` begin with the most important one, whose code is `state`. `next` is held or waits.

    `dirty` are keys of a directory whose files differ from the commit.
    """

    mode: Literal["files", "git"]
    conditions: Sequence[Condition]
    live: Deployment | None
    next: Deployment | None
    source: SourceStatus
    holds: Sequence[Hold]
    processes: Sequence[ServiceProcess]
    dirty: Sequence[str]

    @property
    def state(self) -> State:
        """The most important state."""
        return self.conditions[0].code

    @property
    def serving(self) -> Sequence[ServiceProcess]:
        """The processes that serve what is deployed; a worker beside a directory renders nothing."""
        roles = ("api", "serve") if self.mode == "files" else _SERVING
        return [one for one in self.processes if one.role in roles]

    @property
    def is_troubled(self) -> bool:
        """Whether something works less well than it should."""
        return any(one.code in TROUBLED for one in self.conditions)


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """Reads the state. `interval_s` is the time between two looks at the repository; None: a directory is served."""

    database: Database
    catalogue: Catalogue
    interval_s: float | None
    clock: Callable[[], datetime]

    def report(self) -> StatusReport:
        """What is served, what waits, and what is wrong. Raises StoreBusy."""
        now = self.clock()
        live = deployments.live(self.database)
        snapshot = self.catalogue.current
        report = StatusReport(
            mode="files" if self.interval_s is None else "git",
            conditions=(),
            live=live,
            next=deployments.waiting(self.database, since=live.created_at if live else None),
            source=template_source.status(self.database),
            holds=template_source.holds(self.database),
            processes=template_source.processes(self.database, since=now - SEEN_WITHIN),
            dirty=[entry.key for entry in snapshot if entry.template is not None and entry.template.dirty],
        )
        found = list(_of_files(report, self.catalogue) if self.interval_s is None else self._of_git(report, now))
        conditions = found or [Condition("synced", "What is wanted is served.")]
        return replace(report, conditions=conditions)

    def _of_git(self, report: StatusReport, now: datetime) -> list[Condition]:
        source, live, following = report.source, report.live, report.next
        head = live.commit.id if live and live.commit else None
        found = []
        patience = timedelta(seconds=3 * (self.interval_s or 0))
        if source.fetched_at is None or now - source.fetched_at > patience:
            if source.failure:
                found.append(Condition("unreachable", f"The repository can't be read: {source.failure}"))
            elif source.fetched_at is not None:
                found.append(Condition("unreachable", "No process looks at the repository; is a worker running?"))
        if source.is_orphaned and source.seen_commit != head:
            found.append(Condition("orphaned", f"The live commit {_short(head)} is no longer in {_ref(live)}."))
        if following is not None and following.state is DeploymentState.HELD:
            commit = following.commit.id if following.commit else None
            found.append(Condition("held", f"The commit {_short(commit)} is held: {following.reason or ''}"))
        if live is not None and any(
            item.wanted_revision is not None for item in deployments.items(self.database, live.id)
        ):
            found.append(Condition("rolled_back", "A hold keeps a revision out."))
        if source.suspension is not None and (source.suspension.until is None or source.suspension.until > now):
            found.append(Condition("suspended", f"Suspended by {source.suspension.by}: {source.suspension.why}"))
        elif following is not None and following.state is DeploymentState.WAITING:
            found.append(Condition("manual", following.reason or "A newer commit waits to be activated."))
        if live is not None and live.broken_count:
            found.append(_broken(live.broken_count))
        is_newer = source.seen_commit not in (None, head) and following is None and not found
        behind = [one for one in report.serving if one.deployment_id != _id(live)]
        if live is None and not found:
            found.append(Condition("progressing", "Nothing is deployed yet."))
        elif is_newer or behind:
            found.append(Condition("progressing", "A commit is on its way to every process."))
        return found


def _of_files(report: StatusReport, catalogue: Catalogue) -> list[Condition]:
    found = []
    if broken := sum(1 for entry in catalogue.current if entry.is_degraded):
        found.append(_broken(broken))
    if report.dirty:
        found.append(Condition("drifted", f"Files differ from the commit: {', '.join(report.dirty[:10])}."))
    return found


def _broken(count: int) -> Condition:
    return Condition("degraded", f"{count} broken, where the last good revision is served if there is one.")


def _id(live: Deployment | None) -> str | None:
    return live.id if live else None


def _short(commit: str | None) -> str:
    return commit[:12] if commit else "without a commit"


def _ref(live: Deployment | None) -> str:
    return live.ref or "the ref" if live else "the ref"
