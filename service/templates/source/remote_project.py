"""The project of a commit, read from git's objects: its `rgz-email.toml`, and the names of its snapshots."""

import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.config.template_project import (
    MAX_PROJECT_BYTES,
    PROJECT_FILE,
    ProjectFile,
    parse_project,
    project_text,
    requires_problem,
)
from service.errors import ConfigurationError, GitError
from service.templates.source.git import Bounds, git_bare, read_objects
from service.templates.source.remote_commit import named

#: Some 100,000 snapshots; a commit with more is not compared.
_LISTING = Bounds(output_bytes=16_000_000)
_FILE_MODES = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class CommitProject:
    """`problem` speaks against serving the commit: mistakes in its `rgz-email.toml`, or another version is required.

    `snapshots` are the files in its folder of snapshots: path below it -> name of git's object.
    """

    snapshots: Mapping[str, str] = field(default_factory=dict)
    object_format: str = "sha1"
    problem: str | None = None

    def name_of(self, data: bytes) -> str:
        """The name that git gives an object with these bytes."""
        return blob_name(data, self.object_format)


def blob_name(data: bytes, object_format: str) -> str:
    """The name that git gives an object with these bytes, in a repository of this format: sha1 or sha256."""
    digest = hashlib.new(object_format, b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()


def read_commit_project(mirror: Path, commit: str, path: str) -> CommitProject:
    """Read the project of the template directory `path` ("" is the root) at a commit. Raises GitError.

    The contents of snapshots are not read.
    """
    object_format = "sha256" if len(named(commit)) == 64 else "sha1"
    try:
        folder, said = _project_file(mirror, commit, path)
    except ConfigurationError as error:
        return CommitProject({}, object_format, "; ".join(error.problems))
    is_of_path = posixpath.normpath(posixpath.join(folder, said.templates)) == (path or ".")
    beside = posixpath.join(posixpath.dirname(path), ProjectFile().snapshots)
    snapshots = posixpath.normpath(posixpath.join(folder, said.snapshots)) if is_of_path else beside
    return CommitProject(_names(mirror, commit, snapshots), object_format, requires_problem(said.requires))


def templates_of_commit(mirror: Path, commit: str, path: str) -> str | None:
    """The template directory that the project at or above `path` names at a commit; None where it has a mistake."""
    try:
        folder, said = _project_file(mirror, commit, path)
    except ConfigurationError:
        return None
    named = posixpath.normpath(posixpath.join(folder, said.templates))
    return "" if named == "." else named


def _project_file(mirror: Path, commit: str, path: str) -> tuple[str, ProjectFile]:
    """The nearest file at or above the template directory, with its folder. Raises ConfigurationError."""
    folders = [path]
    while folders[-1]:
        folders.append(posixpath.dirname(folders[-1]))
    asked = "".join(f"{commit}:{one}\n" for one in ("", *(posixpath.join(folder, PROJECT_FILE) for folder in folders)))
    answer = git_bare(mirror, "cat-file", "--batch-check", stdin=asked.encode())
    root, *lines = answer.decode("utf-8", "replace").splitlines()
    if root.split(" ")[1:2] != ["tree"]:  # a reply makes it be fetched anew
        raise GitError(f"Commit {commit[:12]} is not in the mirror.", reply=root)
    for folder, line in zip(folders, lines, strict=True):
        name, kind, *size = line.split(" ")
        if kind != "blob" or not size or not size[0].isdigit():
            continue
        if int(size[0]) > MAX_PROJECT_BYTES:
            raise ConfigurationError([f"{PROJECT_FILE}:1: the file has more than {MAX_PROJECT_BYTES // 1000} KB"])
        return folder, parse_project(project_text(read_objects(mirror, [name])[0]))
    return posixpath.dirname(path), ProjectFile()


def _names(mirror: Path, commit: str, folder: str) -> dict[str, str]:
    """The objects of the files below a folder; {} where the commit has no such folder."""
    checked = git_bare(mirror, "cat-file", "--batch-check", stdin=f"{commit}:{folder}\n".encode())
    tree, kind, *_ = checked.decode("utf-8", "replace").split(" ")
    if kind != "tree":
        return {}
    try:
        listing = git_bare(mirror, "ls-tree", "-r", "-z", "--full-tree", tree, bounds=_LISTING)
    except GitError as error:
        if error.reply or "more than is read" not in str(error):
            raise
        raise GitError(f"Commit {commit[:12]} has more snapshots in {folder} than are compared; delete some.") from None
    names: dict[str, str] = {}
    for line in filter(None, listing.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, _, name = about.decode("ascii").split()
        if mode in _FILE_MODES:
            names[path.decode("utf-8", "backslashreplace")] = name
    return names
