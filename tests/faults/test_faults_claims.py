"""Claims, sweeps and renewals by many workers at once: each row belongs to one of them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from service.store import leases
from service.store.database import Database, open_database
from service.store.migrations import migrate
from tests.support.faults.rows import NOW, add_messages, statuses

T = TypeVar("T")
_WORKERS = 8
_LATER = NOW + timedelta(seconds=31)


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Database]]:
    """One database, opened once for each worker, as processes do."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("migrated_postgresql_url")
    with ExitStack() as opened:
        made = [open_database(url) for _ in range(_WORKERS)]
        for database in made:
            opened.callback(database.close)
        migrate(made[0])
        yield made


def at_once(databases: list[Database], work: Callable[[int, Database], T]) -> list[T]:
    """All of them begin at the same moment."""
    start = threading.Barrier(len(databases))

    def run(n: int) -> T:
        start.wait(20)
        return work(n, databases[n])

    with ThreadPoolExecutor(len(databases)) as pool:
        return list(pool.map(run, range(len(databases))))


def test_claims_of_many_workers_never_take_a_row_twice(databases: list[Database]) -> None:
    ids = add_messages(databases[0], 300)

    def claim_all(n: int, database: Database) -> list[str]:
        mine: list[str] = []
        while got := database.write(lambda tx: leases.claim(tx, owner=f"worker-{n}", now=NOW, lease_s=30, limit=7)):
            mine += got
        return mine

    claimed = [id_ for mine in at_once(databases, claim_all) for id_ in mine]
    assert Counter(claimed) == Counter(ids)


def test_sweeps_at_once_rescue_each_lease_once(databases: list[Database]) -> None:
    ids = add_messages(databases[0], 300)
    databases[0].write(lambda tx: leases.claim(tx, owner="dead", now=NOW, lease_s=30, limit=1_000))

    def sweep_all(_: int, database: Database) -> int:
        swept = 0
        while taken := database.write(lambda tx: leases.sweep(tx, now=_LATER)):
            swept += taken
        return swept

    assert sum(at_once(databases, sweep_all)) == len(ids)
    lapses = databases[0].read("SELECT status, lapsed_leases, COUNT(*) AS n FROM email_messages GROUP BY 1, 2")
    assert lapses == [{"status": "queued", "lapsed_leases": 1, "n": len(ids)}]
    events = databases[0].read("SELECT type, COUNT(*) AS n FROM email_events GROUP BY type ORDER BY type")
    assert events == [{"type": "accepted", "n": len(ids)}, {"type": "deferred", "n": len(ids)}]


def test_sweeps_claims_and_renewals_at_once_leave_each_row_with_one_owner(databases: list[Database]) -> None:
    ids = add_messages(databases[0], 200)
    databases[0].write(lambda tx: leases.claim(tx, owner="dead", now=NOW, lease_s=30, limit=1_000))

    def work(n: int, database: Database) -> set[str]:
        if n == 0:  # the one that seemed dead wakes up
            return database.write(lambda tx: leases.renew(tx, ids, owner="dead", now=_LATER, lease_s=30))
        mine: set[str] = set()
        for _ in range(10):
            database.write(lambda tx: leases.sweep(tx, now=_LATER))
            mine |= set(
                database.write(lambda tx: leases.claim(tx, owner=f"worker-{n}", now=_LATER, lease_s=30, limit=20))
            )
        return mine

    held = at_once(databases, work)
    assert Counter(id_ for mine in held for id_ in mine) <= Counter(ids)
    assert set(statuses(databases[0], ids)) <= {"queued", "sending"}
    owners = databases[0].read("SELECT id, lease_owner FROM email_messages WHERE status = 'sending'")
    assert {row["id"] for row in owners} == set().union(*held)
