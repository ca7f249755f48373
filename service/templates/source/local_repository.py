"""The git repository around a template directory, read at its commits: no checkout, link, hook or filter counts."""

from dataclasses import dataclass
from pathlib import Path

from service.errors import GitError
from service.templates.source.files import Files
from service.templates.source.git import Bounds, commit_of, git, git_bare
from service.templates.source.remote_commit import read_trailers
from service.templates.source.remote_files import CommitFiles, read_commit_files
from service.templates.source.remote_project import blob_name, templates_of_commit

#: The trailer by which a commit says which templates break their contract on purpose.
BREAKING = "Breaking"
_LISTING = Bounds(output_bytes=20_000_000)


@dataclass(frozen=True, slots=True)
class LocalRepository:
    """The repository with its top directory `top`; `path` is that of the template directory in it, "" for `top`."""

    root: Path
    git_dir: Path
    top: Path
    path: str
    object_format: str

    @classmethod
    def around(cls, root: Path) -> "LocalRepository":
        """Find the repository. Raises GitError without git, or outside of a checkout."""
        commit_of(root, "HEAD")
        asked = ("--absolute-git-dir", "--show-toplevel", "--show-object-format", "--show-prefix")
        answer = git(root, "rev-parse", *asked).decode("utf-8", "surrogateescape")
        folder, top, object_format, prefix = answer.split("\n")[:4]
        return cls(root, Path(folder), Path(top), prefix.rstrip("/"), object_format)

    def commit(self, ref: str) -> str:
        """The commit that a ref names. Raises GitError for an unknown one."""
        return commit_of(self.root, ref)

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both have among their ancestors; None if this clone knows of none."""
        try:
            return git_bare(self.git_dir, "merge-base", one, other).decode().split()[0]
        except GitError as error:
            if error.reply:
                raise
            return None

    def files(self, commit: str) -> CommitFiles:
        """The template files at a commit; none where there was no directory. Raises GitError for too many.

        They may have been in another directory then: that which the commit's own `rgz-email.toml` names.
        """
        read = self._files_in(commit, self.path)
        if read.files.template_keys():
            return read
        named = templates_of_commit(self.git_dir, commit, self.path)
        return self._files_in(commit, named) if named is not None and named != self.path else read

    def _files_in(self, commit: str, path: str) -> CommitFiles:
        if path and self._tree(commit, path) is None:
            return CommitFiles(Files({}))
        return read_commit_files(self.git_dir, commit, path)

    def blobs(self, commit: str, folder: Path) -> dict[str, str]:
        """The names of git's objects of all files below a folder at a commit, by path relative to it."""
        tree = self._tree(commit, self._path_of(folder))
        if tree is None:
            return {}
        listing = git_bare(self.git_dir, "ls-tree", "-r", "-z", "--full-tree", tree, bounds=_LISTING)
        lines = (line.partition("\t") for line in listing.decode("utf-8", "replace").split("\0") if line)
        return {path: about.split()[2] for about, _, path in lines}

    def blob_name(self, data: bytes) -> str:
        """The name that git gives an object with these bytes."""
        return blob_name(data, self.object_format)

    def accepted(self, since: str, until: str) -> frozenset[str]:
        """Keys of the templates whose breaks a trailer `Breaking: KEY` of the commits after `since` accepts."""
        values = read_trailers(self.git_dir, since, until, BREAKING)
        return frozenset(key.strip() for value in values for key in value.split(","))

    def _tree(self, commit: str, path: str) -> str | None:
        """The tree at a path ("" is the top) of a commit; None if there is none."""
        answer = git_bare(self.git_dir, "cat-file", "--batch-check", stdin=f"{commit}:{path}\n".encode())
        name, kind, *_ = answer.decode("utf-8", "replace").split(" ")
        return name if kind == "tree" else None

    def _path_of(self, folder: Path) -> str:
        """The path in the repository of a folder on disk, which need not exist."""
        return folder.resolve().relative_to(self.top.resolve()).as_posix()
