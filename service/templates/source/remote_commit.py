"""Contents of a commit in the mirror: author, time, first line, ancestors, trailers and signature."""

import re
from datetime import UTC, datetime
from pathlib import Path

from service.errors import GitError
from service.models.deployment import Commit
from service.templates.source.git import Bounds, git_bare
from service.templates.source.remote_refs import COMMIT

_MAX_LINE = 200
_MAX_COMMITS = 5_000
_OUTPUT = Bounds(output_bytes=4_000_000)
_FORMAT = "--format=%H%x00%P%x00%an%x00%ct%x00%s"
#: Of OpenPGP and X.509 nothing is asked: their keys would be the machine's.
_SIGNATURES = ("gpg.format=ssh", "gpg.openpgp.program=false", "gpg.x509.program=false", "gpg.ssh.program=ssh-keygen")


def named(commit: str) -> str:
    """The full name of a commit, checked. Raises GitError for anything else."""
    if not COMMIT.fullmatch(commit):
        raise GitError(f"{commit[:80]!r} is no full name of a commit.")
    return commit


def read_commit(mirror: Path, commit: str) -> Commit:
    """A commit of the mirror. Raises GitError where it is not there."""
    answer = git_bare(
        mirror, "log", "-1", "--encoding=UTF-8", _FORMAT, "--end-of-options", named(commit), bounds=_OUTPUT
    )
    name, parents, author, time, subject = answer.decode("utf-8", "replace").rstrip("\n").split("\0", 4)
    return Commit(
        id=name,
        parent=parents.split()[0] if parents else None,
        author=printable(author) or None,
        committed_at=_time(time),
        first_line=printable(subject) or None,
    )


def has_commit(mirror: Path, commit: str) -> bool:
    """Whether the commit is in the mirror."""
    answer = git_bare(mirror, "cat-file", "--batch-check", stdin=f"{named(commit)}\n".encode())
    return answer.split()[1:2] == [b"commit"]


def is_shallow(mirror: Path) -> bool:
    """Whether the mirror has a part of the history alone."""
    return git_bare(mirror, "rev-parse", "--is-shallow-repository").strip() == b"true"


def is_reachable(mirror: Path, ancestor: str, commit: str) -> bool:
    """Whether `ancestor` is in that part of the history of `commit` that the mirror has."""
    if not has_commit(mirror, ancestor):
        return False
    try:
        git_bare(mirror, "merge-base", "--is-ancestor", named(ancestor), named(commit))
    except GitError as error:
        if error.reply:
            raise
        return False
    return True


def read_changes(mirror: Path, since: str, commit: str) -> list[str] | None:
    """Paths that `commit` changes of where it branched off from `since`; None where that is not known."""
    try:
        base = git_bare(mirror, "merge-base", named(since), named(commit)).decode().strip()
        found = git_bare(
            mirror, "diff-tree", "-r", "-z", "--name-only", "--no-renames", base, named(commit), bounds=_OUTPUT
        )
    except GitError:  # no common ancestor in what was fetched, or more than is read
        return None
    return [path for path in found.decode("utf-8", "surrogateescape").split("\0") if path]


def read_trailers(mirror: Path, since: str | None, until: str, key: str) -> list[str]:
    """Values of a trailer in the commits after `since` up to `until`, newest first; without `since`, of `until`."""
    commits = (
        ("-1", named(until)) if since is None else (f"--max-count={_MAX_COMMITS}", f"{named(since)}..{named(until)}")
    )
    form = f"--format=%(trailers:key={key},valueonly,unfold,separator=%x00)%x00"
    answer = git_bare(
        mirror, "log", "--encoding=UTF-8", form, commits[0], "--end-of-options", commits[1], bounds=_OUTPUT
    )
    values = (printable(value) for value in re.split("[\0\n]", answer.decode("utf-8", "replace")))
    return [value for value in values if value]


def signer_of(mirror: Path, commit: str, signers: Path) -> str:
    """The signer of a commit, one of those that are allowed. Raises GitError for another, and for none."""
    if not signers.is_file():
        raise GitError("The file of EMAIL_TEMPLATES_GIT_SIGNERS can't be read; mount it.")
    settings = (*_SIGNATURES, f"gpg.ssh.allowedSignersFile={signers.absolute()}")
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, setting in enumerate(settings):
        name, _, value = setting.partition("=")
        environment |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    answer = git_bare(
        mirror, "log", "-1", "--format=%G?%x00%GS", "--end-of-options", named(commit),
        extra_environment=environment, bounds=_OUTPUT,
    )  # fmt: skip
    verdict, _, signer = answer.decode("utf-8", "replace").rstrip("\n").partition("\0")
    if verdict == "G" and signer:
        return printable(signer)
    short = commit[:12]
    raise GitError(_UNSIGNED.get(verdict, _UNSIGNED["E"]).format(commit=short))


_UNSIGNED = {
    "N": "The commit {commit} has no signature; only commits signed by EMAIL_TEMPLATES_GIT_SIGNERS are served.",
    "B": "The signature of the commit {commit} is wrong: it was changed after it was signed.",
    "U": "The commit {commit} is signed by a key that EMAIL_TEMPLATES_GIT_SIGNERS does not name.",
    "E": "The signature of the commit {commit} can't be verified: it must be an ssh signature by one of"
    " EMAIL_TEMPLATES_GIT_SIGNERS, and ssh-keygen must be installed.",
}


def printable(text: str) -> str:
    """One line of bounded length without control characters."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * _MAX_LINE]).split())
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"


def _time(seconds: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None
