"""The history of a template: the commits that changed it, and the template at each of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from service.errors import GitError, NotFound
from service.store.sized_cache import SizedCache
from service.templates.compiler import TemplateCompiler
from service.templates.source.files import files_at
from service.templates.source.git import git
from service.templates.template import Template

#: The history shows this many commits; git has the others.
MAX_COMMITS = 20
#: Memory of the lists of commits, and of the templates, that are kept.
_MAX_COMMITS_BYTES = 1024 * 1024
_MAX_TEMPLATES_BYTES = 32 * 1024 * 1024
#: What a commit takes beside its texts.
_COMMIT_BYTES = 400
#: The whole name of a commit, by SHA-1 or SHA-256.
_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changed a template's folder."""

    name: str
    at: datetime
    author: str
    subject: str


class History(Protocol):
    """Tells how a template came to be what it is."""

    def of(self, key: str) -> Sequence[Commit]:
        """The latest commits that changed a template, newest first; empty where there are none."""

    def template(self, key: str, name: str) -> Template:
        """The template at a commit. Raises NotFound."""


class TemplateHistory:
    """Reads the history of templates from their checkout; outside of git there is none. Thread-safe."""

    def __init__(self, root: Path, compiler: TemplateCompiler) -> None:
        self._root = root
        self._compiler = compiler
        # A commit and its ancestors never change, so the caches need no expiry.
        self._commits: SizedCache[tuple[str, str], Sequence[Commit]] = SizedCache(_MAX_COMMITS_BYTES, _size_bytes)
        self._templates: SizedCache[tuple[str, str], Template] = SizedCache(
            _MAX_TEMPLATES_BYTES, attrgetter("size_bytes")
        )

    def of(self, key: str) -> Sequence[Commit]:
        """The latest commits of a template, newest first; empty outside of git."""
        try:
            head = git(self._root, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
            cached = self._commits.get((key, head))
            return self._commits.put((key, head), self._read(key, head)) if cached is None else cached
        except GitError:
            return []

    def template(self, key: str, name: str) -> Template:
        """The template at a commit, compiled by today's compiler. Raises NotFound."""
        if not _NAME.fullmatch(name):
            raise NotFound("That is no name of a commit.")
        return self._templates.get((key, name)) or self._templates.put((key, name), self._compiled(key, name))

    def _read(self, key: str, head: str) -> Sequence[Commit]:
        options = (f"--max-count={MAX_COMMITS}", "-z", "--format=%H%n%ct%n%aN%n%s")
        output = git(self._root, "log", *options, "--end-of-options", head, "--", key).decode("utf-8", "replace")
        found = [line.split("\n", 3) for line in output.split("\0") if line.count("\n") >= 3]
        return [
            Commit(name, datetime.fromtimestamp(int(at), UTC), author, subject) for name, at, author, subject in found
        ]

    def _compiled(self, key: str, name: str) -> Template:
        try:
            files = files_at(self._root, name)
        except GitError:
            raise NotFound("There is no such commit in this checkout.") from None
        template = self._compiler.compile(files, key).template
        if template is None:
            raise NotFound(f"At this commit there was no template {key!r}, or none that today's compiler takes.")
        return template


def _size_bytes(commits: Sequence[Commit]) -> int:
    return sum(_COMMIT_BYTES + len(commit.author) + len(commit.subject) for commit in commits)
