"""Suppressions: addresses that must not be written to, with scope and reason."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import uuid_utils

from service.models import Stream
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row
from service.store.pages import make_cursor, parse_cursor

_COLUMNS = (
    "id, address, recipient_hash, scope, reason, source, event_id, created_at, created_by, detail,"
    " lifted_at, lifted_by, lift_reason"
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that gets no mail, or with `scope` marketing no marketing. `address` is None once anonymised.

    `reason` is a word (bounce, complaint, unsubscribe, manual), `detail` a person's own words about it. `created_by`
    and `lifted_by` are callers' names; None where no caller did it.
    """

    id: str
    address: str | None
    recipient_hash: str
    scope: Literal["all", "marketing"]
    reason: str
    source: str
    since: datetime
    event_id: str | None = None
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    created_by: str | None = None
    detail: str | None = None
    lift_reason: str | None = None


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    """One page of the list, newest first; `total` is exact. `next` is None on the last page."""

    items: list[Suppression]
    total: int
    next: str | None


def find(reader: Reader, hashes: Collection[str], stream: Stream) -> dict[str, Suppression]:
    """The active suppressions of these recipients for a stream, by recipient hash."""
    names, params = listed("hash", sorted(set(hashes)))
    if not params:
        return {}
    scopes = "'all', 'marketing'" if stream is Stream.MARKETING else "'all'"
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM suppressions"
        f" WHERE recipient_hash IN ({names}) AND scope IN ({scopes}) AND lifted_at IS NULL ORDER BY scope DESC",
        params,
    )
    return {row["recipient_hash"]: _suppression(row) for row in rows}  # "all" comes last, and wins


def add(tx: Transaction, suppression: Suppression) -> bool:
    """Suppress an address; False where it is suppressed in this scope already: the first reason stands."""
    return bool(
        tx.execute(
            "INSERT INTO suppressions (id, address, recipient_hash, scope, reason, source, event_id, created_at,"
            " created_by, detail) VALUES (:id, :address, :recipient_hash, :scope, :reason, :source, :event_id,"
            " :created_at, :created_by, :detail)"
            " ON CONFLICT (recipient_hash, scope) WHERE lifted_at IS NULL DO NOTHING RETURNING id",
            {
                "id": suppression.id,
                "address": suppression.address,
                "recipient_hash": suppression.recipient_hash,
                "scope": suppression.scope,
                "reason": suppression.reason,
                "source": suppression.source,
                "event_id": suppression.event_id,
                "created_at": suppression.since,
                "created_by": suppression.created_by,
                "detail": suppression.detail,
            },
        )
    )


def suppress_recipient_of(tx: Transaction, message_id: str, *, reason: str, source: str, now: datetime) -> bool:
    """Suppress the recipient of a message for all mail; False where that is done already, or it went elsewhere."""
    rows = tx.read(
        "SELECT recipient_email, recipient_hash FROM email_messages WHERE id = :id AND redirected_to IS NULL",
        {"id": message_id},
    )
    return any(
        add(
            tx,
            Suppression(
                id=str(uuid_utils.uuid7()),
                address=row["recipient_email"],
                recipient_hash=row["recipient_hash"],
                scope="all",
                reason=reason,
                source=source,
                since=now,
                event_id=message_id,
            ),
        )
        for row in rows
    )


def lift(tx: Transaction, suppression_id: str, *, by: str, now: datetime, reason: str | None = None) -> bool:
    """Lift a suppression, which stays on record; False where it is not active."""
    return bool(
        tx.execute(
            "UPDATE suppressions SET lifted_at = :now, lifted_by = :by, lift_reason = :reason"
            " WHERE id = :id AND lifted_at IS NULL RETURNING id",
            {"id": suppression_id, "by": by, "now": now, "reason": reason},
        )
    )


def get(reader: Reader, suppression_id: str) -> Suppression | None:
    """One suppression, lifted or not."""
    rows = reader.read(f"SELECT {_COLUMNS} FROM suppressions WHERE id = :id", {"id": suppression_id})
    return _suppression(rows[0]) if rows else None


def active(reader: Reader, recipient_hash: str, scope: str) -> Suppression | None:
    """The active suppression of a recipient in exactly this scope; None where there is none."""
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM suppressions"
        " WHERE recipient_hash = :recipient_hash AND scope = :scope AND lifted_at IS NULL",
        {"recipient_hash": recipient_hash, "scope": scope},
    )
    return _suppression(rows[0]) if rows else None


def list_page(
    reader: Reader,
    *,
    limit: int,
    cursor: str | None = None,
    recipient_hash: str | None = None,
    scope: str | None = None,
    lifted: bool = False,
) -> SuppressionPage:
    """A page of active suppressions, with `lifted` also of lifted ones. Raises ValueError for a bad cursor."""
    conditions = ["1 = 1"] if lifted else ["lifted_at IS NULL"]
    params: dict[str, object] = {}
    for column, value in (("recipient_hash", recipient_hash), ("scope", scope)):
        if value is not None:
            conditions.append(f"{column} = :{column}")
            params[column] = value
    counted = f"SELECT COUNT(*) AS total FROM suppressions WHERE {' AND '.join(conditions)}"
    total = reader.read(counted, params)[0]["total"]
    if cursor is not None:
        conditions.append("(created_at, id) < (:cursor_at, :cursor_id)")
        params["cursor_at"], params["cursor_id"] = parse_cursor(cursor)
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM suppressions WHERE {' AND '.join(conditions)}"
        " ORDER BY created_at DESC, id DESC LIMIT :limit",
        {**params, "limit": limit + 1},
    )
    items = [_suppression(row) for row in rows[:limit]]
    more = len(rows) > limit and items
    return SuppressionPage(items, int(total), make_cursor(items[-1].since, items[-1].id) if more else None)


def _suppression(row: Row) -> Suppression:
    return Suppression(since=row.pop("created_at"), **row)
