"""One running service for the tests of a module that do not change it, and a fresh one where they do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import Running, running, settings_for


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("service"))) as started:
        yield started


@pytest.fixture
def fresh_directory(tmp_path: Path) -> Path:
    return tmp_path
