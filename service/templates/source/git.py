"""The git command, run without the machine's configuration, hooks, filters, transports and prompts."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import GitError
from service.templates.source.process_output import OutputTooLong, communicate, terminate

_TIMEOUT_S = 10.0
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
_NO_GIT = "There is no git on this machine (or no such folder); install it."
_NOT_FOUND = 127  # a shell's answer where the command does not exist
#: Lowers the limit of a file before git is run; with the signal ignored, git says what is wrong and cleans up.
_LIMITED = 'trap "" XFSZ; ulimit -f "$0"; exec git "$@"'
_BLOCK_BYTES = 512  # the unit of ulimit -f (POSIX)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much git may print, and how large a file it may write; None: as much as it likes."""

    output_bytes: int | None = None
    file_bytes: int | None = None

    def command(self) -> tuple[str, ...]:
        """The command to run, before git's own options."""
        if self.file_bytes is None:
            return ("git",)
        return ("sh", "-c", _LIMITED, str(max(1, self.file_bytes // _BLOCK_BYTES)))


UNBOUNDED = Bounds()


def git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    extra_environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
    bounds: Bounds = UNBOUNDED,
) -> bytes:
    """Run git in `folder` and return its output; `extra_environment` is added to its environment. Raises GitError.

    No command that the checkout's own configuration names is run. Neither git nor what it runs outlives the call.
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
        process = subprocess.Popen(  # noqa: S603 - what callers say stands behind `--`, and a shell takes no part of it
            (*bounds.command(), *_SAFE, *arguments),
            cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise GitError(_NO_GIT) from None
    except OSError as error:
        raise GitError(f"git can't be run ({error.strerror}).") from error
    with process:
        try:
            printed, reply = communicate(process, stdin, timeout_s, bounds.output_bytes)
        except subprocess.TimeoutExpired:
            terminate(process)
            raise GitError(f"git took longer than {timeout_s:g} s.") from None
        except OutputTooLong:
            terminate(process)
            raise GitError("git printed more than is read.") from None
    if process.returncode == _NOT_FOUND and bounds.file_bytes:
        raise GitError(_NO_GIT)
    if process.returncode:
        raise GitError("git refused.", reply=reply.decode("utf-8", "replace").strip())
    return printed


def git_bare(
    mirror: Path,
    *arguments: str,
    stdin: bytes = b"",
    extra_environment: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
    bounds: Bounds = UNBOUNDED,
) -> bytes:
    """Run git in this bare repository, and in none around it where it is damaged. Raises GitError."""
    environment = {**(extra_environment or {}), "GIT_DIR": "."}
    return git(mirror, *arguments, stdin=stdin, extra_environment=environment, timeout_s=timeout_s, bounds=bounds)


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


def read_objects(folder: Path, names: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> list[bytes]:
    """The contents of objects, in this order. Raises GitError for a missing one, as in a partial clone."""
    stdin = "".join(f"{name}\n" for name in names).encode()
    answer = git(folder, "cat-file", "--batch", stdin=stdin, timeout_s=timeout_s)
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
