"""The bare mirror of a remote repository: made, kept in order, and thrown away and made anew where it is damaged."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from service.config.file_lock import FileLock
from service.errors import GitError, TryLater
from service.templates.source.connection import Connection
from service.templates.source.git import git_bare
from service.templates.source.remote_commit import is_reachable, is_shallow
from service.templates.source.remote_errors import words_of

#: So many commits are fetched at first; more where a question needs them.
DEPTH = 50
_DEEPER = ("--deepen=1000", "--unshallow")
#: The ref of the mirror that was fetched last.
_HEAD = "refs/source/head"
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--force")
#: A file in the mirror that names the repository it is of.
_MARK = "rgz-email-source"
#: Each fetch adds a pack. With so many, a new mirror is smaller and faster than this one.
_MAX_PACKS = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror in `folder`, for one process at a time where it writes."""

    folder: Path
    connection: Connection

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other threads and processes from fetching and pushing meanwhile. Raises GitError."""
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self.folder.with_name(f"{self.folder.name}.lock"), wait_s=2 * self.connection.timeout_s)
            with lock.acquire():
                yield
        except TryLater:
            raise GitError("Another process has been fetching or pushing templates for too long; try again.") from None
        except OSError as error:
            raise GitError(f"The mirror of {self.connection.url} can't be written: {error.strerror}.") from None

    def update(self, ref: str, name: str) -> str:
        """Fetch a ref or a commit of the remote, whose object is `name`; return the commit that it leads to.

        The caller holds the lock. A mirror that git can't use is made anew, once. Raises GitError.
        """
        if self._is_usable(name):
            try:
                return self._fetched(self.folder, ref, name)
            except GitError as error:
                if not error.reply:  # it is about the remote, and the mirror is as it was
                    raise
        return self.renew(ref, name)

    def renew(self, ref: str, name: str) -> str:
        """Make the mirror anew beside the old one, which stays until that worked. The caller holds the lock."""
        new, old = (self.folder.with_name(f"{self.folder.name}.{part}") for part in ("new", "old"))
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            form = "sha256" if len(name) == 64 else "sha1"
            new.mkdir(mode=0o700)
            git_bare(
                new, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", f"--object-format={form}", "."
            )
            (new / _MARK).write_text(self._mark(form))
            commit = self._fetched(new, ref, name)
            if self.folder.exists():
                self.folder.rename(old)
            new.rename(self.folder)
        except GitError as error:
            if error.reply:
                raise GitError(f"{str(error).rstrip('.')}: {words_of(error.reply)}", reply=error.reply) from None
            raise
        finally:
            for folder in (new, old):
                shutil.rmtree(folder, ignore_errors=True)
        return commit

    def read(self, commit: str, read: Callable[[Path], T]) -> T:
        """Read of the mirror. Where a commit or a part of it is missing or damaged, it is fetched anew, once."""
        try:
            return read(self.folder)
        except GitError as error:
            if self.folder.is_dir() and not error.reply:
                raise
        with self.locked():
            self.renew(commit, commit)
        return read(self.folder)

    def is_ancestor(self, ancestor: str, commit: str) -> bool | None:
        """Whether a commit is in the history of another one; None where the remote gives too little of it to say."""
        if ancestor == commit:
            return True
        try:
            if self.read(commit, lambda folder: is_reachable(folder, ancestor, commit)):
                return True
            for deeper in _DEEPER:
                if not is_shallow(self.folder):
                    return False
                with self.locked():
                    self.connection.run(self.folder, "fetch", *_FETCH, deeper, "origin", commit, ref=commit)
                if is_reachable(self.folder, ancestor, commit):
                    return True
        except GitError:
            return None
        return None if is_shallow(self.folder) else False

    def _is_usable(self, name: str) -> bool:
        form = "sha256" if len(name) == 64 else "sha1"
        try:
            is_ours = (self.folder / _MARK).read_text() == self._mark(form)
        except (OSError, UnicodeDecodeError):
            return False
        packs = self.folder / "objects" / "pack"
        for left in packs.glob("tmp_*"):  # of a fetch that was killed
            left.unlink(missing_ok=True)
        return is_ours and sum(1 for _ in packs.glob("*.pack")) < _MAX_PACKS

    def _mark(self, form: str) -> str:
        return f"{hashlib.sha256(self.connection.url.for_git().encode()).hexdigest()} {form}\n"

    def _fetched(self, folder: Path, ref: str, name: str) -> str:
        if not self._has(folder, name):
            is_whole = folder == self.folder and _has_head(folder) and not is_shallow(folder)
            depth = () if is_whole else (f"--depth={DEPTH}",)
            self.connection.run(folder, "fetch", *_FETCH, *depth, "origin", f"+{ref}:{_HEAD}", ref=ref)
        try:
            commit = git_bare(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{_HEAD}^{{commit}}")
        except GitError:
            kind = git_bare(folder, "cat-file", "-t", _HEAD).decode().strip()  # raises for a ref that is damaged
            raise GitError(f"{ref} of {self.connection.url} is no commit: it leads to a {kind}.") from None
        return commit.decode().strip()

    def _has(self, folder: Path, name: str) -> bool:
        """Whether the object was fetched last, with all that belongs to it."""
        try:
            return git_bare(folder, "rev-parse", "--verify", "--quiet", _HEAD).decode().strip() == name
        except GitError:
            return False


def _has_head(folder: Path) -> bool:
    """Whether something was fetched before."""
    try:
        git_bare(folder, "rev-parse", "--verify", "--quiet", _HEAD)
    except GitError:
        return False
    return True
