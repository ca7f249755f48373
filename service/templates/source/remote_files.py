"""The template files of a commit, read from git's objects: without checkout, link, hook or filter counts."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import Finding, GitError
from service.templates.source.case_collisions import case_collisions, misnamed
from service.templates.source.files import MAX_FILE_BYTES, Files, is_template_file
from service.templates.source.git import Bounds, git_bare, read_objects
from service.templates.source.remote_commit import named

MAX_FILES = 20_000
MAX_TOTAL_BYTES = 200_000_000
#: So many of one kind are named.
_MAX_FINDINGS = 100
#: An entry is about 60 bytes and its path; a tree that names itself again and again ends here.
_LISTING = Bounds(output_bytes=MAX_FILES * 500)
_LINK, _SUBMODULE = "120000", "160000"
_READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class TreeBounds:
    """How many template files of a commit are read, and how many bytes of them together."""

    files: int = MAX_FILES
    total_bytes: int = MAX_TOTAL_BYTES


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """The files of a commit, and a finding for each entry that was left out or that other machines would confuse.

    A finding is an error where a template may miss what was left out.
    """

    files: Files
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    name: str
    size_bytes: int
    path: bytes

    def shown(self) -> str:
        text = self.path.decode("utf-8", "backslashreplace")
        return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)[:300]


def read_commit_files(
    mirror: Path,
    commit: str,
    path: str,
    bounds: TreeBounds = TreeBounds(),
) -> CommitFiles:
    """The files below the directory `path` ("" is the root) of a commit. Raises GitError, also for too many of them."""
    tree = _tree(mirror, commit, path)
    try:
        listing = git_bare(mirror, "ls-tree", "-r", "-z", "--long", "--full-tree", tree, bounds=_LISTING)
    except GitError as error:
        if not error.reply and "more than is read" in str(error):
            raise GitError(_too_many(commit, path, MAX_FILES)) from None
        raise
    wanted: dict[str, _Entry] = {}
    findings: list[Finding] = []
    names: set[str] = set()
    for entry in _entries(listing):
        name = entry.shown()
        names.add(name)
        if not is_template_file(name) and not _may_be_a_folder(entry):
            continue
        problem = _problem(entry)
        if problem is None:
            wanted[name] = entry
        else:
            findings.append(problem)
    if len(wanted) > bounds.files:
        raise GitError(_too_many(commit, path, bounds.files))
    total = sum(entry.size_bytes for entry in wanted.values())
    if total > bounds.total_bytes:
        raise GitError(
            f"The templates of commit {commit[:12]} have {total / 1e6:.0f} MB; {bounds.total_bytes // 1_000_000} MB are"
            " read at most."
        )
    contents = read_objects(mirror, [entry.name for entry in wanted.values()], timeout_s=_READ_TIMEOUT_S)
    findings += (*case_collisions(wanted, "warning"), *misnamed(names, "warning"))
    beside = _values_beside(mirror, commit, path) if path else {}
    files = Files.of({**beside, **dict(zip(wanted, contents, strict=True))})
    return CommitFiles(files, tuple(findings[:_MAX_FINDINGS]))


def _values_beside(mirror: Path, commit: str, path: str) -> dict[str, bytes]:
    """The files of the directory `values` beside the templates, which hold what differs between environments."""
    folder = posixpath.join(posixpath.dirname(path), "values")
    checked = git_bare(mirror, "cat-file", "--batch-check", stdin=f"{named(commit)}:{folder}\n".encode())
    if checked.split(b" ")[1:2] != [b"tree"]:
        return {}
    listing = git_bare(mirror, "ls-tree", "-z", "--long", checked.split(b" ")[0].decode(), bounds=_LISTING)
    found = {entry.shown(): entry for entry in _entries(listing) if entry.path.endswith(b".yaml")}
    wanted = {name: entry for name, entry in list(found.items())[:_MAX_FINDINGS] if _problem(entry) is None}
    contents = read_objects(mirror, [entry.name for entry in wanted.values()], timeout_s=_READ_TIMEOUT_S)
    return {f"../values/{name}": data for name, data in zip(wanted, contents, strict=True)}


def below(path: str, names: Sequence[str]) -> frozenset[str]:
    """Paths of a commit as `read_commit_files` has them: relative to the templates, and of the values beside them."""
    prefix = f"{path}/" if path else ""
    beside = posixpath.join(posixpath.dirname(path), "values") + "/" if path else None
    inside = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    values = {f"../values/{name.removeprefix(beside)}" for name in names if beside and name.startswith(beside)}
    return frozenset(inside | values)


def _tree(mirror: Path, commit: str, path: str) -> str:
    """The object of the directory. Raises GitError where the commit has none of this path."""
    name = f"{named(commit)}:{path}"
    checked = git_bare(mirror, "cat-file", "--batch-check", stdin=f"{name}\n".encode()).decode().split(" ")
    if checked[1:2] == ["tree"]:
        return checked[0]
    top = git_bare(mirror, "ls-tree", "-d", "-z", "--name-only", commit, bounds=_LISTING)
    folders = [one for one in top.decode("utf-8", "replace").split("\0") if one and one.isprintable()]
    there = ", ".join(folders[:12]) or "none"
    raise GitError(
        f"Commit {commit[:12]} has no directory {path} (EMAIL_TEMPLATES_GIT_PATH); its directories are {there}."
    )


def _entries(listing: bytes) -> Iterator[_Entry]:
    for line in filter(None, listing.split(b"\0")):
        description, _, path = line.partition(b"\t")
        mode, _, name, size = description.decode("ascii").split()
        yield _Entry(mode, name, int(size) if size.isdigit() else 0, path)


def _may_be_a_folder(entry: _Entry) -> bool:
    """Whether a link or a submodule may stand for a folder of templates or of shared parts."""
    last = entry.path.rpartition(b"/")[2]
    return entry.mode in (_LINK, _SUBMODULE) and b"." not in last


def _problem(entry: _Entry) -> Finding | None:
    """Why an entry is left out; None for one that is read."""
    name = entry.shown()
    if entry.mode == _LINK:
        message = "a symbolic link in a repository is not followed; it is left out"
        return Finding(name, 1, 1, "error", "file-link", message, "commit the file itself")
    if entry.mode == _SUBMODULE:
        message = "a submodule is not fetched; it is left out"
        return Finding(name, 1, 1, "error", "file-submodule", message, "commit its files themselves")
    if entry.size_bytes > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1_000_000} MB are read at most"
        message = f"the file has {entry.size_bytes / 1e6:.1f} MB and {limit}; it is left out"
        return Finding(name, 1, 1, "error", "file-too-large", message, "make it smaller, or keep it elsewhere")
    if name.encode() != entry.path:
        message = "the file's name is not printable UTF-8; it is left out"
        return Finding(name, 1, 1, "error", "file-name", message, "rename it")
    return None


def _too_many(commit: str, path: str, limit: int) -> str:
    return (
        f"Commit {commit[:12]} has more than {limit} files below {path or 'its root'}; keep templates in a"
        " directory of their own (EMAIL_TEMPLATES_GIT_PATH)."
    )
