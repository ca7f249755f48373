"""Scrubbing: deleted bytes can't be read from the disk, and readers and writers hardly wait."""

import secrets
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from service.errors import StoreBusy
from service.store.database import Database, Transaction, open_database
from service.store.database.sqlite import SqliteDatabase


@pytest.fixture
def words() -> list[str]:
    return [f"canary{secrets.token_hex(16)}" for _ in range(400)]


def fill(database: Database, words: list[str]) -> None:
    """Rows that grow and go, so that their pages are split, and cells wander from page to page."""
    database.write(lambda tx: tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, word TEXT, more TEXT)"))
    database.write(lambda tx: tx.execute("CREATE INDEX notes_word ON notes (word)"))
    rows = [{"id": n, "word": word} for n, word in enumerate(words)]
    database.write(lambda tx: tx.execute_many("INSERT INTO notes VALUES (:id, :word, '')", rows))
    longer = "UPDATE notes SET more = :word WHERE id = :id"
    for row in rows[::-3]:
        grown = {"id": row["id"], "word": f"{row['word']}" * 9}
        database.write(partial(Transaction.execute, sql=longer, params=grown))
    database.write(lambda tx: tx.execute("UPDATE notes SET word = '', more = '' WHERE id % 2 = 0"))
    database.write(lambda tx: tx.execute("DELETE FROM notes WHERE id % 2 = 1"))


def left(directory: Path, words: list[str]) -> int:
    data = b"".join(file.read_bytes() for file in directory.iterdir())
    return sum(word.encode() in data for word in words)


def test_scrub_leaves_nothing_of_deleted_or_overwritten_rows(tmp_path: Path, words: list[str]) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'store.db'}")) as database:
        fill(database, words)
        assert left(tmp_path, words) > 0
        assert database.scrub(["notes"])
        assert left(tmp_path, words) == 0
        assert database.read("SELECT COUNT(*) AS n FROM notes") == [{"n": 200}]


def test_scrub_rewrites_a_large_file_only_when_asked(tmp_path: Path, words: list[str]) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'store.db'}")) as database:
        fill(database, words)
        assert not database.scrub(["notes"], rewrites_up_to_bytes=10_000)  # some bytes may be left, and it says so
        assert (tmp_path / "store.db-wal").stat().st_size == 0
        assert left(tmp_path, words) < 20
        assert database.scrub(["notes"], rewrites=True, rewrites_up_to_bytes=10_000)
        assert left(tmp_path, words) == 0


def test_scrub_says_so_when_a_reader_never_ends(tmp_path: Path, words: list[str]) -> None:
    with closing(SqliteDatabase(tmp_path / "store.db", scrub_pause_s=0.0)) as database:
        fill(database, words)
        reader = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM notes").fetchall()
        assert not database.scrub(["notes"])
        database.write(lambda tx: tx.execute("DELETE FROM notes WHERE id = 0"))  # nobody was locked out
        reader.close()
        assert database.scrub(["notes"])
        assert left(tmp_path, words) == 0


def test_scrub_makes_writers_of_all_threads_wait_and_loses_nothing(tmp_path: Path, words: list[str]) -> None:
    with closing(SqliteDatabase(tmp_path / "store.db")) as database:
        fill(database, words)
        stop = threading.Event()
        written: list[int] = []

        def write() -> None:
            while not stop.is_set():
                number = 10_000 + len(written)
                database.write(partial(_insert, number=number))
                written.append(number)

        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(5):
            database.scrub(["notes"])
        stop.set()
        thread.join(30)
        rows = database.read("SELECT id FROM notes WHERE id >= 10000 ORDER BY id")
        assert [row["id"] for row in rows] == written


def test_scrub_inside_of_a_transaction_is_refused(database: Database) -> None:
    with pytest.raises(RuntimeError):
        database.write(lambda _: database.scrub(["suppressions"]))
    assert database.scrub(["suppressions", "email_messages"])


def _insert(tx: Transaction, number: int) -> None:
    tx.execute("INSERT INTO notes VALUES (:id, '', '')", {"id": number})


def test_scrub_gives_up_soon_on_a_table_that_is_locked(migrated_postgresql_url: str) -> None:
    """Whoever comes after a VACUUM FULL that waits for its lock waits, too."""
    with closing(open_database(migrated_postgresql_url)) as database:
        usual = database.read("SELECT current_setting('lock_timeout') AS value")
        with psycopg.connect(migrated_postgresql_url) as other:
            other.execute("SELECT id FROM suppressions")  # a transaction that is not ended
            with pytest.raises(StoreBusy):
                database.scrub(["suppressions"])
        assert database.read("SELECT current_setting('lock_timeout') AS value") == usual
        assert database.scrub(["suppressions"])
