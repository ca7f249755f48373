"""Prepare a deployment: compile a commit's templates, compare them with what is live, and judge whether to serve it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import uuid_utils

from service.deployments.replay import Replay
from service.deployments.snapshot_check import ComparedMails, SnapshotCheck
from service.errors import Finding
from service.models import Change, Commit, Deployment, DeploymentItem, DeploymentState, Trigger
from service.store import deployments, revisions, template_files, template_source
from service.store.database import Database, Transaction
from service.store.revisions import Revision
from service.templates.compiler import COMPILER_VERSION, Compilation
from service.templates.contract import REFUSING_CODES
from service.templates.findings import FindingCollector
from service.templates.front_matter.version_rule import SavedFiles, compare
from service.templates.incremental_compiler import IncrementalCompiler
from service.templates.revisions import archived
from service.templates.runtime.site import Site
from service.templates.source.authors import Authorship
from service.templates.source.files import Files
from service.templates.source.remote_project import CommitProject
from service.templates.template import Template

#: Stands for the revision of a template that a hold keeps from being removed.
REMOVAL = "removed"
#: Revisions in one transaction: a large one has 100 KB.
_REVISIONS_AT_ONCE = 20
_MAX_REASONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Files that might be served. `refusals` speak against all of them; `accepted` are keys whose breaks are wanted.

    `findings` are of reading: files that were left out. `project` is what a commit says of its snapshots.
    """

    source: str
    ref: str | None
    path: str
    commit: Commit | None
    files: Files
    site: Site
    site_values: Mapping[str, str]
    findings: Sequence[Finding] = ()
    refusals: Sequence[str] = ()
    accepted: frozenset[str] = frozenset()
    project: CommitProject | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What asks for a deployment: the trigger, by whom, and why."""

    trigger: Trigger
    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """The live deployment with the templates that it serves, by key."""

    deployment: Deployment
    items: Mapping[str, DeploymentItem]


def read_live(database: Database) -> Live | None:
    """Read the live deployment; None before the first."""
    deployment = deployments.live(database)
    if deployment is None:
        return None
    items = deployments.items(database, deployment.id)
    return Live(deployment, {item.key: item for item in items if item.revision is not None})


@dataclass(frozen=True, slots=True)
class Preparer:
    """Compiles, judges and stores candidates; nothing is served by it."""

    database: Database
    compiler: IncrementalCompiler
    replay: Replay
    snapshots: SnapshotCheck
    refuses_broken: bool
    clock: Callable[[], datetime]

    def prepare(
        self, candidate: Candidate, request: Request, live: Live | None, *, must_wait: str | None
    ) -> Deployment:
        """Store a candidate as a deployment that is held, or waiting: to be activated, or because of `must_wait`.

        Raises StoreBusy; then what was stored is stored again by the next try.
        """
        now = self.clock()
        compiled = self.compiler.compile(candidate.files)
        held = {(hold.key, hold.revision) for hold in template_source.holds(self.database)}
        live_tree = template_files.tree(self.database, live.deployment.tree) if live else {}
        items = [
            self._item(key, compilation, candidate, live, live_tree, held)
            for key, compilation in compiled.compilations.items()
        ]
        items += _removed(compiled.compilations, live, held, candidate.findings)
        templates = {key: found.template for key, found in compiled.compilations.items() if found.template is not None}
        compared = self._compared(candidate, items, templates)
        reasons = self._reasons(candidate, items, templates, live, live_tree, now)
        if compared is not None:
            reasons += self.snapshots.refusals(compared, self._served_before(compared, templates))
        tree = template_files.save_tree(
            self.database, {path: file.data for path, file in candidate.files.by_path.items()}
        )
        commit = candidate.commit
        authors = Authorship(updated_by=commit.author if commit else None)
        save_revisions(
            self.database,
            list(templates.values()),
            lambda template: archived(template.at(commit.id if commit else None, dirty=False), now, authors),
        )
        count = counts_of(items)
        deployment = Deployment(
            id=str(uuid_utils.uuid7()),
            source=candidate.source,
            ref=candidate.ref,
            path=candidate.path,
            commit=candidate.commit,
            trigger=request.trigger,
            requested_by=request.by,
            why=request.why,
            state=DeploymentState.HELD if reasons else DeploymentState.WAITING,
            reason="\n".join(reasons) or must_wait,
            compiler=COMPILER_VERSION,
            site_values=candidate.site_values,
            tree=tree,
            created_at=now,
            templates_count=count.templates,
            changed_count=count.changed,
            broken_count=count.broken,
            snapshots=compared.stored() if compared else None,
        )
        self.database.write(lambda tx: deployments.add(tx, deployment, items))
        self.compiler.keep(compiled)
        return deployment

    def _item(
        self,
        key: str,
        compilation: Compilation,
        candidate: Candidate,
        live: Live | None,
        live_tree: Mapping[str, str],
        held: set[tuple[str, str]],
    ) -> DeploymentItem:
        before = live.items.get(key) if live else None
        was = before.revision if before else None
        found = [*compilation.findings, *(one for one in candidate.findings if one.file.startswith(f"{key}/"))]
        template = compilation.template
        if template is None:
            change = Change.KEPT if was else Change.NEW
            return DeploymentItem(key=key, revision=was, change=change, findings=found)
        wanted = template.revision
        if (key, wanted) in held:
            served = self._last_good(key, wanted, was, held)
            return DeploymentItem(key=key, revision=served, change=Change.KEPT, wanted_revision=wanted, findings=found)
        if was is None:
            change = Change.NEW
        elif was == wanted:
            change = Change.SAME
        else:
            change = Change.BY_SHARED_PART if _is_own_same(key, candidate.files, live_tree) else Change.CHANGED
        return DeploymentItem(key=key, revision=wanted, change=change, findings=found)

    def _last_good(self, key: str, wanted: str, was: str | None, held: set[tuple[str, str]]) -> str | None:
        """The revision that is served instead of a held one: that of now, or the last one that is not held."""
        served = [was] if was else []
        served += [revision for revision, _ in deployments.served_revisions(self.database, key)]
        return next((one for one in served if one != wanted and (key, one) not in held), None)

    def _reasons(
        self,
        candidate: Candidate,
        items: Sequence[DeploymentItem],
        templates: Mapping[str, Template],
        live: Live | None,
        live_tree: Mapping[str, str],
        now: datetime,
    ) -> list[str]:
        """Sentences that speak against serving this; [] if none does."""
        reasons = list(candidate.refusals)
        if not reasons and all(item.change is Change.GONE for item in items):
            reasons.append(f"There is no template in {candidate.path or 'the root'} of this commit.")
        if self.refuses_broken:
            reasons += [str(one) for item in items for one in item.findings if one.is_error]
        changed = [
            templates[item.key]
            for item in items
            if item.change in (Change.CHANGED, Change.BY_SHARED_PART) and item.key not in candidate.accepted
        ]
        if live is not None and changed:
            reasons += self._breaks(changed, candidate.files, live, live_tree)
            site = candidate.site
            reasons += [one.refusal for one in self.replay.of(changed, site, now) if one.refusal is not None]
        more = len(reasons) - _MAX_REASONS
        return [*reasons[:_MAX_REASONS], f"… and {more} more"] if more > 0 else reasons

    def _compared(
        self, candidate: Candidate, items: Sequence[DeploymentItem], templates: Mapping[str, Template]
    ) -> ComparedMails | None:
        """The mails of templates that change, compared with the commit's snapshots."""
        if candidate.project is None or candidate.refusals:
            return None
        changes = (Change.NEW, Change.CHANGED, Change.BY_SHARED_PART)
        changed = [templates[item.key] for item in items if item.change in changes and item.key in templates]
        return self.snapshots.of(candidate.project, candidate.files, changed)

    def _served_before(self, compared: ComparedMails, templates: Mapping[str, Template]) -> set[str]:
        """Keys whose revision was served before, as after a revert: nothing new would be sent."""
        keys = {mail.split("/", 1)[0] for mail in (*compared.differing, *compared.missing)}
        return {key for key in keys if self._was_served(templates[key])}

    def _was_served(self, template: Template) -> bool:
        return any(one == template.revision for one, _ in deployments.served_revisions(self.database, template.key))

    def _breaks(self, changed: Sequence[Template], files: Files, live: Live, live_tree: Mapping[str, str]) -> list[str]:
        """Changes by which requests are refused, with lines; a revision that was served before breaks nobody."""
        reasons: list[str] = []
        for template in changed:
            key = template.key
            if self._was_served(template):
                continue
            paths = {path: digest for path, digest in live_tree.items() if path.startswith(f"{key}/")}
            contents = template_files.files(self.database, set(paths.values()))
            before = Files.of({path: contents[digest] for path, digest in paths.items()})
            collector = FindingCollector()
            commit = live.deployment.commit
            compare(SavedFiles(before, commit.id[:12] if commit else "live"), files, key, collector, breaking="error")
            reasons += [str(one) for one in collector.findings if one.code in REFUSING_CODES]
        return reasons


