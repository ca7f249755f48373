"""Fixtures of deployments: a repository, and services that follow it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.following import Following, follow
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.template_repository import TemplateRepository


@pytest.fixture
def repository(tmp_path: Path) -> TemplateRepository:
    made = TemplateRepository(tmp_path / "git")
    made.write("hello")
    made.write("other")
    made.push("Two templates")
    return made


@pytest.fixture
def following_settings() -> dict[str, Any]:
    """Settings of the service that follows; a module may give others."""
    return {}


@pytest.fixture
def following(
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
    following_settings: dict[str, Any],
) -> Iterator[Following]:
    with follow(repository, tmp_path, clock, transport, **following_settings) as made:
        yield made


@pytest.fixture(params=[None, "postgresql_url"], ids=["sqlite", "postgresql"])
def following_either(
    repository: TemplateRepository,
    tmp_path: Path,
    clock: Clock,
    transport: ScriptedTransport,
    following_settings: dict[str, Any],
    request: pytest.FixtureRequest,
) -> Iterator[Following]:
    url = request.getfixturevalue(request.param) if request.param else None
    with follow(repository, tmp_path, clock, transport, database_url=url, **following_settings) as made:
        yield made
