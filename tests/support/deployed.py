"""A whole service that follows a repository of templates; the test says when it is looked at."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.models import Deployment
from tests.support.checkouts import MAIL
from tests.support.running import Running, eventually, running
from tests.support.scripted import Clock
from tests.support.template_repository import TemplateRepository

DEPLOYMENTS = "/api/v1/email/deployments"
CURRENT = f"{DEPLOYMENTS}/current"
WEBHOOK_SECRET = "a-secret-of-the-forge"
#: It takes in a shared part.
SHARING = MAIL.replace("<mj-section>", '<mj-include path="../_shared/head.mjml" /><mj-section>', 1)
BROKEN = MAIL.replace("</mj-text>", "")
#: It refuses what was accepted before.
STRICTER = MAIL.replace("    required: false\n", "")


def shared(text: str) -> str:
    """A shared part that prints this."""
    return f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>\n"


def changed(word: str, text: str = MAIL) -> str:
    """A mail that begins with another word."""
    return text.replace("<mj-text>Bonjour", f"<mj-text>{word}")


class DeployedService:
    """A running service, its repository, and the steps that are taken when the test says so."""

    def __init__(self, service: Running, repository: TemplateRepository, clock: Clock) -> None:
        self.service = service
        self.repository = repository
        self.clock = clock

    def look(self) -> None:
        """Let a minute and more pass, and look at the repository."""
        self.clock.forward(seconds=100)
        self.service.services.deployments.sync(threading.Event())

    def look_at_previews(self) -> None:
        """Let a minute and more pass, and look at the pull requests."""
        self.clock.forward(seconds=100)
        syncer = self.service.services.deployments.preview_syncer
        assert syncer is not None and syncer.step(threading.Event()), "this process does not follow the source"

    def push(self, message: str, **texts: str) -> str:
        """Push templates with these texts, look at the repository, and return the commit."""
        for key, text in texts.items():
            self.repository.write(key, text)
        commit = self.repository.push(message)
        self.look()
        return commit

    @property
    def current(self) -> dict[str, Any]:
        """What the API says of now."""
        found: dict[str, Any] = self.service.admin.get(CURRENT).raise_for_status().json()
        return found

    @property
    def newest(self) -> Deployment:
        """The deployment that was prepared last."""
        return self.service.services.deployments.deployment_history.search(limit=1).items[0]

    def until(self, state: str) -> dict[str, Any]:
        """Wait until the service says that it is in this state, and serves what is live."""
        catalogue = self.service.services.catalogue
        return eventually(
            lambda: self.current,
            lambda found: found["state"] == state and found["id"] == catalogue.current.deployment_id,
        )


@contextmanager
def deployed(directory: Path, *, in_real_time: bool = False, **changes: Any) -> Iterator[DeployedService]:
    """A service beside a repository with `hello`, `other` and a shared part, which was not looked at yet.

    `in_real_time`: only the time between two looks is the test's, so that other processes agree about the time.
    """
    repository, clock = TemplateRepository(directory / "git"), Clock()
    repository.write("hello")
    repository.write("other", SHARING)
    repository.write_shared("head.mjml", shared("Tête"))
    repository.push("Two templates")
    settings = repository.settings(directory, email_templates_git_webhook_secret=WEBHOOK_SECRET, **changes)
    now = (lambda: datetime.now(UTC)) if in_real_time else clock
    with running(settings, works=False, clock=now, boottime=clock.boottime) as service:
        yield DeployedService(service, repository, clock)
