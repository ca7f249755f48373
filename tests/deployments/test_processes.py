"""Real processes: several API processes and workers serve what one of them deployed."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.checkouts import MAIL
from tests.support.running import Running, eventually, running
from tests.support.template_repository import TemplateRepository


@pytest.mark.parametrize("url", [None, "postgresql_url"], ids=["sqlite", "postgresql"])
def test_service_serves_a_push_when_a_poll_is_due(
    tmp_path: Path, repository: TemplateRepository, url: str | None, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue(url) if url else None
    settings = repository.settings(tmp_path, database_url=database, email_templates_git_interval_seconds=1.0)
    with running(settings) as first, running(settings, works=False) as second:
        eventually(lambda: served_by(first, second)[0], bool)
        repository.write("hello", MAIL.replace("<mj-text>Bonjour", "<mj-text>Salut"))
        commit = repository.push("Salut")
        eventually(lambda: served_by(first, second), lambda seen: seen == [commit, commit])
        for service in (first, second):
            answer = service.send("hello", "awa@example.bj", {"name": "Awa"})
            assert answer.status_code == 201, answer.text
        state = eventually(lambda: deployed(first), lambda seen: seen["state"] == "synced")
        assert state["commit"] == commit
        assert {one["role"] for one in state["processes"]} == {"serve", "api"}


def served_by(*services: Running) -> list[str | None]:
    """The commit that each of them serves."""
    return [service.services.catalogue.current.commit for service in services]


def deployed(service: Running) -> dict[str, Any]:
    """What /readyz says of deployments."""
    details: dict[str, Any] = service.admin.get("/readyz").json()["details"]["deployment"]
    return details