def save_revisions(database: Database, templates: Sequence[Template], make: Callable[[Template], Revision]) -> None:
    """Store the revisions that are not stored yet, so that they can be served, pinned and returned to."""
    kept = revisions.stored(database, [template.revision for template in templates])
    missing = [template for template in templates if template.revision not in kept]
    for start in range(0, len(missing), _REVISIONS_AT_ONCE):
        made = [replace(make(template), current=None) for template in missing[start : start + _REVISIONS_AT_ONCE]]
        database.write(lambda tx, made=made: _save(tx, made))  # type: ignore[misc]


def _save(tx: Transaction, made: Sequence[Revision]) -> None:
    for revision in made:
        revisions.save_revision(tx, revision)


class Counts(NamedTuple):
    """How many templates a deployment serves, how many of them change, and how many have errors."""

    templates: int
    changed: int
    broken: int


def counts_of(items: Sequence[DeploymentItem]) -> Counts:
    """The counts of a deployment with these templates."""
    return Counts(
        templates=sum(1 for item in items if item.revision is not None),
        changed=sum(1 for item in items if item.change not in (Change.SAME, Change.KEPT)),
        broken=sum(1 for item in items if any(one.is_error for one in item.findings)),
    )


def _removed(
    present: Mapping[str, Compilation],
    live: Live | None,
    held: set[tuple[str, str]],
    findings: Sequence[Finding],
) -> list[DeploymentItem]:
    """Templates that are served and no longer among the files.

    A hold of the removal keeps them, and so does a file that was left out, such as a link in their place: it is a
    mistake, and nobody has deleted them.
    """
    items = []
    for item in live.items.values() if live else ():
        found = [one for one in findings if one.is_error and one.file.split("/", 1)[0] == item.key]
        if item.key in present:
            continue
        if (item.key, REMOVAL) in held or found:
            items.append(replace(item, change=Change.KEPT, wanted_revision=None, findings=found))
        else:
            items.append(DeploymentItem(key=item.key, revision=None, change=Change.GONE))
    return items


def _is_own_same(key: str, files: Files, live_tree: Mapping[str, str]) -> bool:
    """Whether the template's own folder is as it was, so that a shared part or the compiler made the difference."""
    own = {path: files.digest(path) for path in files.folder(key)}
    return own == {path: digest for path, digest in live_tree.items() if path.startswith(f"{key}/")}
