"""Sync: the process that holds the lease fetches the ref, prepares what is new, and makes it live."""

import hashlib
import json
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from service.deployments.prepare import Candidate, Live, Preparer, Request, read_live
from service.deployments.presence import SEEN_WITHIN
from service.errors import GitError, StoreBusy
from service.models import Commit, Deployment, DeploymentState, SourceStatus, Trigger
from service.store import deployments, template_files, template_source
from service.store.database import Database
from service.templates.compiler import COMPILER_VERSION, library_versions
from service.templates.runtime.site import NO_SITE, Site
from service.templates.source.files import Files
from service.templates.source.remote import GitRemote, Head
from service.templates.source.remote_files import CommitFiles
from service.templates.source.remote_project import CommitProject

#: How long a process may follow the source without renewing its lease, seconds.
LEASE_S = 15.0
#: Requests to look now cause no more than one fetch in this time, seconds.
LOOKS_EVERY_S = 5.0
#: The time between two looks differs by up to this share, so that many services do not ask at once.
_JITTER = 0.1
#: By whom these deployments were asked for.
_BY_ITSELF = "sync"

_log = structlog.get_logger("deployments")


@dataclass(frozen=True, slots=True)
class SyncRules:
    """When what was fetched is served. `judged_with` gives the settings that make a commit be judged again."""

    interval_s: float
    is_manual: bool
    needs_signature: bool
    judged_with: Callable[[], Mapping[str, str]]


