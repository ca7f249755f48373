"""Notifications that were taken in, so that each has its effect once."""

from datetime import datetime

from service.store.database import Reader, Transaction


def first_time(tx: Transaction, notification_id: str, source: str, *, now: datetime) -> bool:
    """Notes a notification, in the same transaction as its effect; False where it was noted before."""
    return bool(
        tx.execute(
            "INSERT INTO feedback_seen (id, source, seen_at) VALUES (:id, :source, :seen_at)"
            " ON CONFLICT (id) DO NOTHING RETURNING id",
            {"id": _name(notification_id, source), "source": source, "seen_at": now},
        )
    )


def is_known(reader: Reader, notification_id: str, source: str) -> bool:
    """Whether a notification was noted."""
    return bool(reader.read("SELECT id FROM feedback_seen WHERE id = :id", {"id": _name(notification_id, source)}))


def _name(notification_id: str, source: str) -> str:
    return f"{source}:{notification_id}"
