"""The state table against a model, by random histories of messages."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from service.store.database import Database, open_database
from service.store.migrations import migrate
from tests.support.faults.histories import Histories


@pytest.fixture(params=["sqlite", "postgresql"])
def histories(request: pytest.FixtureRequest) -> Iterator[tuple[int, Callable[[], Database]]]:
    """How many histories, and what gives each an empty database."""
    if request.param == "sqlite":
        with tempfile.TemporaryDirectory(prefix="rgz-states-") as directory:
            yield 40, lambda: _empty(f"sqlite:///{Path(directory) / 'states.db'}")
    else:
        url = request.getfixturevalue("migrated_postgresql_url")
        yield 10, lambda: _empty(url)


def test_states_of_every_history_follow_the_table(
    histories: tuple[int, Callable[[], Database]], pytestconfig: pytest.Config
) -> None:
    examples, new_database = histories
    if pytestconfig.getoption("--long"):
        examples *= 125
    machine = type("HistoriesHere", (Histories,), {"new_database": staticmethod(new_database)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _empty(url: str) -> Database:
    database = open_database(url)
    migrate(database)
    tables = ("email_events", "email_bodies", "email_messages", "sends", "suppressions")
    database.write(lambda tx: [tx.execute(f"DELETE FROM {table}") for table in tables])
    return database
