"""Fixtures of privacy: a service on each database with a scripted clock and transport."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, build
from tests.support.canaries import Canaries, transport_of, write_templates
from tests.support.running import settings_for
from tests.support.scripted import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(params=["sqlite", "postgresql"])
def services(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, canaries: Canaries) -> Iterator[Services]:
    changes: dict[str, Any] = {"email_templates_dir": write_templates(tmp_path / "templates")}
    if request.param == "postgresql":
        changes["database_url"] = request.getfixturevalue("migrated_postgresql_url")
    settings = settings_for(tmp_path, **changes)
    transport = transport_of(canaries)
    with closing(build(settings, transport=transport, clock=clock, boottime=clock.boottime)) as built:
        yield built
