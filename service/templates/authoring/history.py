"""The history of a template: the commits that changed it, and the template at each of them."""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from service.errors import GitError, NotFound
from service.templates.compiler import TemplateCompiler
from service.templates.source.files import files_at
from service.templates.source.git import git
from service.templates.template import Template

#: The history shows this many commits; git has the others.
MAX_COMMITS = 20
#: The size of each cache, of lists and of templates.
_MAX_CACHED = 32
_NAME = re.compile(r"[0-9a-f]{40}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changed a template's folder."""

    name: str
    at: datetime
    author: str
    subject: str


class TemplateHistory:
    """Reads the history of templates from their checkout; outside of git there is none. Thread-safe."""

    def __init__(self, root: Path, compiler: TemplateCompiler) -> None:
        self._root = root
        self._compiler = compiler
        self._lock = threading.Lock()
        # A commit and its ancestors never change, so the caches need no expiry.
        self._commits: OrderedDict[tuple[str, str], Sequence[Commit]] = OrderedDict()
        self._templates: OrderedDict[tuple[str, str], Template] = OrderedDict()

    def of(self, key: str) -> Sequence[Commit]:
        """The latest commits of a template, newest first; empty outside of git."""
        try:
            head = git(self._root, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
            return self._get_or_make(self._commits, (key, head), lambda: self._read(key, head))
        except GitError:
            return []

    def template(self, key: str, name: str) -> Template:
        """The template at a commit, compiled by today's compiler. Raises NotFound."""
        if not _NAME.fullmatch(name):
            raise NotFound("That is no name of a commit.")
        return self._get_or_make(self._templates, (key, name), lambda: self._compiled(key, name))

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

    def _get_or_make(self, cache: OrderedDict[tuple[str, str], T], name: tuple[str, str], make: Callable[[], T]) -> T:
        with self._lock:
            cached = cache.get(name)
        if cached is None:
            cached = make()
            with self._lock:
                cache[name] = cached
                while len(cache) > _MAX_CACHED:
                    cache.popitem(last=False)
        return cached
