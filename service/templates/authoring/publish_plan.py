"""The plan of a change: what publishing would do, computed without writing, for the editor's review page."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.errors import Finding, GitError, NotFound
from service.templates.authoring.publish_changes import changed_files
from service.templates.authoring.publish_checks import check_key
from service.templates.catalogue import Catalogue, state_of
from service.templates.compiler import TemplateCompiler
from service.templates.contract import BREAKING_CODES
from service.templates.findings import FindingCollector
from service.templates.front_matter.version_rule import BaseCommit, SavedFiles, compare
from service.templates.source.files import Files, read_files
from service.templates.source.git import WorkTree

_VERSION = re.compile(r"^version:[ \t]*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a change would go: a commit on a `branch` ("" for a detached HEAD), plain files, or nowhere.

    Of a repository that is followed: a push to its `branch`, or to a new branch for it. Nowhere because of
    `uncommitted` changes in the checkout, or because the folder is `read_only`.
    """

    kind: Literal["commit", "files", "push", "new_branch", "uncommitted", "read_only"]
    branch: str = ""

    @property
    def is_open(self) -> bool:
        """True if a change can be saved there."""
        return self.kind in ("commit", "files", "push", "new_branch")


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What publishing would do. `state` is the present ETag, None for a new template, and `before` its files.

    `changes` are the files that would change, None for one that would be removed. `findings` are of the new files;
    `version_wanted` is the version they need, None if theirs is fine; `breaking` are changes that break callers.
    """

    state: str | None
    before: Mapping[str, str]
    changes: Mapping[str, str | None]
    findings: Sequence[Finding]
    version_wanted: int | None
    breaking: Sequence[Finding]
    target: Target

    @property
    def works(self) -> bool:
        """True if the new files compile without an error."""
        return not any(finding.is_error for finding in self.findings)


@dataclass(frozen=True, slots=True)
class PublishPlanner:
    """Plans changes from the files, the compiler and git; writes nothing.

    With `pushes` the files are those of the live deployment, and `root` is not read.
    """

    root: Path
    catalogue: Catalogue
    compiler: TemplateCompiler
    pushes: Target | None = None

    def current_files(self, key: str) -> tuple[str, Mapping[str, str]]:
        """The ETag and the files with which editing begins. Raises NotFound."""
        snapshot = self.catalogue.current
        entry = snapshot.entries.get(key)
        if entry is None:
            raise NotFound(f"There is no template {key!r}.")
        return state_of(entry), snapshot.folder(key)

    def plan(self, key: str, texts: Mapping[str, str | None]) -> PublishPlan:
        """Plan a change of these files. Raises InvalidRequest for an invalid key or path."""
        check_key(key)
        snapshot = self.catalogue.refresh()
        entry = snapshot.entries.get(key)
        files = snapshot.files if self.pushes else read_files(self.root)
        changes = changed_files(key, texts, files)
        after = files.with_changes({f"{key}/{name}": data for name, data in changes.items()})
        collector = FindingCollector()
        compare(self._base(files, key), after, key, collector, breaking="warning")
        return PublishPlan(
            state=state_of(entry) if entry else None,
            before=snapshot.folder(key),
            changes={name: data.decode() if data is not None else None for name, data in changes.items()},
            findings=self.compiler.compile(after, key).findings,
            version_wanted=_wanted(collector.findings),
            breaking=[finding for finding in collector.findings if finding.code in BREAKING_CODES],
            target=self._target(key),
        )

    def _base(self, files: Files, key: str) -> BaseCommit | SavedFiles:
        """The last commit if the folder is in git, because a return to a committed state is fine; else the files."""
        if self.pushes:
            return SavedFiles(files)
        try:
            if WorkTree.around(self.root, key) is not None:
                return BaseCommit(self.root, "HEAD")
        except GitError:
            pass  # no commit yet
        return SavedFiles(files)

    def _target(self, key: str) -> Target:
        if self.pushes:
            return self.pushes
        folder = self.root / key
        written = [self.root, folder] if folder.exists() else [self.root]
        if folder.is_symlink() or any(path.is_symlink() for path in folder.rglob("*")):
            return Target("read_only")  # mounted configuration consists of links
        if not all(os.access(path, os.W_OK) for path in written):
            return Target("read_only")
        tree = WorkTree.around(self.root, key)
        if tree is None:
            return Target("files")
        try:
            return Target("uncommitted") if tree.has_changes(key) else Target("commit", tree.branch())
        except GitError:
            return Target("files")


def with_version(source: str, version: int) -> str:
    """Set the version in the front matter of a source; a source without a version is unchanged."""
    return _VERSION.sub(f"version: {version}", source, count=1)


def _wanted(findings: Sequence[Finding]) -> int | None:
    for finding in findings:
        if finding.code in ("version-not-raised", "version-went-down"):
            found = re.search(r"\d+", finding.hint)
            return int(found[0]) if found else None
    return None
