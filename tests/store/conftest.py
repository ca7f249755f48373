"""Fixtures of the store: databases without tables; tests that use `url` or `empty` run on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.database import Database, open_database

_BOTH = ("sqlite", "postgresql")


@pytest.fixture(params=_BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return _file(tmp_path)
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def empty(url: str) -> Iterator[Database]:
    database = open_database(url)
    yield database
    database.close()


def _file(directory: Path) -> str:
    return f"sqlite:///{directory / 'store.db'}"
