"""How much waits and goes through, on both databases."""

from datetime import timedelta

from service.models import Priority, Status
from service.store import queue_stats
from service.store.database import Database
from tests.support import rows as letters


def test_queue_is_counted_by_priority_with_the_oldest_that_is_due(database: Database) -> None:
    now = letters.after(100)
    letters.store_one(database, priority=Priority.HIGH, created_at=letters.NOW, next_attempt_at=letters.after(10))
    letters.store_one(database, priority=Priority.HIGH, created_at=letters.NOW, next_attempt_at=letters.after(5))
    tried = letters.store_one(database, priority=Priority.HIGH, created_at=letters.NOW, next_attempt_at=letters.NOW)
    letters.store_one(database, priority=Priority.BULK, created_at=letters.NOW, next_attempt_at=letters.after(500))
    letters.store_one(database, priority=Priority.CRITICAL, created_at=letters.NOW, status=Status.SUPPRESSED)
    database.write(lambda tx: tx.execute("UPDATE email_messages SET attempts = 1 WHERE id = :id", {"id": tried}))
    found = {one.priority: one for one in queue_stats.waiting(database, now=now)}
    assert list(found) == list(Priority)
    assert [(one.total, one.tried, one.oldest_due_at) for one in found.values()] == [
        (0, 0, None),
        (3, 1, letters.NOW),
        (0, 0, None),
        (1, 0, None),
    ]
    assert not found[Priority.HIGH].is_capped


def test_throughput_is_counted_by_its_times(database: Database) -> None:
    ids = [letters.store_one(database, created_at=letters.after(60 * n)) for n in range(5)]
    for n, message_id in enumerate(ids[:3]):
        params = {"id": message_id, "at": letters.after(60 * n + 90)}
        database.write(lambda tx, p=params: tx.execute("UPDATE email_messages SET sent_at = :at WHERE id = :id", p))  # type: ignore[misc]
    database.write(lambda tx: tx.execute("UPDATE email_messages SET status = 'failed' WHERE id = :id", {"id": ids[4]}))
    assert queue_stats.accepted_since(database, letters.after(120)) == 3
    assert queue_stats.sent_since(database, letters.after(150), accepted_since=letters.NOW) == 2
    assert queue_stats.sent_since(database, letters.NOW, accepted_since=letters.after(60)) == 2
    assert queue_stats.ended_badly_since(database, letters.NOW - timedelta(days=1)) == 1
    assert queue_stats.ended_badly_since(database, letters.after(241)) == 0
