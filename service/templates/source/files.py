"""The template directory as files in memory, its git checkout, and its files at a commit."""

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import GitError
from service.templates.source.git import commit_of, git, read_objects

#: Larger files are skipped, so that a stray dump is not read at each change.
MAX_FILE_BYTES = 2_000_000
#: A folder that changes while it is read is read again, at most so often.
_MAX_READS = 5
_ENDINGS = (".mjml", ".txt", ".yaml", ".yml", ".html", ".css", ".j2", ".jinja", ".svg")


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes, their SHA-256 in hex, and a stamp of its `stat`, so that an unchanged file is not reread."""

    data: bytes
    digest: str
    stamp: tuple[int, ...] = ()


@dataclass(frozen=True)
class Files:
    """An immutable copy of a template directory: POSIX path relative to it -> file.

    With `has_links` a file may be seen under several paths, so that a change of one path may change others.
    """

    by_path: Mapping[str, File]
    has_links: bool = field(default=False, compare=False)
    folders: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folders: dict[str, list[str]] = {}
        for path in sorted(self.by_path):
            folders.setdefault(path.split("/", 1)[0] if "/" in path else "", []).append(path)
        object.__setattr__(self, "folders", {name: tuple(paths) for name, paths in folders.items()})

    @classmethod
    def of(cls, contents: Mapping[str, str | bytes]) -> "Files":
        """Files from texts or bytes in memory, such as a template that is checked before it is written."""
        return cls({path: _file(data.encode() if isinstance(data, str) else data) for path, data in contents.items()})

    def with_changes(self, changes: Mapping[str, str | bytes | None]) -> "Files":
        """A copy with files replaced, added or (None) removed."""
        by_path = {path: file for path, file in self.by_path.items() if path not in changes}
        by_path |= Files.of({path: data for path, data in changes.items() if data is not None}).by_path
        return Files(by_path)

    def changed_since(self, before: "Files") -> frozenset[str]:
        """Paths of files that were added or removed, or have other bytes."""
        old, new = before.by_path, self.by_path
        here = (path for path, file in new.items() if (was := old.get(path)) is not file and not _same(was, file))
        return frozenset((*here, *(old.keys() - new.keys())))

    def __contains__(self, path: str) -> bool:
        return path in self.by_path

    def digest(self, path: str) -> str | None:
        """SHA-256 in hex of a file's bytes; None for a file that does not exist."""
        file = self.by_path.get(path)
        return file.digest if file else None

    def text(self, path: str) -> str:
        """A file as text. Raises KeyError for a file that does not exist, UnicodeDecodeError if it is not UTF-8."""
        return self.by_path[path].data.decode("utf-8")

    def template_keys(self) -> tuple[str, ...]:
        """Keys of the templates: folders that hold a `template.mjml` and do not begin with `_` or `.`."""
        return tuple(
            name
            for name in self.folders
            if name and not name.startswith(("_", ".")) and f"{name}/template.mjml" in self.by_path
        )

    def folder(self, key: str) -> tuple[str, ...]:
        """Paths of all files in a template's folder."""
        return self.folders.get(key, ())


def is_template_file(path: str) -> bool:
    """Whether a file of this path is read: by its ending, and unless a part of the path is hidden."""
    return path.endswith(_ENDINGS) and not any(part.startswith(".") for part in path.split("/"))


def _same(one: File | None, other: File) -> bool:
    return one is not None and one.digest == other.digest


def _file(data: bytes, stamp: tuple[int, ...] = ()) -> File:
    return File(data, hashlib.sha256(data).hexdigest(), stamp)


def resolve(including: str, wanted: str) -> str | None:
    """Resolve the path `wanted` in the file `including`; None if it leaves the template directory."""
    if wanted.startswith("/") or not wanted.isprintable() or "\\" in wanted or '"' in wanted:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(including), wanted))
    return None if path.startswith("../") or path == ".." else path


def read_files(root: Path, previous: Files | None = None, *, only: Collection[str] | None = None) -> Files:
    """Read the files below `root`; unchanged ones are taken from `previous`.

    Symbolic links are followed (a Kubernetes ConfigMap is made of them) as long as they stay below `root`. A missing
    directory is empty; a file that disappears while it is read is left out. `only` are the top-level names that may
    have changed since `previous`; the others are not read, unless there are links.
    """
    reader = _Reader(os.path.realpath(root), previous.by_path if previous else {})
    folders = {name: os.path.join(reader.root, name) for name in only or ()}  # noqa: PTH118 - as os.scandir has it
    if previous is None or previous.has_links or only is None or not all(map(_is_folder_or_gone, folders.values())):
        return Files(reader.folder(reader.root, "", depth=0), reader.has_links)
    found = {path: file for path, file in previous.by_path.items() if path.split("/", 1)[0] not in folders}
    for name, folder in folders.items():
        found |= reader.folder(folder, name + "/", depth=1)
    return Files(found, reader.has_links)


