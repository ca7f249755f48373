"""A bare git repository of templates, a clone that pushes to it, and settings that follow it."""

import shutil
from pathlib import Path
from typing import Any

from service.config.settings import Settings
from tests.support.checkouts import MAIL, Checkout, write_mail
from tests.support.running import settings_for


class TemplateRepository:
    """A bare repository with the templates in `mails`, and the clone of an author."""

    def __init__(self, top: Path) -> None:
        self.bare = top / "bare.git"
        self.bare.mkdir(parents=True)
        self.clone = Checkout(top / "clone")
        self.clone.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.clone.git("remote", "add", "origin", str(self.bare))

    def write(self, key: str = "hello", text: str = MAIL) -> None:
        """Write a template; it is pushed by `push`."""
        write_mail(self.clone.mails, key, text)

    def write_shared(self, name: str, text: str) -> None:
        """Write a shared part; it is pushed by `push`."""
        path = self.clone.mails / "_shared" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def keep_snapshots(self) -> None:
        """Keep snapshots, of a mail that there is not; it is pushed by `push`."""
        path = self.clone.top / "snapshots" / "gone" / "fr.default.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Adieu\n", encoding="utf-8")

    def push(self, message: str = "A change", *options: str) -> str:
        """Commit all files, push the branch, and return the commit's name."""
        commit = self.clone.commit(message)
        self.clone.git("push", "--quiet", *options, "origin", "HEAD:refs/heads/main")
        return commit

    def propose(self, number: int | str, message: str = "A proposal", **texts: str | None) -> str:
        """Push a commit on what is checked out to refs/pull/NUMBER/head, and return its name; None deletes a template.

        The branch of the author stays where it was.
        """
        self.clone.git("checkout", "--quiet", "--detach")
        for key, text in texts.items():
            if text is None:
                shutil.rmtree(self.clone.mails / key)
            else:
                self.write(key, text)
        commit = self.clone.commit(message)
        self.clone.git("push", "--quiet", "--force", "origin", f"HEAD:refs/pull/{number}/head")
        self.clone.git("checkout", "--quiet", "main")
        return commit

    def withdraw(self, number: int | str) -> None:
        """Delete the ref of a pull request."""
        self.clone.git("push", "--quiet", "origin", f":refs/pull/{number}/head")

    def settings(self, directory: Path, **changes: Any) -> Settings:
        """Settings of a service that follows the repository."""
        return settings_for(
            directory,
            email_templates_git_url=f"file://{self.bare}",
            email_templates_git_path="mails",
            email_templates_git_protocols="file",
            **changes,
        )
