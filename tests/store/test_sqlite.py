"""SQLite alone: one writer thread, group commit, turns between processes, a full disk."""

import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from service.errors import StoreBusy
from service.store.database import ConstraintBroken, Transaction
from service.store.database.sqlite import SqliteDatabase
from tests.support.paths import ROOT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def sqlite(file: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(file, max_waiting=20, patience_s=30)
    database.write(lambda tx: tx.execute("CREATE TABLE things (id TEXT PRIMARY KEY, data BYTEA)"))
    yield database
    database.close()


def _put(tx: Transaction, name: str) -> None:
    tx.execute("INSERT INTO things (id) VALUES (:id)", {"id": name})


def _names(database: SqliteDatabase) -> list[str]:
    return [row["id"] for row in database.read("SELECT id FROM things ORDER BY id")]


def _wait_for(database: SqliteDatabase, waiting: int) -> None:
    while database.waiting < waiting:
        time.sleep(0.001)


def _commits(file: Path) -> int:
    """Commits in the write-ahead log: its frames that hold a size (https://www.sqlite.org/fileformat.html, 4.1)."""
    log = Path(f"{file}-wal").read_bytes()
    [page_size] = struct.unpack(">I", log[8:12])
    frames = (log[start : start + 24] for start in range(32, len(log), 24 + page_size))
    return sum(frame[4:8] != b"\0\0\0\0" and frame[8:16] == log[16:24] for frame in frames)


class _Held:
    """A work that stands still within the transaction until it is let go."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.answer = self._pool.submit(database.write, self._work)
        assert self.begun.wait(30)

    def _work(self, tx: Transaction) -> None:
        self.begun.set()
        assert self.go.wait(30)

    def end(self) -> None:
        self.go.set()
        self.answer.result(30)
        self._pool.shutdown()


def test_pragmas_are_those_that_survive_a_power_loss(sqlite: SqliteDatabase) -> None:
    def pragmas(tx: Transaction) -> list[object]:
        return [
            next(iter(tx.execute(f"PRAGMA {name}")[0].values()))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert sqlite.write(pragmas) == ["wal", 2, 1]


def test_writers_that_wait_share_one_commit(sqlite: SqliteDatabase, file: Path) -> None:
    before = _commits(file)
    held = _Held(sqlite)
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(sqlite.write, partial(_put, name=str(n))) for n in range(10)]
        _wait_for(sqlite, 10)
        assert not any(answer.done() for answer in answers)
        held.end()
        for answer in answers:
            answer.result(30)
    assert _names(sqlite) == [str(n) for n in range(10)]
    # All in one, or the first few with the held work; never one each.
    assert 1 <= _commits(file) - before <= 2


def test_answers_never_come_before_the_commit(sqlite: SqliteDatabase) -> None:
    held = _Held(sqlite)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(sqlite.write, partial(_put, name="a"))
        assert not answer.done()
        assert _names(sqlite) == []
        held.end()
        answer.result(30)
        assert _names(sqlite) == ["a"]


def test_write_is_busy_when_too_much_waits(sqlite: SqliteDatabase) -> None:
    held = _Held(sqlite)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(sqlite.write, partial(_put, name=f"{n:02}")) for n in range(20)]
        _wait_for(sqlite, 20)
        with pytest.raises(StoreBusy, match="waiting"):
            sqlite.write(partial(_put, name="one too many"))
        held.end()
        for answer in answers:
            answer.result(30)
    assert _names(sqlite) == [f"{n:02}" for n in range(20)]


def test_write_is_busy_and_stores_nothing_when_another_process_does_not_let_go(file: Path) -> None:
    patient, impatient = SqliteDatabase(file), SqliteDatabase(file, patience_s=0.05)
    try:
        patient.write(lambda tx: tx.execute("CREATE TABLE things (id TEXT PRIMARY KEY)"))
        held = _Held(patient)  # holds the flock, as another process would: each database has a descriptor of its own
        with pytest.raises(StoreBusy, match="Another process"):
            impatient.write(partial(_put, name="given up"))
        held.end()
        while True:  # what was given up stays undone even after the turn has come
            try:
                impatient.write(partial(_put, name="later"))
                break
            except StoreBusy:
                continue
        assert _names(impatient) == ["later"]
    finally:
        patient.close()
        impatient.close()


def test_write_is_busy_and_stores_nothing_when_the_disk_is_full(sqlite: SqliteDatabase) -> None:
    sqlite.write(partial(_put, name="before"))
    pages = sqlite.write(lambda tx: tx.execute("PRAGMA page_count")[0]["page_count"])
    sqlite.write(lambda tx: tx.execute(f"PRAGMA max_page_count = {pages + 2}"))

    def fill(tx: Transaction) -> None:
        _put(tx, "small")
        tx.execute("INSERT INTO things (id, data) VALUES ('big', :data)", {"data": b"x" * 1_000_000})

    held = _Held(sqlite)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(sqlite.write, work) for work in (partial(_put, name="companion"), fill)]
        _wait_for(sqlite, 2)
        held.go.set()
        errors = [answer.exception(30) for answer in answers]
    held_error = held.answer.exception(30)

    # SQLite undoes the whole transaction then: whoever shared it is told so, or was committed before.
    assert isinstance(errors[1], StoreBusy)
    stored = _names(sqlite)
    assert ("companion" in stored) is (errors[0] is None)
    assert isinstance(held_error, StoreBusy | None)
    assert {"small", "big"}.isdisjoint(stored)
    sqlite.write(lambda tx: tx.execute("PRAGMA max_page_count = 1000000"))
    sqlite.write(fill)
    assert {"before", "small", "big"} <= set(_names(sqlite))


def test_write_is_busy_when_the_file_is_read_only(sqlite: SqliteDatabase, file: Path) -> None:
    sqlite.write(lambda tx: tx.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreBusy):
        sqlite.write(partial(_put, name="a"))
    with closing(SqliteDatabase(file)) as other:
        other.write(partial(_put, name="b"))
    assert _names(sqlite) == ["b"]


def test_open_is_busy_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreBusy):
        SqliteDatabase(tmp_path / "missing" / "store.db")


def test_readers_cannot_write_even_by_a_query(sqlite: SqliteDatabase) -> None:
    with pytest.raises(StoreBusy):
        sqlite.read("WITH gone AS (SELECT 1) DELETE FROM things")


def test_commit_that_fails_is_told_to_all_and_the_writer_lives_on(sqlite: SqliteDatabase) -> None:
    sqlite.write(lambda tx: tx.execute(
        "CREATE TABLE children (parent TEXT REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)"
    ))  # fmt: skip
    with pytest.raises(ConstraintBroken):
        sqlite.write(lambda tx: tx.execute("INSERT INTO children VALUES ('nobody')"))
    sqlite.write(partial(_put, name="a"))
    assert (_names(sqlite), sqlite.read("SELECT parent FROM children")) == (["a"], [])


_OPENER = """
import sys
from service.store.database import open_database
from service.store.migrations import migrate

database = open_database(sys.argv[1])
migrate(database)
database.close()
"""


def test_processes_that_start_at_once_make_one_database(file: Path) -> None:
    command = [sys.executable, "-c", _OPENER, f"sqlite:///{file}"]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    database = SqliteDatabase(file)
    assert database.read("SELECT COUNT(*) AS n FROM schema_migrations") != [{"n": 0}]
    database.close()


_COUNTER = """
import sys
from service.store.database import open_database

database = open_database(sys.argv[1])
for _ in range(int(sys.argv[2])):
    # Read, then write: loses counts unless the transaction is the only one from its first read on.
    database.write(lambda tx: tx.execute(
        "UPDATE counters SET n = :n", {"n": tx.execute("SELECT n FROM counters")[0]["n"] + 1}
    ))
database.close()
"""


def test_processes_take_turns_and_lose_nothing(file: Path) -> None:
    database = SqliteDatabase(file)
    database.write(lambda tx: tx.execute("CREATE TABLE counters (n INTEGER)"))
    database.write(lambda tx: tx.execute("INSERT INTO counters VALUES (0)"))
    command = [sys.executable, "-c", _COUNTER, f"sqlite:///{file}", "100"]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    for _ in range(50):
        database.write(lambda tx: tx.execute("UPDATE counters SET n = n + 1"))
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert database.read("SELECT n FROM counters") == [{"n": 350}]
    database.close()
