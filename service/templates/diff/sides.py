"""The two sides of a diff: the files of a template directory at a commit, or as they are on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import Finding
from service.templates.snapshots import folder
from service.templates.snapshots.compare import is_snapshot
from service.templates.source.case_collisions import case_collisions
from service.templates.source.files import Files, read_files
from service.templates.source.left_out import left_out
from service.templates.source.local_repository import LocalRepository


@dataclass(frozen=True, slots=True)
class DiffSide:
    """One side: `ref` as it was named, its commit (None: the working tree), and a note about how it was found.

    `snapshots` are the recorded mails: path below their folder -> name of git's object. `findings` are of reading.
    """

    ref: str
    commit: str | None
    files: Files
    snapshots: Mapping[str, str]
    findings: Sequence[Finding] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class DiffSides:
    """Both sides, and the keys whose breaks a trailer of the commits between them accepts."""

    base: DiffSide
    head: DiffSide
    repository: LocalRepository
    accepted: frozenset[str] = field(default_factory=frozenset)


def read_sides(root: Path, base_ref: str, head_ref: str | None, snapshots: Path) -> DiffSides:
    """Read the commit from which the head and the base went apart, and the head: a commit, or the working tree.

    A working tree without changes is the commit that is checked out. Raises GitError without git, outside of a
    checkout, and for a ref that this clone does not have.
    """
    repository = LocalRepository.around(root)
    named = repository.commit(base_ref)
    head_commit = repository.commit(head_ref or "HEAD")
    common = repository.merge_base(named, head_commit)
    commit, note = common or named, None
    if common is None:
        note = f"this clone knows no commit that both sides come from (is it shallow?); {base_ref} itself is compared"
    elif common != named:
        note = f"the commit at which the head left {base_ref}"
    base = _at(repository, base_ref, commit, snapshots, note)
    if head_ref is not None:
        head = _at(repository, head_ref, head_commit, snapshots, None)
    else:
        head = _at(repository, "HEAD", head_commit, snapshots, None)
        files, recorded = _files_on_disk(root, repository), _snapshots_on_disk(repository, snapshots)
        about_names = (*case_collisions(files.by_path, "warning"), *left_out(root))
        known = {(one.file, one.code) for one in head.findings}
        has_left_out = any((one.file, one.code) not in known for one in about_names)
        if files.changed_since(head.files) or recorded != head.snapshots or has_left_out:
            head = DiffSide("working tree", None, files, recorded, about_names)
    return DiffSides(base, head, repository, repository.accepted(commit, head_commit))


def _files_on_disk(root: Path, repository: LocalRepository) -> Files:
    """The template files, and the values beside their directory where it holds none, as at a commit."""
    files = read_files(root)
    beside = root.absolute().parent / "values"
    if not repository.path or files.folder("values") or not beside.is_dir():
        return files
    return files.with_changes({f"../values/{file.name}": file.read_bytes() for file in sorted(beside.glob("*.yaml"))})


def _at(repository: LocalRepository, ref: str, commit: str, snapshots: Path, note: str | None) -> DiffSide:
    read = repository.files(commit)
    recorded = {path: name for path, name in _blobs(repository, commit, snapshots) if is_snapshot(path)}
    return DiffSide(ref, commit, read.files, recorded, read.findings, note)


def _blobs(repository: LocalRepository, commit: str, recorded: Path) -> Sequence[tuple[str, str]]:
    try:
        return list(repository.blobs(commit, recorded).items())
    except ValueError:  # a folder outside of the repository
        return []


def _snapshots_on_disk(repository: LocalRepository, recorded: Path) -> dict[str, str]:
    return {
        # As git keeps a text that it checks out with CRLF.
        path: repository.blob_name(folder.read_one(recorded, path).replace(b"\r\n", b"\n"))
        for path in folder.listed(recorded)
    }
