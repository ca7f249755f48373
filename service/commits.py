"""VERB: the commits that changed a template -> what it was then."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.errors import GitError, NotFound
from service.templates.compiler import compile_template
from service.templates.git import git
from service.templates.sandbox import Budget
from service.templates.source import files_at
from service.templates.template import Template

#: Of this many people choose one; who goes back further asks git.
MAX_COMMITS = 20
_NAME = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of a template's folder."""

    name: str
    at: datetime
    author: str
    subject: str


@dataclass(frozen=True, slots=True)
class Commits:
    """Reads the history of the checkout in which the templates lie; outside of git there is none."""

    root: Path
    budget: Budget

    def of(self, key: str) -> Sequence[Commit]:
        """The latest, newest first; empty where git knows none."""
        try:
            told = git(
                self.root, "log", f"--max-count={MAX_COMMITS}", "-z", "--format=%H%n%ct%n%aN%n%s", "HEAD", "--", key
            ).decode("utf-8", "replace")
        except GitError:
            return []
        found = [line.split("\n", 3) for line in told.split("\0") if line.count("\n") >= 3]
        return [Commit(name, datetime.fromtimestamp(int(at), UTC), author, said) for name, at, author, said in found]

    def template(self, key: str, name: str) -> Template:
        """The template as it was at a commit, made by today's compiler. Raises NotFound."""
        if not _NAME.fullmatch(name):
            raise NotFound("That is no name of a commit.")
        try:
            files = files_at(self.root, name)
        except GitError:
            raise NotFound("There is no such commit in this checkout.") from None
        template = compile_template(files, key, budget=self.budget).template
        if template is None:
            raise NotFound(f"At this commit there was no template {key!r}, or none that today's compiler takes.")
        return template
