"""The contract of `store/database`, on both databases."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from service.errors import ConfigurationError, StoreError
from service.models import Scope
from service.store.database import ConstraintBroken, Database, Transaction, listed, open_database

_TABLE = """
    CREATE TABLE things (
        id TEXT PRIMARY KEY, n BIGINT CHECK (n >= 0), is_good BOOLEAN, data BYTEA, made_at TIMESTAMPTZ,
        good_until TIMESTAMPTZ
    )
"""


@pytest.fixture
def things(empty: Database) -> Database:
    """An unmigrated database with one table of every type."""
    empty.write(lambda tx: tx.execute(_TABLE))
    return empty


def _put(tx: Transaction, name: str, **columns: Any) -> None:
    row = {"id": name, **columns}
    tx.execute(f"INSERT INTO things ({', '.join(row)}) VALUES ({', '.join(f':{column}' for column in row)})", row)


def _names(database: Database) -> list[str]:
    return [row["id"] for row in database.read("SELECT id FROM things ORDER BY id")]


def test_values_come_back_as_they_went_in(things: Database) -> None:
    at = datetime(2026, 2, 21, 15, 30, 0, 7, tzinfo=timezone(timedelta(hours=1)))
    rows: list[dict[str, Any]] = [
        {"id": "é 😀 'quoted' \"double\" 100 % :name ; -- \\", "n": 2**62, "is_good": True, "data": bytes(range(256)),
         "made_at": at, "good_until": datetime(1970, 1, 1, tzinfo=UTC)},
        {"id": "", "n": 0, "is_good": False, "data": b"", "made_at": datetime(9999, 12, 31, tzinfo=UTC),
         "good_until": None},
        {"id": "nothing", "n": None, "is_good": None, "data": None, "made_at": None, "good_until": None},
    ]  # fmt: skip
    for row in rows:
        things.write(
            partial(lambda tx, row: _put(tx, row["id"], **{k: v for k, v in row.items() if k != "id"}), row=row)
        )

    stored = {row["id"]: row for row in things.read("SELECT * FROM things")}

    assert [stored[row["id"]] for row in rows] == rows
    first = stored[rows[0]["id"]]
    assert (type(first["is_good"]), type(first["data"]), first["made_at"].tzinfo) == (bool, bytes, UTC)
    found = things.read("SELECT id FROM things WHERE made_at = :made_at AND is_good = :is_good", rows[0])
    assert found == [{"id": rows[0]["id"]}]


def test_times_are_stored_in_their_order(things: Database) -> None:
    start = datetime(2026, 2, 21, 14, 0, tzinfo=UTC)
    moments = [start + timedelta(microseconds=n) for n in (0, 1, 10, 999_999, 1_000_000)]
    things.write(lambda tx: tx.execute_many(
        "INSERT INTO things (id, made_at) VALUES (:id, :made_at)",
        [{"id": str(n), "made_at": moment} for n, moment in enumerate(moments)],
    ))  # fmt: skip
    rows = things.read("SELECT made_at FROM things WHERE made_at > :made_at ORDER BY made_at", {"made_at": start})
    assert [row["made_at"] for row in rows] == moments[1:]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("a\x00b", ValueError),
        ("\ud800", ValueError),
        (datetime(2026, 2, 21), ValueError),  # noqa: DTZ001  # without a zone on purpose
        ({"a": 1}, TypeError),
        (1.5, TypeError),
    ],
)
def test_write_refuses_what_it_cannot_give_back(things: Database, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        things.write(lambda tx: _put(tx, value))
    assert _names(things) == []


def test_read_finds_nothing_for_texts_that_cannot_be_stored(things: Database) -> None:
    things.write(lambda tx: _put(tx, "a"))
    assert things.read("SELECT id FROM things WHERE id = :id", {"id": "a\x00"}) == []
    assert things.read("SELECT id FROM things WHERE id = :id", {"id": "\ud800"}) == []


def test_enumerations_are_stored_by_their_value(things: Database) -> None:
    things.write(lambda tx: _put(tx, Scope.ADMIN))
    assert _names(things) == ["admin"]


def test_placeholders_are_not_looked_for_in_literals_casts_and_comments(things: Database) -> None:
    sql = """
        SELECT ':no %s %% ''x''' AS literal, CAST(:yes AS INTEGER) AS yes -- :no '
        /* :no " */ FROM (SELECT 7 % 4 AS "odd :no") AS t WHERE "odd :no" = :yes AND 'ab' LIKE 'a%'
    """
    assert things.read(sql, {"yes": 3, "unused": 1}) == [{"literal": ":no %s %% 'x'", "yes": 3}]


def test_returning_gives_rows_and_other_statements_none(things: Database) -> None:
    def work(tx: Transaction) -> list[list[dict[str, Any]]]:
        return [
            tx.execute("INSERT INTO things (id, n) VALUES ('a', 1), ('b', 2) RETURNING id, n"),
            tx.execute("UPDATE things SET n = n + 1"),
            tx.execute("INSERT INTO things (id) VALUES ('a') ON CONFLICT (id) DO NOTHING RETURNING id"),
            tx.read("SELECT n FROM things ORDER BY n"),
        ]

    assert things.write(work) == [[{"id": "a", "n": 1}, {"id": "b", "n": 2}], [], [], [{"n": 2}, {"n": 3}]]


def test_listed_makes_placeholders_that_an_empty_list_fits_too(things: Database) -> None:
    for name in "abc":
        things.write(partial(_put, name=name))
    for wanted in (["a", "c"], []):
        names, params = listed("id", wanted)
        rows = things.read(f"SELECT id FROM things WHERE id IN ({names}) ORDER BY id", params)
        assert [row["id"] for row in rows] == wanted


def test_listed_has_few_sizes_so_that_a_worker_prepares_few_statements() -> None:
    assert {len(listed("id", range(count))[1]) for count in range(501)} == {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
    assert listed("id", "abc") == (":id_0, :id_1, :id_2, :id_3", {"id_0": "a", "id_1": "b", "id_2": "c", "id_3": "c"})


def test_write_rolls_back_all_of_a_work_that_raises(things: Database) -> None:
    def work(tx: Transaction) -> None:
        _put(tx, "a")
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        things.write(work)
    assert _names(things) == []
    things.write(lambda tx: _put(tx, "b"))
    assert _names(things) == ["b"]


def test_write_rolls_back_a_work_that_swallows_a_refusal(things: Database) -> None:
    def work(tx: Transaction) -> None:
        _put(tx, "a")
        with contextlib.suppress(ConstraintBroken):
            _put(tx, "a")

    with pytest.raises(ConstraintBroken):
        things.write(work)
    assert _names(things) == []


def test_transaction_takes_nothing_more_after_a_refusal(things: Database) -> None:
    def work(tx: Transaction) -> None:
        with pytest.raises(ConstraintBroken):
            _put(tx, "a", n=-1)
        _put(tx, "b")

    with pytest.raises(ConstraintBroken):
        things.write(work)
    assert _names(things) == []


@pytest.mark.parametrize("sql", ["SELECT nothing FROM nowhere", "SELEKT 1"])
def test_statements_that_the_database_refuses_are_store_errors(things: Database, sql: str) -> None:
    with pytest.raises(StoreError) as refused:
        things.write(lambda tx: tx.execute(sql))
    assert type(refused.value) is StoreError


def test_write_inside_of_a_write_is_refused_before_it_waits_for_itself(things: Database) -> None:
    def inner(tx: Transaction) -> None:
        _put(tx, "inner")

    def outer(tx: Transaction, nested: Callable[[], object]) -> None:
        _put(tx, "outer")
        nested()

    for nested in (lambda: things.write(inner), lambda: things.read("SELECT 1 AS one")):
        with pytest.raises(RuntimeError, match="transaction"):
            things.write(partial(outer, nested=nested))
    assert _names(things) == []
    things.write(lambda tx: _put(tx, "after"))
    assert _names(things) == ["after"]


def test_read_refuses_changes(things: Database) -> None:
    for sql in ("DELETE FROM things", "INSERT INTO things (id) VALUES ('a') RETURNING id", ""):
        with pytest.raises(ValueError, match="SELECT"):
            things.read(sql)


def test_reads_see_only_what_is_committed(things: Database) -> None:
    written, seen = threading.Event(), threading.Event()

    def work(tx: Transaction) -> int:
        _put(tx, "a")
        written.set()
        assert seen.wait(30)
        return len(tx.read("SELECT id FROM things"))

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(things.write, work)
        assert written.wait(30)
        before = _names(things)
        seen.set()
        assert (before, answer.result(30), _names(things)) == ([], 1, ["a"])


def test_writers_in_parallel_each_get_their_own_answer_or_error(things: Database) -> None:
    def work(tx: Transaction, n: int) -> int:
        _put(tx, f"{n:03}")
        if n % 3 == 0:
            raise LookupError(n)
        if n % 3 == 1:
            _put(tx, f"{n:03}")
        return n

    def write(n: int) -> int | str:
        try:
            return things.write(partial(work, n=n))
        except LookupError as error:
            return f"lookup {error}"
        except ConstraintBroken:
            return f"constraint {n}"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(write, range(150)))

    expected = [(f"lookup {n}", f"constraint {n}", n)[n % 3] for n in range(150)]
    assert answers == expected
    assert _names(things) == [f"{n:03}" for n in range(150) if n % 3 == 2]


def test_reads_and_writes_of_many_threads_do_not_disturb_each_other(things: Database) -> None:
    things.write(lambda tx: _put(tx, "counter", n=0))

    def count(_: int) -> int:
        things.write(lambda tx: tx.execute("UPDATE things SET n = n + 1 WHERE id = 'counter'"))
        return int(things.read("SELECT n FROM things WHERE id = 'counter'")[0]["n"])

    with ThreadPoolExecutor(12) as pool:
        seen = list(pool.map(count, range(240)))

    assert max(seen) == 240
    assert things.read("SELECT n FROM things") == [{"n": 240}]


def test_close_finishes_and_may_be_repeated(things: Database) -> None:
    things.write(lambda tx: _put(tx, "a"))
    things.close()
    things.close()
    with pytest.raises(RuntimeError, match="closed"):
        things.write(lambda tx: _put(tx, "b"))
    with pytest.raises(RuntimeError, match="closed"):
        things.read("SELECT 1 AS one")


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///", "mysql://host/name", "/var/store.db", "postgresql"])
def test_open_database_refuses_other_urls_with_a_hint(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///FILE or postgresql://"):
        open_database(url)
