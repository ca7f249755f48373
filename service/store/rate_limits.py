"""Rate limits per recipient and period: each message takes a slot, of which a period has a fixed number."""

from datetime import date

from service.models import Stream
from service.store.database import Transaction


def acquire_quota(
    tx: Transaction,
    recipient_hash: str,
    period_start: date,
    count: int,
    message_id: str,
    *,
    stream: Stream = Stream.MARKETING,
) -> bool:
    """Take one of the recipient's `count` slots in the period that begins at `period_start`; False: all are taken.

    Atomic over all processes: it rests on the primary key. One transaction that takes slots of several recipients takes
    them in the order of their hashes, or two such transactions may deadlock on PostgreSQL (StoreBusy).
    """
    place = {"recipient_hash": recipient_hash, "stream": stream, "period": period_start.isoformat()}
    taken = {
        row["slot"]
        for row in tx.execute(
            "SELECT slot FROM marketing_claims"
            " WHERE recipient_hash = :recipient_hash AND stream = :stream AND period = :period",
            place,
        )
    }
    # Another transaction may take a free slot first; the insert waits for its end.
    return any(
        tx.execute(
            "INSERT INTO marketing_claims (recipient_hash, stream, period, slot, message_id)"
            " VALUES (:recipient_hash, :stream, :period, :slot, :message_id)"
            " ON CONFLICT (recipient_hash, stream, period, slot) DO NOTHING RETURNING slot",
            {**place, "slot": slot, "message_id": message_id},
        )
        for slot in range(count)
        if slot not in taken
    )


def release_quota(tx: Transaction, message_id: str) -> bool:
    """Return the slot of a message that certainly never left; False where it had none."""
    return bool(tx.execute("DELETE FROM marketing_claims WHERE message_id = :id RETURNING slot", {"id": message_id}))
