"""A service that follows a repository of templates, whose steps and clock the test controls."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.bootstrap import Services, build
from service.models import Deployment, Preview
from service.store import deployments
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository


class Following:
    """A service that follows `repository`."""

    def __init__(self, repository: TemplateRepository, services: Services, clock: Clock) -> None:
        self.repository = repository
        self.services = services
        self.clock = clock

    def sync(self) -> None:
        """Let a minute and more pass, look at the repository, and serve what is live."""
        self.clock.forward(seconds=100)
        self.services.deployments.sync(threading.Event())
        self.follow()

    def follow(self) -> None:
        """Serve what is live, as each process does twice a second."""
        self.services.deployments.served.step()
        self.services.deployments.presence("serve").step()

    def look_at_previews(self) -> list[Preview]:
        """Let a minute and more pass, look at the pull requests, and return the previews."""
        self.clock.forward(seconds=100)
        syncer = self.services.deployments.preview_syncer
        assert syncer is not None and syncer.step(threading.Event()), "this process does not follow the source"
        return self.services.deployments.preview_reader.list_all()

    @property
    def live(self) -> Deployment:
        """The live deployment."""
        found = deployments.live(self.services.database)
        assert found is not None, "nothing is live"
        return found

    @property
    def commit(self) -> str | None:
        """The commit of the live deployment."""
        return self.live.commit.id if self.live.commit else None

    @property
    def state(self) -> str:
        """The state word of the system."""
        return self.services.deployments.deployment_status.report().state

    def html(self, key: str = "hello", **variables: Any) -> str:
        """What the template prints now."""
        return self.services.catalogue.current.get(key).render({"name": "Awa", **variables}).html

    def revision(self, key: str = "hello") -> str:
        """The revision that is served."""
        return self.services.catalogue.current.get(key).revision


@contextmanager
def follow(
    repository: TemplateRepository, directory: Path, clock: Clock, transport: ScriptedTransport, **changes: Any
) -> Iterator[Following]:
    """A service that follows the repository."""
    settings = repository.settings(directory, **changes)
    services = build(settings, transport=transport, clock=clock, boottime=clock.boottime)
    try:
        yield Following(repository, services, clock)
    finally:
        services.close()
