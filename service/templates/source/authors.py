"""Authors of templates from the git history: who created one, and who changed it last."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.errors import GitError
from service.templates.source.git import git

#: The cache is cleared when it is full.
MAX_CACHED = 5_000


@dataclass(frozen=True, slots=True)
class Authorship:
    """The names of a template's authors; None for an unknown one."""

    created_by: str | None = None
    updated_by: str | None = None


class AuthorSource(Protocol):
    """Tells who wrote a template."""

    def of(self, key: str, commit: str | None) -> Authorship:
        """The authors of the first and the last change of a template, up to this commit (None: not known)."""


class Authors:
    """Reads authors from git, once for each template and commit. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._cached: dict[tuple[str, str], Authorship] = {}

    def of(self, key: str, commit: str | None) -> Authorship:
        """The authors of the first and the last commit of the folder `key`, up to this commit (None: no checkout)."""
        if commit is None:
            return Authorship()
        known = self._cached.get((key, commit))
        if known is None:
            known = self._read(key, commit)
            with self._lock:
                if len(self._cached) >= MAX_CACHED:
                    self._cached.clear()
                self._cached[key, commit] = known
        return known

    def _read(self, key: str, commit: str) -> Authorship:
        try:
            output = git(self._root, "log", "--format=%aN", "--end-of-options", commit, "--", key).decode(
                "utf-8", "replace"
            )
        except GitError:
            return Authorship()
        names = output.splitlines()
        return Authorship(names[-1], names[0]) if names else Authorship()
