"""Template directories and git checkouts for the tests: small, real, and cut off from this machine's git settings."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.paths import TEMPLATES

MAIL = """\
---
subject: "Bonjour {{ name }}"
description: A mail for the tests.
category: support
version: 1
variables:
  name: {type: string, example: Zoé}
  amount:
    type: [string, integer]
    required: false
    minimum: 0
    maxLength: 20
    example: 7
---
<mjml lang="fr"><mj-body><mj-section><mj-column>
<mj-text>Bonjour {{ name }}{% if amount is defined %}, {{ amount }}{% endif %}</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


def changed(word: str, text: str = MAIL) -> str:
    """The mail with another first word."""
    return text.replace("<mj-text>Bonjour", f"<mj-text>{word}")


def write_mail(root: Path, key: str = "hello", text: str = MAIL) -> Path:
    """Write a template with this text, and return its source file."""
    source = root / key / "template.mjml"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    return source


def copy_templates(folder: Path, *keys: str) -> None:
    """Copy templates of this repository with shared parts and values into `folder`, where a test may change them."""
    for name in ("_shared", "values", *keys):
        shutil.copytree(TEMPLATES / name, folder / name)


class Checkout:
    """A git checkout at `top` with the templates in its folder `mails`; `hash_name` is sha1 or sha256."""

    def __init__(self, top: Path, mails: str = "mails", *, hash_name: str = "sha1") -> None:
        self.top = top
        self.mails = top / mails
        self.mails.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={hash_name}")

    def git(self, *arguments: str) -> str:
        """Run git, which must succeed, and return its output."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run git, and return the finished process."""
        identity = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.com", "-c", "commit.gpgSign=false")
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.top,
            env={
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_TERMINAL_PROMPT": "0",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def commit(self, message: str = "A change") -> str:
        """Commit all files, and return the commit's name."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")
