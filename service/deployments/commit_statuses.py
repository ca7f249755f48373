"""Commit statuses: the forge is told what became of each deployed commit, until it has taken it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import structlog

from service.deployments.forge_client import CommitStatus, ForgeClient
from service.errors import ForgeError
from service.models import Deployment, DeploymentState
from service.store import commit_statuses, deployments, template_source
from service.store.database import Database

#: How long after it went live, was held or began to wait a deployment is told.
TOLD_FOR = timedelta(days=7)
#: Pause before the first repetition, doubled by each, and the longest one, seconds.
_PAUSE_S = 5.0
_MAX_PAUSE_S = 300.0
#: Posts of one step, of so many that are looked at.
_MAX_POSTS = 5
_MAX_LOOKED_AT = 100
#: The longest description that GitHub takes.
_MAX_DESCRIPTION = 140

_log = structlog.get_logger("deployments")


@dataclass(frozen=True, slots=True)
class _Failure:
    code: str
    count: int
    next_try_s: float


@dataclass
class CommitStatuses:
    """Posts the state of deployments of `source` under `name`, while the process `owner` follows the source.

    `pages_url` is that of the pages of deployments. One thread calls `step`.
    """

    database: Database
    client: ForgeClient
    source: str
    name: str
    pages_url: str
    owner: str
    clock: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    _failures: dict[str, _Failure] = field(default_factory=dict, init=False)

    def step(self, stopping: threading.Event) -> None:
        """Post what the forge was not told yet. Raises StoreBusy; what the forge refuses is tried again later."""
        if template_source.status(self.database).lease_owner != self.owner:
            return
        since = self.clock() - TOLD_FOR
        ids = commit_statuses.untold(self.database, self.source, since=since, limit=_MAX_LOOKED_AT)
        self._failures = {one: failure for one, failure in self._failures.items() if one in ids}
        now_s = self.monotonic_s()
        due = [one for one in ids if one not in self._failures or self._failures[one].next_try_s <= now_s]
        for deployment_id in due[:_MAX_POSTS]:
            deployment = deployments.get(self.database, deployment_id)
            if stopping.is_set() or deployment is None or deployment.commit is None:
                return
            self._tell(deployment, deployment.commit.id)

    def _tell(self, deployment: Deployment, commit: str) -> None:
        state, description = self._status(deployment)
        try:
            self.client.post(CommitStatus(commit, self.name, state, description, f"{self.pages_url}/{deployment.id}"))
        except ForgeError as error:
            self._note_failure(deployment.id, commit, error)
            return
        self._failures.pop(deployment.id, None)
        self.database.write(lambda tx: commit_statuses.note_told(tx, deployment.id, deployment.state.value))
        _log.info("status_posted", deployment=deployment.id, commit=commit, status=state)

    def _note_failure(self, deployment_id: str, commit: str, error: ForgeError) -> None:
        """Plan the next try; a failure is logged unless one of its kind is there already."""
        is_known = any(one.code == error.code for one in self._failures.values())
        before = self._failures.get(deployment_id)
        count = before.count + 1 if before else 1
        pause_s = _MAX_PAUSE_S if error.is_lasting else min(_PAUSE_S * 2 ** min(count - 1, 10), _MAX_PAUSE_S)
        self._failures[deployment_id] = _Failure(error.code, count, self.monotonic_s() + pause_s)
        if not is_known:
            log = _log.error if error.is_lasting else _log.warning
            log("status_not_posted", deployment=deployment_id, commit=commit, reason=str(error))

    def _status(self, deployment: Deployment) -> tuple[Literal["success", "failure", "pending"], str]:
        if deployment.state is not DeploymentState.LIVE:
            first, *more = (deployment.reason or "a person activates it").splitlines()
            rest = f" (and {len(more)} more)" if more else ""
            text = _one_line(f"{deployment.state.value}: {first}", _MAX_DESCRIPTION - len(rest)) + rest
            return "failure" if deployment.state is DeploymentState.HELD else "pending", text
        text = f"live: {deployment.templates_count} templates, {deployment.changed_count} changed"
        if not deployment.broken_count:
            return "success", text
        items = deployments.items(self.database, deployment.id)
        found = next((str(one) for item in items for one in item.findings if one.is_error), "")
        return "failure", _one_line(f"{text}, {deployment.broken_count} broken: {found}", _MAX_DESCRIPTION)


def _one_line(text: str, length: int) -> str:
    """A text as forges take it: printable, of the basic plane, and no longer than that."""
    text = "".join(one if one.isprintable() and ord(one) <= 0xFFFF else "?" for one in text)
    return text if len(text) <= length else f"{text[: length - 1]}…"
