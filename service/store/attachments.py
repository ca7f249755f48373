"""Attachments: their bytes, content-addressed by SHA-256, and their names per message."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from service.models import Attachment, AttachmentInfo
from service.store.body_codec import verified
from service.store.database import Database, Reader, Transaction, listed
from service.store.database.contract import Row

#: A blob that no message refers to is deleted once no request has brought it for this long.
ORPHAN_AGE = timedelta(hours=1)


def save_blobs(database: Database, attachments: Iterable[Attachment], *, now: datetime) -> None:
    """Store the bytes of attachments, each content once, in a transaction of its own, before their message.

    The message must be stored within ORPHAN_AGE, or `sweep_blobs` deletes them. Raises StoreBusy.
    """
    distinct = {attachment.sha256: attachment for attachment in attachments}
    if not distinct:
        return
    rows = [
        {"sha256": digest, "size_bytes": blob.size_bytes, "wanted_at": now, "data": blob.data}
        for digest, blob in sorted(distinct.items())  # one order for all, or two savers could deadlock
    ]
    database.write(
        lambda tx: tx.execute_many(
            "INSERT INTO attachment_blobs (sha256, size_bytes, wanted_at, data)"
            " VALUES (:sha256, :size_bytes, :wanted_at, :data)"
            " ON CONFLICT (sha256) DO UPDATE SET wanted_at = excluded.wanted_at",
            rows,
        )
    )


def sweep_blobs(tx: Transaction, digests: Iterable[str], *, now: datetime) -> int:
    """Delete those of these blobs that are orphans (see `orphans`); returns how many."""
    names, params = listed("sha256", digests)
    return len(
        tx.execute(
            f"DELETE FROM attachment_blobs WHERE sha256 IN ({names}) AND wanted_at < :before AND NOT EXISTS"
            " (SELECT 1 FROM email_attachments AS used WHERE used.sha256 = attachment_blobs.sha256) RETURNING sha256",
            {**params, "before": now - ORPHAN_AGE},
        )
    )


def orphans(reader: Reader, *, now: datetime) -> list[str]:
    """The digests of blobs that no message refers to and no request has brought for ORPHAN_AGE.

    Found outside of the write transaction of `sweep_blobs`: a scan of all blobs must not hold the write lock.
    """
    rows = reader.read(
        "SELECT sha256 FROM attachment_blobs AS blob WHERE wanted_at < :before AND NOT EXISTS"
        " (SELECT 1 FROM email_attachments AS used WHERE used.sha256 = blob.sha256)",
        {"before": now - ORPHAN_AGE},
    )
    return [row["sha256"] for row in rows]


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
