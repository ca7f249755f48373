"""PostgreSQL alone: broken connections, an exhausted pool, locks that don't come."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from service.errors import StoreBusy
from service.store.database import Transaction, open_database
from service.store.database.postgresql import PostgresqlDatabase


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[PostgresqlDatabase]:
    database = PostgresqlDatabase(postgresql_url, max_connections=2, patience_s=0.5)
    database.write(lambda tx: tx.execute("CREATE TABLE things (id TEXT PRIMARY KEY)"))
    yield database
    database.close()


def _put(tx: Transaction, name: str) -> None:
    tx.execute("INSERT INTO things (id) VALUES (:id)", {"id": name})


def _names(database: PostgresqlDatabase) -> list[str]:
    return [row["id"] for row in database.read("SELECT id FROM things ORDER BY id")]


def _end_all_connections(url: str) -> None:
    """As a restart of the server does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_reads_and_writes_go_on_after_a_restart(postgresql: PostgresqlDatabase, postgresql_url: str) -> None:
    _end_all_connections(postgresql_url)
    postgresql.write(lambda tx: _put(tx, "a"))
    _end_all_connections(postgresql_url)
    assert _names(postgresql) == ["a"]


def test_write_is_busy_and_stores_nothing_when_its_connection_dies(
    postgresql: PostgresqlDatabase, postgresql_url: str
) -> None:
    def work(tx: Transaction) -> None:
        _put(tx, "a")
        _end_all_connections(postgresql_url)
        _put(tx, "b")

    with pytest.raises(StoreBusy):
        postgresql.write(work)
    assert _names(postgresql) == []
    postgresql.write(lambda tx: _put(tx, "c"))
    assert _names(postgresql) == ["c"]


def test_write_is_busy_when_its_connection_dies_before_the_commit(
    postgresql: PostgresqlDatabase, postgresql_url: str
) -> None:
    def work(tx: Transaction) -> None:
        _put(tx, "a")
        _end_all_connections(postgresql_url)

    with pytest.raises(StoreBusy):
        postgresql.write(work)
    assert _names(postgresql) == []


def test_connections_all_in_use_make_others_busy(postgresql: PostgresqlDatabase) -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def work(tx: Transaction) -> None:
        begun.release()
        assert go.wait(30)

    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(postgresql.write, work) for _ in range(2)]
        for _ in held:
            assert begun.acquire(timeout=30)
        with pytest.raises(StoreBusy):
            postgresql.read("SELECT 1 AS one")
        with pytest.raises(StoreBusy):
            postgresql.write(lambda tx: _put(tx, "a"))
        go.set()
        for answer in held:
            answer.result(30)
    assert postgresql.read("SELECT 1 AS one") == [{"one": 1}]


def test_lock_that_does_not_come_makes_the_work_busy_and_rolled_back(postgresql: PostgresqlDatabase) -> None:
    postgresql.write(lambda tx: _put(tx, "a"))
    begun, go = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        tx.execute("UPDATE things SET id = 'b' WHERE id = 'a'")
        begun.set()
        assert go.wait(30)

    def wait(tx: Transaction) -> None:
        _put(tx, "c")
        tx.execute("UPDATE things SET id = 'd' WHERE id = 'a'")

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(postgresql.write, hold)
        assert begun.wait(30)
        with pytest.raises(StoreBusy):
            postgresql.write(wait)
        go.set()
        held.result(30)
    assert _names(postgresql) == ["b"]


def test_server_that_is_away_makes_every_call_busy(tmp_path: object) -> None:
    database = PostgresqlDatabase(f"postgresql://nobody@/nothing?host={tmp_path}", patience_s=0.2)
    with pytest.raises(StoreBusy):
        database.read("SELECT 1 AS one")
    with pytest.raises(StoreBusy):
        database.write(lambda tx: _put(tx, "a"))
    database.close()


def test_url_schemes_of_both_spellings_open(postgresql_url: str) -> None:
    for url in (postgresql_url, postgresql_url.replace("postgresql:", "postgres:")):
        database = open_database(url)
        assert (database.dialect, database.read("SELECT 1 AS one")) == ("postgresql", [{"one": 1}])
        database.close()
