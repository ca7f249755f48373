"""Versions of the secret key that a database knows, and its pseudonym key, encrypted with each of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from service.store.database import Reader, Transaction, listed

#: Rows that tell which key made a database's pseudonyms.
_SAMPLES = 50


class HashedAddress(NamedTuple):
    """An address in clear and its pseudonym, of one row."""

    address: str
    recipient_hash: str


def lock(tx: Transaction) -> None:
    """Keep other writers of this table out until the transaction ends; SQLite has one writer anyway."""
    if tx.dialect == "postgresql":
        tx.execute("LOCK TABLE secret_versions IN SHARE ROW EXCLUSIVE MODE")


def wrapped_keys(reader: Reader) -> dict[str, bytes]:
    """The encrypted pseudonym key by the fingerprint of the version that encrypted it; {}: no key was agreed on yet."""
    rows = reader.read("SELECT fingerprint, pseudonym_key FROM secret_versions ORDER BY created_at, fingerprint")
    return {row["fingerprint"]: bytes(row["pseudonym_key"]) for row in rows}


def replace(tx: Transaction, wrapped: Mapping[str, bytes], *, now: datetime) -> None:
    """Make these the only versions, by fingerprint; those that stay keep their time."""
    names, params = listed("fingerprint", wrapped)
    tx.execute(f"DELETE FROM secret_versions WHERE fingerprint NOT IN ({names})", params)
    tx.execute_many(
        "INSERT INTO secret_versions (fingerprint, pseudonym_key, created_at) VALUES (:fingerprint, :key, :now)"
        " ON CONFLICT (fingerprint) DO UPDATE SET pseudonym_key = excluded.pseudonym_key",
        [{"fingerprint": fingerprint, "key": key, "now": now} for fingerprint, key in wrapped.items()],
    )


def has_pseudonyms(reader: Reader) -> bool:
    """Whether any row has a pseudonym."""
    tables = ("email_messages", "suppressions", "marketing_claims")
    return any(reader.read(f"SELECT 1 AS found FROM {table} LIMIT 1") for table in tables)


def samples(reader: Reader) -> list[HashedAddress]:
    """The newest addresses in clear with their pseudonyms, of messages and of suppressions."""
    rows = reader.read(
        "SELECT recipient_email AS address, recipient_hash FROM email_messages WHERE anonymised_at IS NULL"
        " ORDER BY created_at DESC LIMIT :limit",
        {"limit": _SAMPLES},
    ) + reader.read(
        "SELECT address, recipient_hash FROM suppressions WHERE address IS NOT NULL"
        " ORDER BY created_at DESC LIMIT :limit",
        {"limit": _SAMPLES},
    )
    return [HashedAddress(row["address"], row["recipient_hash"]) for row in rows]
