"""New pseudonyms for rows whose address is known, after the key of pseudonyms was lost."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from service.store.database import Reader, Transaction


class HashedRow(NamedTuple):
    """A row with its address in clear and its pseudonym."""

    id: str
    address: str
    recipient_hash: str


def messages(reader: Reader, *, after: str, limit: int) -> list[HashedRow]:
    """The next messages in clear behind this id."""
    rows = reader.read(
        "SELECT id, recipient_email AS address, recipient_hash FROM email_messages"
        " WHERE anonymised_at IS NULL AND id > :after ORDER BY id LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [HashedRow(**row) for row in rows]


def suppressions(reader: Reader) -> list[HashedRow]:
    """All suppressions in clear, the newest first."""
    rows = reader.read(
        "SELECT id, address, recipient_hash FROM suppressions WHERE address IS NOT NULL ORDER BY created_at DESC, id"
    )
    return [HashedRow(**row) for row in rows]


def count_nameless(reader: Reader) -> int:
    """How many suppressions in force have no address in clear."""
    count: int = reader.read(
        "SELECT COUNT(*) AS n FROM suppressions WHERE address IS NULL AND lifted_at IS NULL",
    )[0]["n"]
    return count


def rehash_messages(tx: Transaction, hashes: Mapping[str, str]) -> None:
    """Give these messages, by id, and their rate-limit slots new pseudonyms. A slot that is taken stays as it is."""
    rows = [{"id": message_id, "hash": new} for message_id, new in hashes.items()]
    tx.execute_many("UPDATE email_messages SET recipient_hash = :hash WHERE id = :id AND anonymised_at IS NULL", rows)
    tx.execute_many(
        "UPDATE marketing_claims SET recipient_hash = :hash WHERE message_id = :id AND NOT EXISTS"
        " (SELECT 1 FROM marketing_claims AS taken WHERE taken.recipient_hash = :hash"
        " AND taken.stream = marketing_claims.stream AND taken.period = marketing_claims.period"
        " AND taken.slot = marketing_claims.slot)",
        rows,
    )


def rehash_suppressions(tx: Transaction, hashes: Mapping[str, str], *, now: datetime) -> None:
    """Give these suppressions, by id, new pseudonyms; one that says what another does already is lifted."""
    for suppression_id, new in hashes.items():
        tx.execute(
            "UPDATE suppressions SET lifted_at = :now, lifted_by = 'accept-new-secret' WHERE id = :id"
            " AND lifted_at IS NULL AND EXISTS (SELECT 1 FROM suppressions AS other WHERE other.recipient_hash = :hash"
            " AND other.scope = suppressions.scope AND other.lifted_at IS NULL)",
            {"id": suppression_id, "hash": new, "now": now},
        )
        tx.execute("UPDATE suppressions SET recipient_hash = :hash WHERE id = :id", {"id": suppression_id, "hash": new})
