"""Rate limits: the quota of a period is acquired exactly once, also in races."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from service.models import Stream
from service.store import rate_limits
from service.store.database import Database, Transaction
from tests.support import rows

_DAY = date(2026, 2, 21)


@pytest.mark.parametrize("count", [1, 3])
def test_quota_of_a_day_is_won_by_exactly_as_many_claims_as_it_allows(database: Database, count: int) -> None:
    together = threading.Barrier(10)

    def claim(n: int) -> bool:
        together.wait(30)
        return database.write(lambda tx: rate_limits.acquire_quota(tx, "hash", _DAY, count, f"m{n}"))

    with ThreadPoolExecutor(10) as pool:
        won = list(pool.map(claim, range(10)))

    assert sum(won) == count
    winners = {row["message_id"] for row in database.read("SELECT message_id FROM marketing_claims")}
    assert winners == {f"m{n}" for n in range(10) if won[n]}


def test_quota_is_counted_by_person_period_and_stream(database: Database) -> None:
    def claim(message_id: str, recipient: str = "hash", day: date = _DAY, stream: Stream = Stream.MARKETING) -> bool:
        return database.write(lambda tx: rate_limits.acquire_quota(tx, recipient, day, 1, message_id, stream=stream))

    assert [claim("a"), claim("b"), claim("c", "other"), claim("d", day=_DAY + timedelta(days=1))] == [
        True,
        False,
        True,
        True,
    ]
    assert claim("e", stream=Stream.TRANSACTIONAL)
    assert not database.write(lambda tx: rate_limits.acquire_quota(tx, "hash", _DAY, 0, "f"))


def test_quota_that_was_released_can_be_acquired_again(database: Database) -> None:
    def claim(message_id: str) -> bool:
        return database.write(lambda tx: rate_limits.acquire_quota(tx, "hash", rows.NOW, 2, message_id))

    assert [claim("a"), claim("b"), claim("c")] == [True, True, False]
    assert database.write(lambda tx: rate_limits.release_quota(tx, "a"))
    assert not database.write(lambda tx: rate_limits.release_quota(tx, "a"))
    assert [claim("c"), claim("d")] == [True, False]


def test_quota_is_given_back_when_its_transaction_fails(database: Database) -> None:
    def work(tx: Transaction) -> None:
        assert rate_limits.acquire_quota(tx, "hash", _DAY, 1, "a")
        raise LookupError

    with pytest.raises(LookupError):
        database.write(work)
    assert database.write(lambda tx: rate_limits.acquire_quota(tx, "hash", _DAY, 1, "b"))
