"""How far each mailbox of returned mail has been read."""

from datetime import datetime

from service.store.database import Reader, Transaction


def last_uid(reader: Reader, inbox: str, uid_validity: int) -> int:
    """The number of the last mail that is done; 0 where none is, or where the numbers mean other mails by now."""
    rows = reader.read(
        "SELECT last_uid FROM inbox_positions WHERE inbox = :inbox AND uid_validity = :uid_validity",
        {"inbox": inbox, "uid_validity": uid_validity},
    )
    return int(rows[0]["last_uid"]) if rows else 0


def set_last_uid(tx: Transaction, inbox: str, uid_validity: int, uid: int, *, now: datetime) -> None:
    """Notes that all up to this mail is done; never back, whoever else reads the same mailbox."""
    tx.execute(
        "INSERT INTO inbox_positions (inbox, uid_validity, last_uid, moved_at)"
        " VALUES (:inbox, :uid_validity, :uid, :now)"
        " ON CONFLICT (inbox) DO UPDATE SET uid_validity = excluded.uid_validity, last_uid = excluded.last_uid,"
        " moved_at = excluded.moved_at"
        " WHERE inbox_positions.uid_validity <> excluded.uid_validity OR inbox_positions.last_uid < excluded.last_uid",
        {"inbox": inbox, "uid_validity": uid_validity, "uid": uid, "now": now},
    )
