"""A remote git repository as the source of templates: fetched into a mirror, and read from its objects."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.config.settings import Settings
from service.errors import Conflict, GitError
from service.models.deployment import Commit
from service.templates.source.connection import Connection
from service.templates.source.git import Author
from service.templates.source.mirror import Mirror
from service.templates.source.remote_commit import (
    has_commit,
    named,
    read_changes,
    read_commit,
    read_trailers,
    signer_of,
)
from service.templates.source.remote_files import CommitFiles, TreeBounds, below, read_commit_files
from service.templates.source.remote_project import CommitProject, read_commit_project
from service.templates.source.remote_push import PushedCommit, Pusher
from service.templates.source.remote_refs import COMMIT, chosen, read_refs
from service.templates.source.remote_url import RemoteUrl

#: The trailer by which a commit says which templates break their contract on purpose.
BREAKING = "Breaking"
#: More than any repository of templates has, with its pictures.
MAX_FETCH_BYTES = 512_000_000


@dataclass(frozen=True, slots=True)
class Head:
    """What the followed ref was at a fetch: `ref` is its full name, such as refs/tags/v1.4, or a commit's."""

    commit: Commit
    ref: str


@dataclass(frozen=True, kw_only=True)
class GitRemote:
    """Fetches `ref` of the repository and reads templates below `path` of it. `mirror` is a directory of our own.

    The messages of all its errors are for people, and hold no credentials; so does `shown_url`.
    """

    url: str = field(repr=False)
    ref: str
    path: str
    mirror: Path
    protocols: Collection[str]
    token_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    signers: Path | None = None
    timeout_s: float = 60.0
    max_fetch_bytes: int = MAX_FETCH_BYTES

    @property
    def shown_url(self) -> str:
        """The URL without credentials."""
        return str(RemoteUrl(self.url))

    @property
    def folder(self) -> str:
        """The directory of the templates in the repository, without slashes at its ends; "" is the root."""
        return "/".join(part for part in self.path.split("/") if part not in ("", "."))

    def fetch(self) -> Head:
        """Fetch the ref, which is resolved once. Raises GitError with what is wrong, where, and how to mend it."""
        mirror = self._mirror()
        with mirror.locked():
            ref, name = self._resolved(mirror)
            commit = mirror.update(ref, name)
        return Head(self.commit(commit), ref)

    def list_refs(self, pattern: str) -> dict[str, str]:
        """The refs of the repository whose full name is like this: name -> object. Raises GitError."""
        mirror = self._mirror()
        with mirror.locked():
            return read_refs(mirror.connection.run(self.mirror.parent, "ls-remote", "--quiet", "origin", pattern))

    def fetch_ref(self, ref: str, name: str) -> str:
        """Fetch a ref or a commit, whose object was `name` when it was listed; return its commit. Raises GitError."""
        mirror = self._mirror()
        with mirror.locked():
            return mirror.update(ref, name)

    def has(self, commit: str) -> bool:
        """Whether a commit was fetched, with more or less of its history."""
        try:
            return has_commit(self.mirror, commit)
        except GitError:
            return False

    def changed_paths(self, since: str, commit: str) -> frozenset[str] | None:
        """Paths, as in `files`, that a commit changes of where it branched off from another one.

        None where they have no common ancestor among what was fetched, or there are too many. Raises GitError.
        """
        folder, names = self.folder, self._mirror().read(commit, lambda one: read_changes(one, since, commit))
        return below(folder, names) if names is not None else None

    def files(self, commit: str, bounds: TreeBounds = TreeBounds()) -> CommitFiles:  # noqa: B008  # frozen
        """The files below `path` at a commit, and what was left out. Raises GitError."""
        if ".." in self.folder.split("/") or not self.folder.isprintable():
            raise GitError("EMAIL_TEMPLATES_GIT_PATH is no directory of the repository; name one in it.")
        return self._mirror().read(commit, lambda folder: read_commit_files(folder, commit, self.folder, bounds))

    def project(self, commit: str) -> CommitProject:
        """What a commit says of its template repository: the version that it requires, and its snapshots. GitError."""
        return self._mirror().read(commit, lambda folder: read_commit_project(folder, commit, self.folder))

    def commit(self, name: str) -> Commit:
        """A commit: its author, time and first line. Raises GitError."""
        return self._mirror().read(name, lambda folder: read_commit(folder, name))

    def is_ancestor(self, ancestor: str, commit: str) -> bool | None:
        """Whether a commit is in the history of another; None where that can't be said. More is fetched if needed."""
        return self._mirror().is_ancestor(named(ancestor), named(commit))

    def verify(self, commit: str) -> str:
        """The signer of a commit, one of `signers`. Raises GitError for any other commit."""
        if self.signers is None:
            raise GitError("EMAIL_TEMPLATES_GIT_SIGNERS is not set, so that no signature can be verified.")
        signers = self.signers
        return self._mirror().read(commit, lambda folder: signer_of(folder, commit, signers))

    def trailers(self, since: str | None, until: str) -> list[str]:
        """Values of the trailer Breaking in the commits after `since` up to `until`, newest first.

        Where it can't be said which these are, the values of `until` alone.
        """
        mirror = self._mirror()
        is_known = since is not None and mirror.is_ancestor(since, until) is not None and has_commit(self.mirror, since)
        start = since if is_known else None
        return mirror.read(until, lambda folder: read_trailers(folder, start, until, BREAKING))

    def push_changes(
        self,
        base: str,
        changes: Mapping[str, bytes | None],
        *,
        author: Author,
        message: str,
        branch: str | None,
    ) -> PushedCommit:
        """Push a commit on `base`, a head that was fetched: path below `path` -> content, None to remove it.

        It goes to the first free branch of `branch`-1, -2, …, or with None to the ref itself, which must be a branch
        that is still at `base`. Raises Conflict where the remote refuses it, with its words, and GitError; then nothing
        has changed.
        """
        mirror, prefix = self._mirror(), f"{self.folder}/" if self.folder else ""
        with mirror.locked():
            ref, name = self._resolved(mirror)
            if branch is None and not ref.startswith("refs/heads/"):
                raise Conflict(
                    f"EMAIL_TEMPLATES_GIT_REF is {self.ref}, which is no branch; nothing can be pushed to it."
                )
            if branch is None and name != base:
                raise Conflict("Somebody else has pushed in the meantime; nothing was changed. Try again.")
            pusher = Pusher(mirror)
            commit = pusher.commit(base, {f"{prefix}{path}": data for path, data in changes.items()}, author, message)
            if branch is None:
                return pusher.push_to(commit, ref, base)
            return pusher.push_to_new_branch(commit, branch, ref.removeprefix("refs/heads/").removeprefix("refs/tags/"))

    def _resolved(self, mirror: Mirror) -> tuple[str, str]:
        """The full name of the ref, and the object that it leads to now."""
        is_common = self.ref != "HEAD" and (
            not self.ref.startswith("refs/") or self.ref.startswith(("refs/heads/", "refs/tags/"))
        )
        kinds = ("--heads", "--tags") if is_common else ()
        answer = mirror.connection.run(self.mirror.parent, "ls-remote", "--quiet", *kinds, "origin", ref=self.ref)
        refs = read_refs(answer)
        if refs and COMMIT.fullmatch(self.ref):
            if len(self.ref) != len(next(iter(refs.values()))):
                raise GitError(
                    f"{self.ref} is no commit of {self.shown_url}: its commits have names of another length."
                )
            return self.ref, self.ref
        ref = chosen(refs, self.ref, self.shown_url)
        return ref, refs[ref]

    def _mirror(self) -> Mirror:
        connection = Connection(
            RemoteUrl(self.url), tuple(self.protocols), self.token_file, self.ssh_key_file, self.known_hosts_file,
            self.timeout_s, self.max_fetch_bytes, os.environ,
        )  # fmt: skip
        return Mirror(self.mirror, connection)


def remote_of(settings: Settings, data_dir: Path) -> GitRemote:
    """The repository that the settings name, with a mirror in `data_dir`. Raises ValueError where they name none."""
    if settings.email_templates_git_url is None:
        raise ValueError("EMAIL_TEMPLATES_GIT_URL is not set")
    return GitRemote(
        url=settings.email_templates_git_url.get_secret_value(),
        ref=settings.email_templates_git_ref,
        path=settings.email_templates_git_path,
        mirror=data_dir.resolve() / "templates.git",
        protocols=settings.email_templates_git_protocols,
        token_file=settings.email_templates_git_token_file,
        ssh_key_file=settings.email_templates_git_ssh_key_file,
        known_hosts_file=settings.email_templates_git_known_hosts_file,
        signers=settings.email_templates_git_signers,
    )
