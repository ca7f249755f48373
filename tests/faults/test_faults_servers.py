"""Restarts of the relay, the queue and the database under load."""

import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.database import open_database
from tests.support.faults.load import PATIENCE_S, Crew, Load, all_sent, database_url, environment_for, reckon
from tests.support.faults.sink import Sink
from tests.support.running import eventually
from tests.support.servers import Postgresql, Valkey

_log = logging.getLogger("faults")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that a server of another user can reach."""
    with tempfile.TemporaryDirectory(prefix="rgz-server-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture
def valkey(home: Path) -> Iterator[Valkey]:
    server = Valkey(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgresql(home: Path) -> Iterator[Postgresql]:
    server = Postgresql(home)
    server.start()
    yield server
    server.stop()


def test_relay_that_restarts_gets_all_mail_and_costs_no_attempt(tmp_path: Path) -> None:
    with Sink(hold_s=0.002) as sink:
        environment = environment_for(tmp_path, sink)
        with Crew(["api", "worker", "worker"], environment) as crew:
            crew.wait()
            with Load(crew.url) as load:
                for _ in range(3):
                    load.wait_for(30)
                    sink.down()
                    load.wait_for(30)
                    time.sleep(0.5)
                    sink.up()
                    at_the_next = len(sink.arrivals) + 10
                    eventually(lambda: len(sink.arrivals), lambda count: count >= at_the_next, within_s=PATIENCE_S)  # noqa: B023
                answered = load.stop()
            rows = all_sent(database_url(environment), answered)
        found = reckon(sink, answered, rows)
    perhaps = ambiguous(database_url(environment))
    _log.info("restarts 3, answered %d, ambiguous %d, %s", len(answered), sum(perhaps.values()), found)
    assert (found.lost, found.unexplained) == ([], [])
    assert {id_: row["attempts"] - perhaps.get(id_, 0) for id_, row in rows.items()} == dict.fromkeys(rows, 1)
    assert found.twice <= sum(perhaps.values())
    assert load.refusals.keys() <= {0}, "callers need not know"


def test_queue_whose_file_is_deleted_loses_no_mail(tmp_path: Path) -> None:
    with Sink() as sink:
        environment = environment_for(tmp_path, sink)
        state = Path(environment["EMAIL_DATA_DIR"])
        with Crew(["api", "worker"], environment) as crew:
            crew.wait()
            with Load(crew.url) as load:
                for _ in range(10):
                    load.wait_for(10)
                    for file in state.glob("queue.db*"):
                        file.unlink(missing_ok=True)
                load.wait_for(10)
                answered = load.stop()
            found = reckon(sink, answered, all_sent(database_url(environment), answered))
    _log.info("deleted 10 times, answered %d, %s", len(answered), found)
    assert (found.lost, found.twice) == ([], 0)
    assert load.refusals.total() == 0, "callers need not know"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_queue_server_that_restarts_loses_no_mail(tmp_path: Path, valkey: Valkey, how: signal.Signals) -> None:
    with Sink() as sink:
        environment = environment_for(tmp_path, sink, QUEUE_URL=valkey.url)
        with Crew(["api", "worker"], environment) as crew:
            crew.wait()
            with Load(crew.url) as load:
                for _ in range(3):
                    load.wait_for(20)
                    valkey.stop(how)
                    load.wait_for(20)
                    valkey.start()
                load.wait_for(20)
                answered = load.stop()
            found = reckon(sink, answered, all_sent(database_url(environment), answered))
    _log.info("restarts 3 by %s, answered %d, %s", how.name, len(answered), found)
    assert (found.lost, found.twice) == ([], 0)
    assert load.refusals.total() == 0, "callers need not know"


def test_database_server_that_restarts_loses_no_mail(tmp_path: Path, postgresql: Postgresql) -> None:
    with Sink(hold_s=0.002) as sink:
        environment = environment_for(tmp_path, sink, DATABASE_URL=postgresql.url)
        with Crew(["api", "worker", "worker"], environment) as crew:
            crew.wait()
            with Load(crew.url) as load:
                for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT):
                    load.wait_for(30)
                    postgresql.stop(how)
                    time.sleep(0.5)
                    postgresql.start()
                postgresql.stop()  # for longer than a request waits
                eventually(lambda: load.refusals[503], lambda count: count > 0, within_s=PATIENCE_S)
                postgresql.start()
                load.wait_for(30)
                answered = load.stop()
            rows = all_sent(postgresql.url, answered)
        found = reckon(sink, answered, rows)
    _log.info("restarts 5, answered %d, 503 %d, %s", len(answered), load.refusals[503], found)
    # No worker died, so nothing is sent twice, whatever the database did meanwhile.
    assert (found.lost, found.twice) == ([], 0)
    assert load.refusals.keys() == {503}
    assert load.without_retry_after == 0


def ambiguous(url: str) -> dict[str, int]:
    """How often a mail was perhaps taken: the server was gone before its answer to the final dot."""
    database = open_database(url)
    try:
        rows = database.read(
            "SELECT message_id, COUNT(*) AS times FROM email_events WHERE type = 'ambiguous' GROUP BY message_id"
        )
    finally:
        database.close()
    return {row["message_id"]: row["times"] for row in rows}
