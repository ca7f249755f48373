"""Commits made in the mirror without a work tree, and pushed to a branch of their own or to the ref itself."""

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from service.errors import Conflict, GitError
from service.templates.source.forge import Forge
from service.templates.source.git import Author, git_bare
from service.templates.source.mirror import Mirror
from service.templates.source.remote_commit import named
from service.templates.source.remote_errors import words_of
from service.templates.source.remote_refs import read_refs

#: So many branches of one template may be open.
_MAX_BRANCHES = 1_000
_REFUSED = ("[remote rejected]", "[rejected]", "[remote failure]")
_NEWER = ("stale info", "fetch first", "non-fast-forward", "failed to update ref", "cannot lock ref")


@dataclass(frozen=True, slots=True)
class PushedCommit:
    """A commit that was pushed to `branch`; `compare_url` is the page of the forge that shows it, if that is known."""

    commit: str
    branch: str
    compare_url: str | None


@dataclass(frozen=True, slots=True)
class Pusher:
    """Pushes to the remote of a mirror. The caller holds the mirror's lock."""

    mirror: Mirror

    def commit(self, base: str, changes: Mapping[str, bytes | None], author: Author, message: str) -> str:
        """Make a commit on `base`: path -> content, None to remove it. Raises Conflict where nothing would change."""
        folder = self.mirror.folder
        index = folder / f"index-{secrets.token_hex(4)}"
        environment = {"GIT_INDEX_FILE": index.name} | {
            f"GIT_{role}_{part.upper()}": getattr(author, part)
            for role in ("AUTHOR", "COMMITTER")
            for part in ("name", "email")
        }
        zero = "0" * len(base)
        lines = []
        for path, data in changes.items():
            if data is None:
                lines.append(f"0 {zero}\t{path}")
            else:
                blob = git_bare(folder, "hash-object", "-w", "--stdin", stdin=data).decode().strip()
                lines.append(f"100644 {blob}\t{path}")
        try:
            git_bare(folder, "read-tree", named(base), extra_environment=environment)
            stdin = "".join(f"{line}\0" for line in lines).encode()
            git_bare(folder, "update-index", "-z", "--index-info", stdin=stdin, extra_environment=environment)
            tree = git_bare(folder, "write-tree", extra_environment=environment).decode().strip()
        finally:
            index.unlink(missing_ok=True)
        if tree == git_bare(folder, "rev-parse", f"{named(base)}^{{tree}}").decode().strip():
            raise Conflict("The repository has this change already; it is not served yet. Nothing was pushed.")
        answer = git_bare(
            folder, "commit-tree", tree, "-p", base, "-F", "-", stdin=message.encode(), extra_environment=environment
        )
        return answer.decode().strip()

    def push_to_new_branch(self, commit: str, prefix: str, compared_with: str) -> PushedCommit:
        """Push to the first free branch of `prefix`-1, -2, …. Raises Conflict, GitError."""
        taken = {ref.removeprefix("refs/heads/") for ref in self._refs()}
        for number in itertools.count(1):
            branch = f"{prefix}-{number}"
            if number > _MAX_BRANCHES:
                raise Conflict(f"{_MAX_BRANCHES} branches {prefix}-… are open; merge or delete some of them.")
            if branch not in taken and self._push(commit, f"refs/heads/{branch}", ""):
                break
        return PushedCommit(commit, branch, self._compare_url(compared_with, branch))

    def push_to(self, commit: str, ref: str, base: str) -> PushedCommit:
        """Push to a branch that is still at `base`. Raises Conflict where it is not, GitError."""
        branch = ref.removeprefix("refs/heads/")
        if not self._push(commit, ref, base):
            raise Conflict(f"Somebody else has pushed to {branch} in the meantime; nothing was changed. Try again.")
        return PushedCommit(commit, branch, self._compare_url(base, commit))

    def _push(self, commit: str, ref: str, expected: str) -> bool:
        """Push under a lease: the ref is at `expected` ("": it does not exist). False where it is elsewhere."""
        connection = self.mirror.connection
        arguments = ("--quiet", "--no-verify", f"--force-with-lease={ref}:{expected}", "origin", f"{commit}:{ref}")
        try:
            connection.run(self.mirror.folder, "push", *arguments, ref=ref, is_explained=_is_not_refused)
        except GitError as error:
            if any(word in error.reply for word in _REFUSED):
                if any(word in error.reply for word in _NEWER):
                    return False
                raise Conflict(
                    f"{connection.url} refused the push, so nothing was changed: {words_of(error.reply)}"
                ) from None
            if self._has_arrived(ref, commit):
                return True
            raise
        return True

    def _has_arrived(self, ref: str, commit: str) -> bool:
        """Whether a push that did not end well has changed the ref."""
        try:
            return self._refs().get(ref) == commit
        except GitError:
            return False

    def _refs(self) -> dict[str, str]:
        answer = self.mirror.connection.run(self.mirror.folder.parent, "ls-remote", "--quiet", "--heads", "origin")
        return read_refs(answer)

    def _compare_url(self, base: str, head: str) -> str | None:
        forge = Forge.of(self.mirror.connection.url)
        return forge.compare_url(base, head) if forge else None


def _is_not_refused(reply: str) -> bool:
    return not any(word in reply for word in _REFUSED)
