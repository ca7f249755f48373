"""Fixtures of the API and the pages: one running service a module."""

from collections.abc import Iterator

import pytest

from tests.support.running import Running, running, settings_for


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("service"))) as started:
        yield started
