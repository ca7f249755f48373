"""Queue statistics: waiting messages and throughput, on both databases."""

from datetime import timedelta
from functools import partial

from service.models import Priority, Status
from service.store import queue_stats
from service.store.database import Database, Transaction
from tests.support import rows


def test_queue_is_counted_by_priority_with_the_oldest_that_is_due(database: Database) -> None:
    now = rows.after(100)
    rows.store_one(database, priority=Priority.HIGH, created_at=rows.NOW, next_attempt_at=rows.after(10))
    rows.store_one(database, priority=Priority.HIGH, created_at=rows.NOW, next_attempt_at=rows.after(5))
    tried = rows.store_one(database, priority=Priority.HIGH, created_at=rows.NOW, next_attempt_at=rows.NOW)
    rows.store_one(database, priority=Priority.BULK, created_at=rows.NOW, next_attempt_at=rows.after(500))
    rows.store_one(database, priority=Priority.CRITICAL, created_at=rows.NOW, status=Status.SUPPRESSED)
    database.write(lambda tx: tx.execute("UPDATE email_messages SET attempts = 1 WHERE id = :id", {"id": tried}))
    found = {one.priority: one for one in queue_stats.waiting(database, now=now)}
    assert list(found) == list(Priority)
    assert [(one.total, one.tried, one.oldest_due_at) for one in found.values()] == [
        (0, 0, None),
        (3, 1, rows.NOW),
        (0, 0, None),
        (1, 0, None),
    ]
    assert not found[Priority.HIGH].is_capped


def test_throughput_is_counted_by_its_times(database: Database) -> None:
    ids = [rows.store_one(database, created_at=rows.after(60 * n)) for n in range(5)]
    for n, message_id in enumerate(ids[:3]):
        params = {"id": message_id, "at": rows.after(60 * n + 90)}
        database.write(
            partial(Transaction.execute, sql="UPDATE email_messages SET sent_at = :at WHERE id = :id", params=params)
        )
    database.write(lambda tx: tx.execute("UPDATE email_messages SET status = 'failed' WHERE id = :id", {"id": ids[4]}))
    assert queue_stats.accepted_since(database, rows.after(120)) == 3
    assert queue_stats.sent_since(database, rows.after(150), accepted_since=rows.NOW) == 2
    assert queue_stats.sent_since(database, rows.NOW, accepted_since=rows.after(60)) == 2
    assert queue_stats.ended_badly_since(database, rows.NOW - timedelta(days=1)) == 1
    assert queue_stats.ended_badly_since(database, rows.after(241)) == 0
