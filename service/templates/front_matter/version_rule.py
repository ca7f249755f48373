"""The version rule: a template that changed since a commit has a higher version and keeps its contract."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from service.errors import GitError
from service.templates.contract import contract_changes
from service.templates.findings import CompileAborted, FindingCollector
from service.templates.front_matter.manifest import split_front_matter
from service.templates.front_matter.yaml_positions import Document, read_yaml
from service.templates.positions import Place, Source, normalise_newlines
from service.templates.source.files import Files, files_at
from service.templates.source.git import commit_of, git
from service.templates.source.local_repository import LocalRepository

#: How many earlier commits of a folder are searched; a return to an older state needs a higher version.
MAX_STATES = 200

OwnSource = Mapping[str, bytes]
Severity = Literal["error", "warning"]


@dataclass
class BaseCommit:
    """The templates at a commit. Raises GitError when it is made without git or checkout, or for an unknown commit."""

    root: Path
    ref: str
    commit: str = field(init=False)
    files: Files = field(init=False)

    def __post_init__(self) -> None:
        self.commit = commit_of(self.root, self.ref)
        self.files = files_at(self.root, self.commit)
        if not self.files.template_keys():  # it may have had them in another directory
            self.files = LocalRepository.around(self.root).files(self.commit).files

    def ever_held(self, key: str, source: OwnSource) -> bool:
        """True if an ancestor of the commit held exactly this source: then its version may come back, too."""
        try:
            commits = git(self.root, "rev-list", f"--max-count={MAX_STATES}", self.commit, "--", key).decode().split()
            return any(own_source(files_at(self.root, commit, key), key) == source for commit in commits)
        except GitError:
            return False  # a shallow or partial clone doesn't know


@dataclass(frozen=True)
class SavedFiles:
    """The templates on disk, whose earlier states are not known."""

    files: Files
    ref: str = "the saved one"


def own_source(files: Files, key: str) -> OwnSource:
    """The files that a version covers: the folder without its examples, with LF newlines, without shared parts."""
    return {
        path: files.by_path[path].data.replace(b"\r\n", b"\n")
        for path in files.folder(key)
        if not path.startswith(f"{key}/examples/")
    }


def compare(
    base: BaseCommit | SavedFiles, now: Files, key: str, collector: FindingCollector, *, breaking: Severity
) -> None:
    """Report breaches of the version rule between the base and now; a new template has none.

    `breaking` is the severity of changes that break callers.
    """
    path = f"{key}/template.mjml"
    if path not in base.files:
        return
    if path not in now:
        message = f"the template was removed; it exists at {base.ref}"
        collector.warning(Place(path, 1, 1), "template-removed", message, "make sure that no caller sends it any more")
        return
    document = front_matter(now, path)
    if document is None:
        return  # its errors are among the findings of compiling it
    _compare_versions(base, now, key, document, collector)
    _compare_contract(base.files, now, key, collector, breaking)


def _compare_versions(
    base: BaseCommit | SavedFiles, now: Files, key: str, document: Document, collector: FindingCollector
) -> None:
    own = own_source(now, key)
    before = front_matter(base.files, f"{key}/template.mjml")
    was, is_now = _version(before), _version(document)
    if was is None or is_now is None or is_now > was or own == own_source(base.files, key):
        return
    if isinstance(base, BaseCommit) and base.ever_held(key, own):
        return
    place = document.key_place(("version",))
    hint = f"write version: {was + 1}"
    if is_now < was:
        message = f"the version went down: it is {was} at {base.ref}, but {is_now} here"
        collector.error(place, "version-went-down", message, hint)
    else:
        message = f"the template has changed since {base.ref}, but its version is still {was}"
        collector.error(place, "version-not-raised", message, hint)


def _compare_contract(before: Files, now: Files, key: str, collector: FindingCollector, severity: Severity) -> None:
    report_it: Callable[..., None] = collector.error if severity == "error" else collector.warning
    for one in contract_changes(before, now, key):
        if one.is_breaking:
            report_it(one.place, one.code, one.message, one.hint)


def front_matter(files: Files, path: str) -> Document | None:
    """The front matter of a file as far as it can be read; None if it can't be."""
    ignored = FindingCollector()
    try:
        text, place = split_front_matter(Source(path, normalise_newlines(files.text(path))), ignored)
        document = read_yaml(text, path, ignored, first_line=place.line)
    except (CompileAborted, UnicodeDecodeError):
        return None
    return document if isinstance(document.data, dict) else None


def _version(document: Document | None) -> int | None:
    version = document.data.get("version") if document else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None
