"""Counts over time, on both databases."""

from datetime import timedelta
from typing import Any

from service.models import Status
from service.store import time_series
from service.store.database import Database
from service.store.message_queries import MessageQuery
from service.store.time_series import CountCache
from tests.support import rows

EDGES = [rows.after(seconds) for seconds in (0, 100, 200, 300)]


def counted(database: Database, cache: CountCache, now_s: float, **wanted: Any) -> list[tuple[int, int]]:
    query = MessageQuery(**wanted)
    found = time_series.between(database, query, EDGES, now=rows.after(now_s), cache=cache)
    return [(tally.total, tally.trouble) for tally in found]


def test_messages_are_counted_by_when_they_were_accepted(database: Database) -> None:
    for seconds in (-1, 0, 99, 100, 250, 300):
        rows.store_one(database, created_at=rows.after(seconds), recipient_hash="h" if seconds < 100 else "i")
    bad = rows.store_one(database, created_at=rows.after(150))
    database.write(lambda tx: tx.execute("UPDATE email_messages SET status = 'bounced' WHERE id = :id", {"id": bad}))
    assert counted(database, CountCache(), 300) == [(2, 0), (2, 1), (1, 0)]
    assert counted(database, CountCache(), 300, to_hash="h") == [(2, 0), (0, 0), (0, 0)]
    assert counted(database, CountCache(), 300, status=Status.BOUNCED) == [(0, 0), (1, 1), (0, 0)]
    assert counted(database, CountCache(), 300, status=Status.QUEUED) == [(2, 0), (1, 0), (1, 0)]


def test_totals_of_past_periods_are_cached_for_a_while_and_troubles_are_not(database: Database) -> None:
    cache, now_s = CountCache(), 200 + CountCache.SETTLED_AFTER.total_seconds() + 1
    first = rows.store_one(database, created_at=rows.after(50))
    assert counted(database, cache, now_s) == [(1, 0), (0, 0), (0, 0)]
    rows.store_one(database, created_at=rows.after(60))
    rows.store_one(database, created_at=rows.after(260))
    database.write(lambda tx: tx.execute("UPDATE email_messages SET status = 'failed' WHERE id = :id", {"id": first}))
    assert counted(database, cache, now_s) == [(1, 1), (0, 0), (1, 0)]
    later_s = now_s + (CountCache.KEPT_FOR + timedelta(seconds=1)).total_seconds()
    assert counted(database, cache, later_s) == [(2, 1), (0, 0), (1, 0)]
