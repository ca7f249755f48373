"""The git command, run without the machine's configuration, hooks, filters, transports and prompts."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import GitError

_TIMEOUT_S = 10.0
_TERMINATE_TIMEOUT_S = 2.0
_SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "submodule.recurse=false"),
    *("-c", "commit.gpgSign=false"),
    *("-c", "maintenance.auto=false"),
    *("-c", "gc.auto=0"),
    *("-c", "safe.directory=*"),
    *("-c", "core.sshCommand=false"),
    *("-c", "core.askPass=false"),
    *("-c", "log.showSignature=false"),
)
#: Commands that read files of the checkout, and run its filters on them.
_READING = frozenset({"add", "commit", "reset", "rm", "status"})
#: Settings of a filter, and what they are set to instead. The command of a hook needs another setting to be off.
_FILTER = {"clean": "", "smudge": "", "process": "", "required": "false"}


def git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    extra_environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> bytes:
    """Run git in `folder` and return its output; `extra_environment` is added to its environment. Raises GitError.

    No command that the checkout's own configuration names is run.
    """
    disarmed = _disarmed(folder) if arguments[0] in _READING else {}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_ALLOW_PROTOCOL": "",  # a partial clone fetches nothing by itself
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
        **disarmed,
        **(extra_environment or {}),
    }
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(  # noqa: S603 - git alone, without a shell; what callers say stands behind `--`
            ("git", *_SAFE, *arguments),  # noqa: S607
            cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
    except FileNotFoundError:
        raise GitError("There is no git on this machine (or no such folder); install it.") from None
    except OSError as error:
        raise GitError(f"git can't be run ({error.strerror}).") from error
    with process:
        try:
            printed, reply = process.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired:
            _terminate(process)
            raise GitError(f"git took longer than {timeout_s:g} s.") from None
    if process.returncode:
        raise GitError("git refused.", reply=reply.decode("utf-8", "replace").strip())
    return printed


def _disarmed(folder: Path) -> dict[str, str]:
    """The environment that overrides each setting of the checkout by which git would run a command on files."""
    try:
        names = git(folder, "config", "--list", "--name-only", "-z", "--includes").decode("utf-8", "surrogateescape")
    except GitError:
        return {}  # outside of a checkout
    settings: dict[str, str] = {}
    for name in names.split("\0"):
        section, _, rest = name.partition(".")
        driver, _, variable = rest.rpartition(".")
        if section == "filter" and variable in _FILTER:
            settings[name] = _FILTER[variable]
        elif section == "hook":
            settings[f"hook.{driver}.enabled"] = "false"
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (name, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    return environment


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate git, which then removes its lock files; kill it only if it does not end."""
    process.terminate()
    try:
        process.communicate(timeout=_TERMINATE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def commit_of(folder: Path, ref: str) -> str:
    """The commit of a branch, a tag or an abbreviation. Raises GitError without checkout, or for an unknown one."""
    if not is_work_tree(folder):
        raise GitError(f"{folder} is not in a git checkout, so there is no {ref} to compare with.")
    try:
        name = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except GitError as error:
        raise GitError(f"There is no commit {ref!r} in this checkout; is it fetched?", reply=error.reply) from None
    return name.decode().strip()


def is_work_tree(folder: Path) -> bool:
    """True if `folder` is in a checkout. Raises GitError without git."""
    try:
        return git(folder, "rev-parse", "--is-inside-work-tree").strip() == b"true"
    except GitError as error:
        if error.reply:
            return False
        raise


def read_objects(folder: Path, names: Sequence[str]) -> list[bytes]:
    """The contents of objects, in this order. Raises GitError for a missing one, as in a partial clone."""
    answer = git(folder, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode())
    contents: list[bytes] = []
    start = 0
    for name in names:
        end = answer.index(b"\n", start)
        header = answer[start:end].split()
        if len(header) != 3:
            raise GitError(f"The object {name} is missing in this checkout; fetch all of it.")
        start = end + 1 + int(header[2]) + 1
        contents.append(answer[end + 1 : start - 1])
    return contents


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a commit."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A checkout in which single folders of `root` can be committed."""

    root: Path

    @classmethod
    def around(cls, root: Path, key: str) -> "WorkTree | None":
        """The checkout of the folder `key`; None outside of one, without git, and if git ignores the folder."""
        try:
            if not is_work_tree(root):
                return None
        except GitError:
            return None
        try:
            git(
                root, "check-ignore", "--quiet", "--", key, extra_environment={"GIT_LITERAL_PATHSPECS": "0"}
            )  # it takes no pathspecs
        except GitError:
            return cls(root)
        return None

    def has_changes(self, key: str) -> bool:
        """True if the folder differs from the commit that is checked out, staged or not. Raises GitError."""
        return bool(git(self.root, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", key))

    def branch(self) -> str:
        """The branch that is checked out; "" for a detached HEAD."""
        try:
            return git(self.root, "symbolic-ref", "--short", "--quiet", "HEAD").decode("utf-8", "replace").strip()
        except GitError:
            return ""

    def commit(self, key: str, *, author: Author, message: str) -> str:
        """Commit the folder as it is on disk, and nothing else: other staged changes stay staged. Returns the commit.

        Raises GitError if git refuses; then the index is as it was.
        """
        before = self._head()
        identity = {
            f"GIT_{role}_{field.upper()}": getattr(author, field)
            for role in ("AUTHOR", "COMMITTER")
            for field in ("name", "email")
        }
        options = ("--quiet", "--no-verify", "--cleanup=whitespace", "--file=-", "--only")
        try:
            git(self.root, "add", "--all", "--", key)
            git(self.root, "commit", *options, "--", key, stdin=message.encode(), extra_environment=identity)
        except GitError:
            if not self._has_committed(key, before):  # git may have done it and been slow to say so
                self._unstage(key, before)
                raise
        return self._head() or ""

    def _head(self) -> str | None:
        try:
            return git(self.root, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
        except GitError:
            return None  # no commit yet

    def _has_committed(self, key: str, before: str | None) -> bool:
        try:
            return self._head() != before and not self.has_changes(key)
        except GitError:
            return False

    def _unstage(self, key: str, before: str | None) -> None:
        undo = ("reset", "--quiet") if before else ("rm", "-r", "--quiet", "--cached", "--ignore-unmatch")
        try:
            git(self.root, *undo, "--", key)
        except GitError as error:
            if "index.lock" not in error.reply:  # the process that holds the lock kept us from staging, too
                raise
