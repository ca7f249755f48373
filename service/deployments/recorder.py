"""Directory mode: record what the directory serves as a deployment, once for each commit that is checked out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog
import uuid_utils

from service.deployments.prepare import Live, counts_of, read_live, save_revisions
from service.errors import Conflict, GitError
from service.models import Change, Commit, Deployment, DeploymentItem, DeploymentState, Trigger
from service.store import deployments, template_files
from service.store.database import Database, Transaction
from service.templates.catalogue import Catalogue, Entry, Snapshot
from service.templates.compiler import COMPILER_VERSION
from service.templates.revisions import Revisions
from service.templates.source.git import git
from service.templates.source.remote_commit import read_commit

#: The source of deployments that a directory made.
SOURCE = "files"

_log = structlog.get_logger("deployments")


@dataclass
class DirectoryRecorder:
    """Records deployments of what `catalogue` serves from `root`. Not thread-safe.

    A directory in no commit is recorded at the start of a process, where it differs from what was recorded last; a save
    is served at once, and is no deployment.
    """

    database: Database
    catalogue: Catalogue
    revisions: Revisions
    root: Path
    clock: Callable[[], datetime]
    _has_begun: bool = field(default=False, init=False)

    def step(self) -> bool:
        """Record what is served, unless it was; True if a deployment was made. Raises StoreBusy."""
        snapshot = self.catalogue.current
        if self._has_begun and snapshot.deployment_id is not None:
            return False
        live = read_live(self.database)
        if live is not None and self._is_recorded(snapshot, live):
            self._has_begun = self.catalogue.name_deployment(live.deployment.id, of=snapshot)
            return False
        deployment = self._deployment(snapshot, live)
        try:
            self.database.write(lambda tx: _store(tx, deployment[0], deployment[1], live, self.clock()))
        except Conflict:  # another process has just recorded something: look again
            return False
        _log.info("deployment_live", deployment=deployment[0].id, commit=snapshot.commit, trigger="files")
        self._has_begun = self.catalogue.name_deployment(deployment[0].id, of=snapshot)
        return True

    def _is_recorded(self, snapshot: Snapshot, live: Live) -> bool:
        if live.deployment.source != SOURCE:
            return False
        if snapshot.commit is not None or self._has_begun:
            return (live.deployment.commit.id if live.deployment.commit else None) == snapshot.commit
        served = {entry.key: entry.template.revision for entry in snapshot if entry.template is not None}
        return live.deployment.commit is None and served == {key: item.revision for key, item in live.items.items()}

    def _deployment(self, snapshot: Snapshot, live: Live | None) -> tuple[Deployment, list[DeploymentItem]]:
        now = self.clock()
        items = [_item(entry, live) for entry in snapshot]
        if live is not None:
            gone = sorted(live.items.keys() - snapshot.entries.keys())
            items += [DeploymentItem(key=key, revision=None, change=Change.GONE) for key in gone]
        templates = [entry.template for entry in snapshot if entry.template is not None]
        save_revisions(self.database, templates, lambda template: self.revisions.build(template, now))
        tree = template_files.save_tree(
            self.database, {path: file.data for path, file in snapshot.files.by_path.items()}
        )
        count = counts_of(items)
        deployment = Deployment(
            id=str(uuid_utils.uuid7()),
            source=SOURCE,
            commit=self._commit(snapshot.commit),
            trigger=Trigger.FILES,
            state=DeploymentState.WAITING,
            templates_count=count.templates,
            changed_count=count.changed,
            broken_count=count.broken,
            compiler=COMPILER_VERSION,
            tree=tree,
            created_at=now,
        )
        return deployment, items

    def _commit(self, name: str | None) -> Commit | None:
        if name is None:
            return None
        try:
            repository = git(self.root, "rev-parse", "--absolute-git-dir").decode("utf-8", "surrogateescape").strip()
            return read_commit(Path(repository), name)
        except GitError:  # named by a setting or a file: there is no repository to ask
            return Commit(id=name)


def _item(entry: Entry, live: Live | None) -> DeploymentItem:
    before = live.items.get(entry.key) if live else None
    revision = entry.template.revision if entry.template else None
    if before is None:
        change = Change.NEW
    elif entry.is_degraded:
        change = Change.KEPT
    else:
        change = Change.SAME if before.revision == revision else Change.CHANGED
    return DeploymentItem(key=entry.key, revision=revision, change=change, findings=entry.findings)


def _store(
    tx: Transaction, deployment: Deployment, items: list[DeploymentItem], live: Live | None, now: datetime
) -> None:
    before = live.deployment.id if live else None
    if deployments.live_id(tx) != before:
        raise Conflict("another process recorded a deployment")
    deployments.add(tx, deployment, items)
    if not deployments.activate(tx, deployment.id, in_place_of=before, now=now):
        raise Conflict("another process recorded a deployment")