class _Reader:
    def __init__(self, root: str, known: Mapping[str, File]) -> None:
        self.root = root
        self.has_links = False
        self._known = known

    def folder(self, folder: str, prefix: str, *, depth: int) -> dict[str, File]:
        """Read a folder, again if it changed meanwhile, so that a template's files are of one moment."""
        found: dict[str, File] = {}
        for _ in range(_MAX_READS):
            before = _identity(folder)
            found = self._entries(folder, prefix, depth)
            if _identity(folder) == before:
                break
        return found

    def _entries(self, folder: str, prefix: str, depth: int) -> dict[str, File]:
        found: dict[str, File] = {}
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return found
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.isprintable():  # as at a commit: see left_out
                continue
            path = prefix + entry.name
            try:
                if entry.is_symlink():
                    self.has_links = True
                    if not _is_below(self.root, os.path.realpath(entry.path)):
                        continue
                if entry.is_dir():
                    if depth < 8:
                        found |= self.folder(entry.path, path + "/", depth=depth + 1)
                elif entry.name.endswith(_ENDINGS):
                    file = _read_file(entry.path, entry.stat(), self._known.get(path))
                    if file is not None:
                        found[path] = file
            except OSError:
                continue
        return found


def _is_folder_or_gone(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _identity(folder: str) -> tuple[int, ...]:
    try:
        status = Path(folder).stat()
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_mtime_ns)


def _is_below(root: str, path: str) -> bool:
    return path.startswith(root + os.sep)


def _read_file(path: str, status: os.stat_result, before: File | None) -> File | None:
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
        return None
    stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev)
    if before is not None and before.stamp == stamp:
        return before
    return _file(Path(path).read_bytes(), stamp)


@dataclass(frozen=True, slots=True)
class Checkout:
    """The git state of the directory: the commit that is checked out, and the files that differ from it."""

    commit: str | None = None
    dirty: frozenset[str] = frozenset()


#: Names the commit of a directory that is no checkout, as an image or a mounted volume is.
COMMIT_FILE = ".commit"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def read_checkout(root: Path, named: str | None = None) -> Checkout:
    """Read the git state of a directory.

    Without git, or outside of a checkout, it has the commit `named`, or that of its file `.commit`, or none.
    """
    answer = _git(root, "rev-parse", "HEAD", "--show-prefix")
    if answer is None or named is not None:
        return Checkout(named or _commit_file(root))
    commit, _, prefix = answer.rstrip("\n").partition("\n")
    status = _git(root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", ".") or ""
    changed = (line[3:] for line in status.split("\0") if len(line) > 3)
    return Checkout(commit, frozenset(path.removeprefix(prefix) for path in changed))


def _commit_file(root: Path) -> str | None:
    try:
        with (root / COMMIT_FILE).open("rb") as file:
            found = _COMMIT.fullmatch(file.read(200).decode("ascii", "replace").strip())
    except OSError:
        return None
    return found[0] if found else None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        return git(root, *arguments).decode("utf-8", "replace")
    except GitError:
        return None


def files_at(root: Path, ref: str, folder: str = "") -> Files:
    """The files below `root`, or in one folder of it, at a commit; empty if they did not exist yet.

    Symbolic links are left out. Raises GitError without git, outside of a checkout, or for an unknown commit.
    """
    commit = commit_of(root, ref)
    prefix = git(root, "rev-parse", "--show-prefix").decode().rstrip("\n")
    below = ("--", f"{prefix}{folder}") if prefix or folder else ()
    listing = git(root, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, *below).decode("utf-8", "replace")
    names: dict[str, str] = {}
    for line in filter(None, listing.split("\0")):
        (mode, _, name, size), path = line.partition("\t")[0].split(), line.partition("\t")[2].removeprefix(prefix)
        if mode.startswith("100") and int(size) <= MAX_FILE_BYTES and is_template_file(path):
            names[path] = name
    contents = read_objects(root, list(names.values()))
    return Files({path: _file(data) for path, data in zip(names, contents, strict=True)})
