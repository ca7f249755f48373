"""Notifications that were taken in, so that each has its effect once."""

from datetime import datetime

from service.store.database import Transaction


def first_time(tx: Transaction, notification_id: str, source: str, *, now: datetime) -> bool:
    """Notes a notification, in the same transaction as its effect; False where it was noted before."""
    return bool(
        tx.execute(
            "INSERT INTO feedback_seen (id, source, seen_at) VALUES (:id, :source, :seen_at)"
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            {"id": f"{source}:{notification_id}", "source": source, "seen_at": now},
        )
    )
