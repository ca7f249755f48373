"""Changes between two deployments: templates with their revisions and versions, and the source of their files."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from service.deployments.history import DeploymentHistory, by_key
from service.errors import Finding
from service.models import Change, Deployment, DeploymentItem
from service.store import revisions, template_files
from service.store.database import Database, Reader
from service.templates.links import Links

#: Templates and files of one answer, at most.
MAX_TEMPLATES = 200
MAX_FILES = 400
#: Longer files are named and not compared: comparing takes time that grows faster than they do.
MAX_FILE_BYTES = 200_000
MAX_FILE_LINES = 5_000
#: Source of one answer, both sides together.
MAX_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that was added (`before` is None), removed (`after` is None) or changed.

    `is_shown` is False, and both texts are None, for what is no UTF-8 text, is long, or finds no more room.
    """

    path: str
    before: str | None = None
    after: str | None = None
    is_shown: bool = True

    def unified(self) -> str:
        """The unified diff; "" where the texts are not shown."""
        if not self.is_shown:
            return ""
        old, new = ((text or "").splitlines() for text in (self.before, self.after))
        was = f"a/{self.path}" if self.before is not None else "/dev/null"
        now = f"b/{self.path}" if self.after is not None else "/dev/null"
        return "\n".join(difflib.unified_diff(old, new, was, now, lineterm=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateChange:
    """A template that differs. Revisions and versions are None where it serves none.

    `files` are of its own folder; `shared` are the paths of changed files beside it that it takes in.
    """

    key: str
    change: Change
    revision_before: str | None
    revision_after: str | None
    version_before: int | None
    version_after: int | None
    findings: Sequence[Finding]
    files: Sequence[FileChange]
    shared: Sequence[str]


@dataclass(frozen=True, slots=True)
class DeploymentChanges:
    """What differs between two deployments; `against` is None where there was none before.

    `shared` are changed files outside of the templates' folders. `is_whole` is False if something was left out.
    """

    deployment: Deployment
    against: Deployment | None
    templates: Sequence[TemplateChange]
    shared: Sequence[FileChange]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class DeploymentComparison:
    """Compares deployments by their rows and the files that are stored with them."""

    database: Database
    history: DeploymentHistory

    def changes(self, name: str, *, against: str | None = None) -> DeploymentChanges:
        """What a deployment changes of `against`, or of the one that it replaced. Raises NotFound."""
        after = self.history.find(name)
        before = self.history.find(against) if against is not None else self.history.before(after)
        old = by_key(self.history.items(before)) if before else {}
        new = by_key(self.history.items(after))
        sources = _Sources(self.database, before, after)
        keys = [key for key in sorted(old.keys() | new.keys()) if _differs(old.get(key), new.get(key), sources)]
        shown = keys[:MAX_TEMPLATES]
        folders = old.keys() | new.keys()
        shared = [path for path in sources.changed if path.partition("/")[0] not in folders]
        sources.load([*shared, *(path for key in shown for path in sources.of_folder(key))])
        versions = revisions.versions_of(self.database, _revisions(old, new, shown))
        links = [_links(self.database, tree) for tree in (sources.after, sources.before)]
        templates = [
            TemplateChange(
                key=key,
                change=_change(old.get(key), new.get(key), sources),
                revision_before=(was := _revision(old.get(key))),
                revision_after=(now := _revision(new.get(key))),
                version_before=versions.get(was or ""),
                version_after=versions.get(now or ""),
                findings=new[key].findings if key in new else (),
                files=[sources.change(path) for path in sources.of_folder(key)],
                shared=sorted({path for one in links for path in one.reached(key)}.intersection(shared))
                if shared
                else (),
            )
            for key in shown
        ]
        files = [sources.change(path) for path in shared]
        of_all = [*files, *(one for template in templates for one in template.files)]
        is_whole = len(shown) == len(keys) and all(one.is_shown for one in of_all)
        return DeploymentChanges(after, before, templates, files, is_whole)


def _revision(item: DeploymentItem | None) -> str | None:
    return item.revision if item is not None else None


def _revisions(old: Mapping[str, DeploymentItem], new: Mapping[str, DeploymentItem], keys: Collection[str]) -> set[str]:
    found = (side[key].revision for side in (old, new) for key in keys if key in side)
    return {revision for revision in found if revision is not None}


class _Sources:
    """The files of two deployments: which differ, and their texts."""

    def __init__(self, reader: Reader, before: Deployment | None, after: Deployment) -> None:
        self._reader = reader
        self.before = template_files.tree(reader, before.tree) if before else {}
        self.after = template_files.tree(reader, after.tree)
        paths = sorted(self.before.keys() | self.after.keys())
        self.changed = [path for path in paths if self.before.get(path) != self.after.get(path)]
        self._folders: dict[str, list[str]] = {}
        for path in self.changed:
            self._folders.setdefault(path.partition("/")[0], []).append(path)
        self._texts: dict[str, str | None] = {}
        self._loaded: set[str] = set()

    def of_folder(self, key: str) -> Sequence[str]:
        """Paths of the changed files in a template's folder, the mail itself first."""
        found = self._folders.get(key, [])
        return sorted(found, key=lambda path: (not path.startswith(f"{key}/template.mjml"), path))

    def load(self, paths: Sequence[str]) -> None:
        """Read the texts of these files, as many as there is room for."""
        self._loaded = set(paths[:MAX_FILES])
        left = MAX_BYTES
        for path in paths[:MAX_FILES]:
            digests = {digest for side in (self.before, self.after) if (digest := side.get(path)) is not None}
            found = template_files.files(self._reader, digests)
            size_bytes = sum(map(len, found.values()))
            if size_bytes > left:
                self._loaded.discard(path)
                continue
            left -= size_bytes
            self._texts |= {digest: _text(data) for digest, data in found.items()}

    def change(self, path: str) -> FileChange:
        """The change of a file, with its texts if they were read and can be shown."""
        digests = (self.before.get(path), self.after.get(path))
        old, new = (self._texts.get(digest) if digest is not None else None for digest in digests)
        lost = any(digest is not None and text is None for digest, text in zip(digests, (old, new), strict=True))
        if lost or path not in self._loaded:
            return FileChange(path, is_shown=False)
        return FileChange(path, old, new)


def _text(data: bytes) -> str | None:
    if len(data) > MAX_FILE_BYTES or data.count(b"\n") > MAX_FILE_LINES:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _differs(old: DeploymentItem | None, new: DeploymentItem | None, sources: _Sources) -> bool:
    key = (new or old).key  # type: ignore[union-attr]  # one of them is there
    if _revision(old) != _revision(new) or sources.of_folder(key):
        return True
    return new is not None and (new.change is Change.KEPT or any(one.is_error for one in new.findings))


def _change(old: DeploymentItem | None, new: DeploymentItem | None, sources: _Sources) -> Change:
    """How the template differs between these two, which need not have followed each other."""
    was, now = _revision(old), _revision(new)
    if now is None and was is not None:
        return Change.GONE
    if new is not None and new.change is Change.KEPT:
        return Change.KEPT
    if was is None:
        return Change.NEW
    if was == now:
        return Change.SAME
    return Change.CHANGED if sources.of_folder((new or old).key) else Change.BY_SHARED_PART  # type: ignore[union-attr]


def _links(reader: Reader, tree: Mapping[str, str]) -> Links:
    """The links of the stored files of a deployment."""

    def read(paths: Collection[str]) -> dict[str, bytes]:
        contents = template_files.files(reader, {tree[path] for path in paths})
        return {path: contents.get(tree[path], b"") for path in paths}

    return Links(tree, read, tree)