@dataclass
class Syncer:
    """Follows the source. `owner` names this process in the lease; one thread calls `step`.

    With `gives_way` it leaves the source to a process that does nothing else, where there is one. `monotonic_s` is a
    clock in seconds, `resolve` gives the installation's values for the files of a commit, with refusals.
    """

    database: Database
    remote: GitRemote
    preparer: Preparer
    rules: SyncRules
    resolve: Callable[[Files], tuple[Site, Mapping[str, str], list[str]]]
    owner: str
    gives_way: bool
    clock: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)
    follows: bool = field(default=False, init=False)
    _next_poll_s: float = field(default=0.0, init=False)
    _next_look_s: float = field(default=0.0, init=False)
    _is_gitless: bool = field(default=False, init=False)

    def step(self, stopping: threading.Event) -> bool:
        """Look at the source if that is due and nobody else does; True if it was done.

        Raises StoreBusy. A failure of the source is noted in its row, and tried again after the interval.
        """
        now_s = self.monotonic_s()
        status = template_source.status(self.database)
        self.follows = status.lease_owner == self.owner
        is_wanted = status.wanted_look != status.done_look and now_s >= self._next_look_s
        is_due = is_wanted or now_s >= self._next_poll_s
        if not is_due and self.follows and not self._must_renew(status):
            return False
        if not self._may_follow(status) or stopping.is_set():
            return False
        if not is_due:
            return False
        self._next_look_s = now_s + LOOKS_EVERY_S
        self._next_poll_s = now_s + self.rules.interval_s * self.rng.uniform(1 - _JITTER, 1 + _JITTER)
        try:
            with self._renewing():
                self._look(status, stopping)
        except BaseException:  # the database was away, or a mistake of ours: try again soon
            self._next_poll_s = now_s + LOOKS_EVERY_S
            raise
        return True

    def _must_renew(self, status: SourceStatus) -> bool:
        return status.lease_until is None or status.lease_until - self.clock() < timedelta(seconds=LEASE_S / 2)

    def _may_follow(self, status: SourceStatus) -> bool:
        """Take the lease, unless another process has it, or is there for nothing else."""
        now = self.clock()
        if status.lease_owner not in (None, self.owner) and status.lease_until and status.lease_until >= now:
            return False
        if self.gives_way and any(
            one.role == "sync" for one in template_source.processes(self.database, since=now - SEEN_WITHIN)
        ):
            return False
        if shutil.which("git") is None:
            if not self._is_gitless:
                self._is_gitless = True
                _log.error("sync_needs_git", hint="install git, or run `rgz-email sync --watch` where it is")
                self._note_failure("There is no git on the machine that follows the repository; install it.")
            return False
        return self.database.write(lambda tx: template_source.acquire_lease(tx, self.owner, now=now, lease_s=LEASE_S))

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        """Renew the lease while the block runs: a fetch or a first compilation may take longer than it lasts."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 3):
                try:
                    self.database.write(
                        lambda tx: template_source.acquire_lease(tx, self.owner, now=self.clock(), lease_s=LEASE_S)
                    )
                except StoreBusy as error:  # activating compares what is live, so a lost lease does no harm
                    _log.warning("store_busy", task="sync_lease", reason=str(error))

        thread = threading.Thread(target=renew, name="sync-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _look(self, status: SourceStatus, stopping: threading.Event) -> None:
        request = _request(status)
        live = read_live(self.database)
        if live is not None and live.deployment.compiler != COMPILER_VERSION:
            self._recompile(live)
            live = read_live(self.database)
        try:
            head = self.remote.fetch()
            is_orphaned = self._is_orphaned(live, head.commit)
        except GitError as error:
            _log.warning("source_unreachable", reason=str(error), reply=error.reply)
            self._note_failure(str(error))
            self._answer(status, status.judged)
            return
        self.database.write(
            lambda tx: template_source.note_fetched(
                tx, self.remote.shown_url, commit=head.commit.id, is_orphaned=is_orphaned, now=self.clock()
            )
        )
        judged = self._digest(head.commit)
        if judged == status.judged:
            is_done = self._activate_waiting(head.commit, request, live)
        else:
            is_done = not stopping.is_set() and self._deploy(head, request, live)
        self._answer(status, judged if is_done else None)

    def _deploy(self, head: Head, request: Request, live: Live | None) -> bool:
        """Prepare a commit that was not judged yet, and make it live unless something speaks against it.

        False: somebody else changed what is live meanwhile, so that it is to be judged again.
        """
        must_wait = self._must_wait(request)
        deployment = self.preparer.prepare(self._candidate(head, live), request, live, must_wait=must_wait)
        if deployment.state is DeploymentState.HELD:
            _log.warning("deployment_held", deployment=deployment.id, commit=head.commit.id, reason=deployment.reason)
        elif must_wait is None:
            return self._activate(deployment, live)
        else:
            _log.info("deployment_waits", deployment=deployment.id, commit=head.commit.id, reason=must_wait)
        return True

    def _activate_waiting(self, commit: Commit, request: Request, live: Live | None) -> bool:
        """Make a commit live that was prepared, and waited until now for a person or for the end of a suspension."""
        waits = deployments.waiting(self.database, since=live.deployment.created_at if live else None)
        if waits is None or waits.state is not DeploymentState.WAITING or waits.commit is None:
            return True
        return waits.commit.id != commit.id or self._must_wait(request) is not None or self._activate(waits, live)

    def _activate(self, deployment: Deployment, live: Live | None) -> bool:
        """Make a prepared deployment live; False if another one than `live` is live by now."""
        now, before = self.clock(), live.deployment.id if live else None
        if not self.database.write(lambda tx: deployments.activate(tx, deployment.id, in_place_of=before, now=now)):
            _log.info("deployment_overtaken", deployment=deployment.id)
            self._next_poll_s = 0.0
            return False
        commit = deployment.commit.id if deployment.commit else None
        _log.info("deployment_live", deployment=deployment.id, commit=commit, trigger=deployment.trigger.value)
        return True

    def _must_wait(self, request: Request) -> str | None:
        """Why a new commit is not served by itself; None if it is. A person's own request waits for nobody."""
        suspension = template_source.status(self.database).suspension
        if suspension is not None and (suspension.until is None or suspension.until > self.clock()):
            return f"Sync is suspended by {suspension.by}: {suspension.why}"
        if self.rules.is_manual and request.trigger not in (Trigger.COMMAND, Trigger.PAGE):
            return "Sync is manual: a person starts it."
        return None

    def _candidate(self, head: Head, live: Live | None) -> Candidate:
        commit = head.commit
        try:
            tree = self.remote.files(commit.id)
            site, values, refusals = self.resolve(tree.files)
        except GitError as error:  # it was fetched, so this is about the commit: the next one may be better
            tree, site, values, refusals = CommitFiles(Files({})), NO_SITE, {}, [str(error)]
        if self.rules.needs_signature:
            try:
                self.remote.verify(commit.id)
            except GitError as error:
                refusals = [str(error), *refusals]
        project, problems = self._project(commit)
        since = live.deployment.commit.id if live and live.deployment.commit else None
        return Candidate(
            source=self.remote.shown_url,
            ref=self.remote.ref,
            path=self.remote.path,
            commit=commit,
            files=tree.files,
            site=site,
            site_values=values,
            findings=tree.findings,
            refusals=[*refusals, *problems],
            project=project,
            accepted=frozenset(self.remote.trailers(since, commit.id)) if since else frozenset(),
        )

    def _project(self, commit: Commit) -> tuple[CommitProject | None, list[str]]:
        """What the commit says of its snapshots, and what speaks against it: another version is required."""
        try:
            project = self.remote.project(commit.id)
        except GitError as error:
            return None, [str(error)]
        return project, [project.problem] if project.problem else []

    def _recompile(self, live: Live) -> None:
        """Deploy the live files anew with a compiler that prints something else; needs neither remote nor git."""
        tree = template_files.tree(self.database, live.deployment.tree)
        contents = template_files.files(self.database, set(tree.values()))
        files = Files.of({path: contents[digest] for path, digest in tree.items()})
        site, values, refusals = self.resolve(files)
        candidate = Candidate(
            source=live.deployment.source,
            ref=live.deployment.ref,
            path=live.deployment.path,
            commit=live.deployment.commit,
            files=files,
            site=site,
            site_values=values,
            refusals=refusals,
        )
        request = Request(Trigger.COMPILER, _BY_ITSELF, f"compiler {COMPILER_VERSION}")
        deployment = self.preparer.prepare(candidate, request, live, must_wait=None)
        if deployment.state is not DeploymentState.HELD:
            self._activate(deployment, live)

    def _is_orphaned(self, live: Live | None, head: Commit) -> bool:
        """Whether the live commit is no longer in the history of the ref, as after a force-push."""
        commit = live.deployment.commit if live else None
        if commit is None or commit.id == head.id:
            return False
        return self.remote.is_ancestor(commit.id, head.id) is False

    def _digest(self, commit: Commit) -> str:
        """What a judgement rests on: it is made again only where one of these differs."""
        rests_on = {
            "commit": commit.id,
            "source": self.remote.shown_url,
            "path": self.remote.path,
            "compiler": f"{COMPILER_VERSION} {library_versions()}",
            **self.rules.judged_with(),
        }
        if problems := self._project(commit)[1]:  # of the installed version, so that another one may serve it
            rests_on["project"] = "\n".join(problems)
        return hashlib.sha256(json.dumps(rests_on, sort_keys=True).encode()).hexdigest()

    def _note_failure(self, failure: str) -> None:
        now = self.clock()
        self.database.write(lambda tx: template_source.note_failed(tx, self.remote.shown_url, failure, now=now))

    def _answer(self, status: SourceStatus, judged: str | None) -> None:
        self.database.write(lambda tx: template_source.note_judged(tx, judged, look=status.wanted_look))


def _request(status: SourceStatus) -> Request:
    """The request that a look answers: that of a person or a webhook, or the poll's own."""
    if status.wanted_look != status.done_look and status.look_trigger is not None:
        return Request(status.look_trigger, status.look_by)
    return Request(Trigger.POLL, _BY_ITSELF)
