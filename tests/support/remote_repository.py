"""A bare repository that stands for a forge, and a clone that pushes to it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.templates.source.remote import GitRemote

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "2026-11-01T10:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-01T10:00:00Z",
}


def run_git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git as a person's machine does; its output, stripped."""
    answer = subprocess.run(
        ["git", *arguments], cwd=folder, env=_ENVIRONMENT, input=stdin, check=True, capture_output=True
    )
    return answer.stdout.decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class RemoteRepository:
    """`bare` is what is fetched; `work` is the clone of a person."""

    bare: Path
    work: Path

    @classmethod
    def create(cls, folder: Path, *, object_format: str = "sha1") -> "RemoteRepository":
        """A repository without a commit."""
        bare, work = folder / "forge.git", folder / "work"
        options = ("-q", "-b", "main", f"--object-format={object_format}")
        folder.mkdir(parents=True, exist_ok=True)
        run_git(folder, "init", *options, "--bare", str(bare))
        run_git(folder, "init", *options, str(work))
        run_git(work, "remote", "add", "origin", str(bare))
        return cls(bare, work)

    @property
    def url(self) -> str:
        """A URL of the protocol `file`."""
        return f"file://{self.bare}"

    def commit(self, files: Mapping[str, str | bytes], message: str = "change") -> str:
        """Commit these files and what else has changed in the clone; the commit."""
        for path, content in files.items():
            file = self.work / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        run_git(self.work, "add", "--all")
        run_git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        return run_git(self.work, "rev-parse", "HEAD")

    def push(self, *refspecs: str) -> None:
        """Push to the forge, by force; HEAD to main where nothing is named."""
        run_git(self.work, "push", "-q", "--force", "origin", *(refspecs or ("HEAD:refs/heads/main",)))

    def publish(self, files: Mapping[str, str | bytes], message: str = "change") -> str:
        """Commit and push to main; the commit."""
        commit = self.commit(files, message)
        self.push()
        return commit

    def remote(self, folder: Path, *, ref: str = "main", path: str = "email_templates") -> GitRemote:
        """The service's view of it, with a mirror in `folder`."""
        return GitRemote(url=self.url, ref=ref, path=path, mirror=folder / "templates.git", protocols=("file",))
