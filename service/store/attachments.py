"""Attachments: their bytes, content-addressed by SHA-256, and their names per message."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from service.models import Attachment, AttachmentInfo
from service.store.body_codec import verified
from service.store.database import Database, Reader, Transaction, listed
from service.store.database.contract import Row

#: A request that has brought a blob is accepted within this time, or its process has died.
HOLD_AGE = timedelta(hours=1)
#: Blobs deleted in one transaction, up to 10 MiB each.
STEP_BLOBS = 4


def save_blobs(database: Database, attachments: Iterable[Attachment], *, send_id: str, now: datetime) -> None:
    """Store the bytes of attachments, each content once, in a transaction of its own, before their message.

    They are held for this send, which must be stored within HOLD_AGE (`release` in its transaction), or else be
    discarded. Raises StoreBusy.
    """
    distinct = {attachment.sha256: attachment for attachment in attachments}
    if not distinct:
        return
    rows = [
        {"sha256": digest, "size_bytes": blob.size_bytes, "wanted_at": now, "data": blob.data}
        for digest, blob in sorted(distinct.items())  # one order for all, or two savers could deadlock
    ]
    holds = [{"sha256": row["sha256"], "send_id": send_id, "now": now} for row in rows]

    def work(tx: Transaction) -> None:
        # An update also where the blob is there: it waits for one who is deleting it.
        tx.execute_many(
            "INSERT INTO attachment_blobs (sha256, size_bytes, wanted_at, data)"
            " VALUES (:sha256, :size_bytes, :wanted_at, :data)"
            " ON CONFLICT (sha256) DO UPDATE SET wanted_at = excluded.wanted_at",
            rows,
        )
        tx.execute_many(
            "INSERT INTO attachment_holds (sha256, send_id, held_at) VALUES (:sha256, :send_id, :now)"
            " ON CONFLICT (send_id, sha256) DO UPDATE SET held_at = excluded.held_at",
            holds,
        )

    database.write(work)


def release(tx: Transaction, send_ids: Iterable[str]) -> list[str]:
    """End the holds of these sends; returns the digests. In the transaction that stores the messages."""
    names, params = listed("send", send_ids)
    rows = tx.execute(f"DELETE FROM attachment_holds WHERE send_id IN ({names}) RETURNING sha256", params)
    return [row["sha256"] for row in rows]


def discard(database: Database, send_id: str, *, now: datetime) -> None:
    """End the holds of a send that is not stored, and delete what is an orphan now.

    Raises StoreBusy: then the purge does it.
    """
    digests = sorted(database.write(lambda tx: release(tx, [send_id])))
    for start in range(0, len(digests), STEP_BLOBS):
        batch = digests[start : start + STEP_BLOBS]
        database.write(lambda tx, batch=batch: sweep_blobs(tx, batch, now=now))  # type: ignore[misc]


def forget_holds(tx: Transaction, *, now: datetime, limit: int) -> int:
    """End the holds of requests whose process has died; returns how many."""
    return len(
        tx.execute(
            "DELETE FROM attachment_holds WHERE (send_id, sha256) IN"
            " (SELECT send_id, sha256 FROM attachment_holds WHERE held_at < :before ORDER BY held_at LIMIT :limit)"
            " RETURNING sha256",
            {"before": now - HOLD_AGE, "limit": limit},
        )
    )


def sweep_blobs(tx: Transaction, digests: Iterable[str], *, now: datetime) -> int:
    """Delete those of these blobs that are orphans (see `orphans`); returns how many."""
    names, params = listed("sha256", digests)
    if tx.dialect == "postgresql":
        # Locked by a statement of its own: the next one then sees the holds of all who had them before.
        tx.execute(f"SELECT 1 FROM attachment_blobs WHERE sha256 IN ({names}) ORDER BY sha256 FOR UPDATE", params)
    return len(
        tx.execute(
            f"DELETE FROM attachment_blobs AS blob WHERE sha256 IN ({names}) AND {_IS_ORPHAN} RETURNING sha256",
            {**params, "before": now - HOLD_AGE},
        )
    )


def orphans(reader: Reader, *, now: datetime) -> list[str]:
    """The digests of blobs that no message refers to and no request under way holds.

    Found outside of the write transaction of `sweep_blobs`: a scan of all blobs must not hold the write lock.
    """
    rows = reader.read(f"SELECT sha256 FROM attachment_blobs AS blob WHERE {_IS_ORPHAN}", {"before": now - HOLD_AGE})
    return [row["sha256"] for row in rows]


def held(reader: Reader, digests: Iterable[str], *, now: datetime) -> int:
    """How many of these blobs no message refers to, but a request under way holds."""
    names, params = listed("sha256", digests)
    rows = reader.read(
        f"SELECT COUNT(*) AS n FROM attachment_blobs AS blob WHERE sha256 IN ({names}) AND {_IS_UNUSED}"
        f" AND NOT ({_IS_ORPHAN})",
        {**params, "before": now - HOLD_AGE},
    )
    count: int = rows[0]["n"]
    return count


def infos(reader: Reader, message_id: str) -> list[AttachmentInfo]:
    """The attachments of a message, in order; [] where it has none, or is anonymised."""
    rows = reader.read(
        "SELECT n, filename, content_type, size_bytes, sha256 FROM email_attachments WHERE message_id = :id ORDER BY n",
        {"id": message_id},
    )
    return [AttachmentInfo(**row) for row in rows]


def get(reader: Reader, message_id: str, n: int) -> Attachment | None:
    """One attachment with its bytes, counted from 0; None where there is none. Raises ArchiveCorrupt."""
    rows = reader.read(
        "SELECT named.filename, named.content_type, named.sha256, blob.data FROM email_attachments AS named"
        " JOIN attachment_blobs AS blob ON blob.sha256 = named.sha256"
        " WHERE named.message_id = :id AND named.n = :n",
        {"id": message_id, "n": n},
    )
    return attachment_of(rows[0]) if rows else None


def attachment_of(row: Row) -> Attachment:
    """The attachment in a row. Raises ArchiveCorrupt if the data does not match its digest."""
    return Attachment(row["filename"], row["content_type"], verified(row["data"], row["sha256"]), row["sha256"])


_IS_UNUSED = "NOT EXISTS (SELECT 1 FROM email_attachments AS used WHERE used.sha256 = blob.sha256)"
_IS_ORPHAN = (
    f"{_IS_UNUSED} AND NOT EXISTS"
    " (SELECT 1 FROM attachment_holds AS hold WHERE hold.sha256 = blob.sha256 AND hold.held_at >= :before)"
)
