"""Sessions of the pages. The cookie holds a random value, the row its SHA-256."""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime

from service.store.database import Reader, Transaction

_COLUMNS = (
    "id, secret_sha256, signed_with, caller_id, caller_name, client, browser, created_at, seen_at, idle_until, ends_at"
)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A row: who signed in, from where, and when it was last used."""

    id: str
    secret_sha256: str
    signed_with: str
    caller_id: str
    caller_name: str
    client: str
    browser: str
    created_at: datetime
    seen_at: datetime
    idle_until: datetime
    ends_at: datetime


def digest(secret: str) -> str:
    """What is stored of a cookie's value: it has 256 random bits, so nothing need be stretched."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def add(tx: Transaction, session: StoredSession) -> None:
    """Store a new session."""
    tx.execute(
        f"INSERT INTO sessions ({_COLUMNS}) VALUES (:id, :secret_sha256, :signed_with, :caller_id, :caller_name,"
        " :client, :browser, :created_at, :seen_at, :idle_until, :ends_at)",
        asdict(session),
    )


def find(reader: Reader, secret_sha256: str) -> StoredSession | None:
    """The session with this digest, whether it still holds or not."""
    rows = reader.read(f"SELECT {_COLUMNS} FROM sessions WHERE secret_sha256 = :sha256", {"sha256": secret_sha256})
    return StoredSession(**rows[0]) if rows else None


def list_open(reader: Reader, *, signed_with: str, now: datetime, limit: int) -> list[StoredSession]:
    """The sessions that still hold, the last used first."""
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM sessions WHERE signed_with = :signed_with AND ends_at > :now"
        " AND idle_until > :now ORDER BY seen_at DESC, id DESC LIMIT :limit",
        {"signed_with": signed_with, "now": now, "limit": limit},
    )
    return [StoredSession(**row) for row in rows]


def touch(tx: Transaction, session_id: str, *, now: datetime, idle_until: datetime) -> None:
    """Record that a session was used, which postpones its idle end."""
    tx.execute(
        "UPDATE sessions SET seen_at = :now, idle_until = :idle_until WHERE id = :id AND seen_at < :now",
        {"id": session_id, "now": now, "idle_until": idle_until},
    )


def end(tx: Transaction, session_id: str) -> bool:
    """End a session; False where there is none of this id."""
    return bool(tx.execute("DELETE FROM sessions WHERE id = :id RETURNING id", {"id": session_id}))


def end_others(tx: Transaction, *, caller_id: str | None = None, but: str | None = None) -> int:
    """End all sessions (of this caller), except the one with the id `but`; returns how many."""
    conditions = ["1 = 1"] + ["caller_id = :caller_id"] * (caller_id is not None) + ["id <> :but"] * (but is not None)
    params = {name: value for name, value in (("caller_id", caller_id), ("but", but)) if value is not None}
    return len(tx.execute(f"DELETE FROM sessions WHERE {' AND '.join(conditions)} RETURNING id", params))


def delete_ended(tx: Transaction, *, now: datetime, limit: int) -> int:
    """Delete sessions that ended by themselves; returns how many."""
    return len(
        tx.execute(
            "DELETE FROM sessions WHERE id IN"
            " (SELECT id FROM sessions WHERE ends_at <= :now OR idle_until <= :now LIMIT :limit) RETURNING id",
            {"now": now, "limit": limit},
        )
    )
