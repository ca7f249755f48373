"""Anonymise and delete expired rows, as each column's comment in `sql/` specifies, and scrub them from the disk.

All of it runs in small steps, each a short transaction, so that other writers get their turn. Messages that may still
be sent are left alone: they need their address.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from service.models import Event, EventType
from service.store import search_index
from service.store.database import Database, Reader, Transaction, listed
from service.store.database.contract import Row
from service.store.messages import IDEMPOTENCY_WINDOW
from service.store.transitions import add_event

#: The tables from which rows are deleted or in which they are anonymised.
TABLES = (
    "email_messages",
    "email_events",
    "email_bodies",
    "email_attachments",
    "attachment_blobs",
    "attachment_holds",
    "sends",
    "suppressions",
    "marketing_claims",
    "feedback_seen",
    "feedback_early",
    "search_entries",
    "search_words",
    "sessions",
    "admin_actions",
)
#: The condition under which a message may be anonymised or deleted: no attempt will follow.
_ENDED = "status NOT IN ('queued', 'sending')"


@dataclass(frozen=True, slots=True)
class Step:
    """The ids that one step changed, oldest first; `reached` is where the next step begins, None after the last."""

    ids: Sequence[str]
    reached: datetime | None


#: The next messages to anonymise, in the order of a partial index of those not yet anonymised: a scan of a year's rows
#: for the few of a day would hold the write lock.
TO_ANONYMISE = (
    "SELECT id, created_at FROM email_messages WHERE anonymised_at IS NULL AND created_at >= :since"
    f" AND created_at < :before AND send_at < :before AND {_ENDED} ORDER BY created_at LIMIT :limit"
)
_TO_DELETE = (
    "SELECT id, created_at, send_id FROM email_messages WHERE created_at >= :since"
    f" AND created_at < :before AND send_at < :before AND {_ENDED} ORDER BY created_at, id LIMIT :limit"
)


def anonymise_older(tx: Transaction, *, before: datetime, now: datetime, limit: int, since: datetime) -> Step:
    """Anonymise the oldest messages due before `before`; `since` is what the last step reached."""
    params = {"before": before, "since": since, "limit": limit}
    rows = tx.execute(TO_ANONYMISE + _skip_locked(tx), params)
    ids = anonymise(tx, [row["id"] for row in rows], now=now, source="retention")
    return Step(ids, rows[-1]["created_at"] if len(rows) == limit else None)


def anonymise(tx: Transaction, message_ids: Sequence[str], *, now: datetime, source: str) -> list[str]:
    """Anonymise these messages, with an event from `source`; returns the ids of those changed.

    Messages that may still be sent, or that are anonymised already, are left alone.
    """
    if not message_ids:
        return []
    names, params = listed("id", sorted(message_ids))
    rows = tx.execute(
        "UPDATE email_messages SET recipient_email = recipient_hash, envelope_from = '', from_header = '',"
        " reply_to = NULL, subject = '', provider_id = NULL, smtp_reply = NULL, wire_sha256 = NULL,"
        " error_message = NULL, variables = '{}', metadata = '{}', unsubscribe_url = NULL,"
        " visible_to = NULL, visible_cc = NULL, anonymised_at = :now,"
        " redirected_to = CASE WHEN redirected_to IS NULL THEN NULL ELSE '' END"
        f" WHERE id IN ({names}) AND {_ENDED} AND anonymised_at IS NULL RETURNING id, send_id",
        {**params, "now": now},
    )
    done = sorted(row["id"] for row in rows)
    _forget_contents(tx, done)
    names, params = listed("id", done)
    tx.execute(
        "UPDATE email_events SET detail = NULL, smtp_reply = NULL, provider_id = NULL"
        f" WHERE message_id IN ({names}) AND (detail IS NOT NULL OR smtp_reply IS NOT NULL OR provider_id IS NOT NULL)",
        params,
    )
    for message_id in done:
        add_event(tx, message_id, Event(EventType.ANONYMISED, now, source))
    send_ids = {row["send_id"] for row in rows}
    _forget_visible_addresses(tx, send_ids)
    _forget_requests(tx, send_ids, now)
    return done


def forget_keys(tx: Transaction, *, now: datetime, limit: int) -> int:
    """Clear expired idempotency keys and the digests of their requests; returns how many."""
    return len(
        tx.execute(
            "UPDATE sends SET idempotency_key = NULL, request_digest = NULL WHERE id IN"
            " (SELECT id FROM sends WHERE idempotency_key IS NOT NULL AND created_at < :over ORDER BY created_at"
            " LIMIT :limit) RETURNING id",
            {"over": now - IDEMPOTENCY_WINDOW, "limit": limit},
        )
    )


def delete_older(tx: Transaction, *, before: datetime, limit: int, since: datetime) -> Step:
    """Delete the oldest messages due before `before`, with their bodies and events, and sends left without messages."""
    rows = tx.execute(_TO_DELETE + _skip_locked(tx), {"before": before, "since": since, "limit": limit})
    names, params = listed("id", [row["id"] for row in rows])
    tx.execute(f"DELETE FROM email_messages WHERE id IN ({names})", params)  # ON DELETE CASCADE deletes the rest
    names, params = listed("send", sorted({row["send_id"] for row in rows}))
    tx.execute(
        f"DELETE FROM sends WHERE id IN ({names})"
        " AND NOT EXISTS (SELECT 1 FROM email_messages WHERE send_id = sends.id)",
        params,
    )
    return Step([row["id"] for row in rows], rows[-1]["created_at"] if len(rows) == limit else None)


def empty_suppressions(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Anonymise suppressions from before `before`, which keep their keyed hash; returns how many."""
    return len(
        tx.execute(
            "UPDATE suppressions SET address = NULL, detail = NULL, lift_reason = NULL WHERE id IN"
            f" (SELECT id FROM suppressions WHERE {_SUPPRESSION_IN_CLEAR} LIMIT :limit{_skip_locked(tx)}) RETURNING id",
            {"before": before, "limit": limit},
        )
    )


def empty_suppressions_of(tx: Transaction, recipient_hash: str) -> int:
    """Anonymise all suppressions of one recipient, of any age; returns how many."""
    return len(
        tx.execute(
            "UPDATE suppressions SET address = NULL, detail = NULL, lift_reason = NULL"
            " WHERE recipient_hash = :hash AND (address IS NOT NULL OR detail IS NOT NULL OR lift_reason IS NOT NULL)"
            " RETURNING id",
            {"hash": recipient_hash},
        )
    )


def forget_redirections(tx: Transaction, address: str) -> int:
    """Empty this (normalised) address where messages to others were redirected to it; returns how many."""
    return len(
        tx.execute(
            "UPDATE email_messages SET redirected_to = '' WHERE redirected_to = :address RETURNING id",
            {"address": address},
        )
    )


def delete_ended(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete old lifted suppressions, rate-limit slots, counts of refusals, and notes of what happened long ago."""
    params = {"before": before, "period": before.isoformat(), "limit": limit}
    return sum(len(tx.execute(statement, params)) for statement in _DELETE_ENDED)


def ids_of(reader: Reader, recipient_hash: str) -> list[str]:
    """The ids of all messages to one recipient, oldest first."""
    rows = reader.read(
        "SELECT id FROM email_messages WHERE recipient_hash = :hash ORDER BY created_at, id", {"hash": recipient_hash}
    )
    return [row["id"] for row in rows]


def begin_purge(tx: Transaction, purge_id: str, *, source: str, now: datetime) -> None:
    """Record the start of a purge. Until it is finished and scrubbed, the next one has something left to do."""
    tx.execute(
        "INSERT INTO purges (id, began_at, source) VALUES (:id, :now, :source)",
        {"id": purge_id, "now": now, "source": source},
    )


def count_purged(tx: Transaction, purge_id: str, what: Literal["anonymised", "deleted"], rows: int) -> None:
    """Add what a step has done to the purge's counts; in the transaction of the step."""
    tx.execute(f"UPDATE purges SET {what} = {what} + :rows WHERE id = :id", {"id": purge_id, "rows": rows})


def end_purges(tx: Transaction, *, began_until: datetime, now: datetime) -> None:
    """Record that what purges begun until then have deleted can't be read from the disk any more."""
    tx.execute(
        "UPDATE purges SET scrubbed_at = :now WHERE scrubbed_at IS NULL AND began_at <= :until",
        {"now": now, "until": began_until},
    )


def scrub(database: Database, *, began_at: datetime, now: datetime, rewrites: bool = False) -> bool:
    """Make what purges begun until then have deleted unreadable on the disk; False: to be tried again.

    With `rewrites` large tables are rewritten too: see `Database.scrub`. Raises StoreBusy.
    """
    if not database.scrub(TABLES, rewrites=rewrites):
        return False
    database.write(lambda tx: end_purges(tx, began_until=began_at, now=now))
    return True


def is_unscrubbed(reader: Reader) -> bool:
    """Whether a purge changed something that may still be read from the disk."""
    return bool(
        reader.read(
            "SELECT id FROM purges WHERE scrubbed_at IS NULL AND (anonymised > 0 OR deleted > 0) LIMIT 1",
        )
    )


def last_purge_at(reader: Reader) -> datetime | None:
    """When the last purge began; None where there was none."""
    rows = reader.read("SELECT MAX(began_at) AS began_at FROM purges WHERE source = 'retention'")
    last: datetime | None = rows[0]["began_at"]
    return last


def last_sign_of_life_at(reader: Reader) -> datetime | None:
    """The latest time in any row: of a purge, or of a message's acceptance."""
    rows = reader.read(
        "SELECT MAX(began_at) AS seen_at FROM purges UNION ALL SELECT MAX(created_at) AS seen_at FROM email_messages"
    )
    return max((row["seen_at"] for row in rows if row["seen_at"] is not None), default=None)


def files_of(reader: Reader, message_ids: Sequence[str]) -> list[str]:
    """The digests of these messages' attachments."""
    names, params = listed("id", message_ids)
    rows = reader.read(f"SELECT DISTINCT sha256 FROM email_attachments WHERE message_id IN ({names})", params)
    return sorted(row["sha256"] for row in rows)


@dataclass(frozen=True, slots=True)
class Due:
    """How much a purge would change: messages to anonymise and to delete, and suppressions to empty."""

    messages_to_anonymise: int
    messages_to_delete: int
    suppressions_to_anonymise: int


def count_due(reader: Reader, *, anonymise_before: datetime, delete_before: datetime) -> Due:
    """Count, and change nothing. Messages to delete are not counted among those to anonymise."""
    older = f"SELECT COUNT(*) AS n FROM email_messages WHERE created_at < :before AND send_at < :before AND {_ENDED}"
    in_clear = f"{older} AND anonymised_at IS NULL"
    kept = " AND (created_at >= :kept OR send_at >= :kept)" if delete_before < anonymise_before else ""
    params = {"before": anonymise_before, "kept": delete_before}
    suppressed = f"SELECT COUNT(*) AS n FROM suppressions WHERE {_SUPPRESSION_IN_CLEAR}"
    return Due(
        messages_to_anonymise=reader.read(in_clear + kept, params)[0]["n"],
        messages_to_delete=reader.read(older, {"before": delete_before})[0]["n"],
        suppressions_to_anonymise=reader.read(suppressed, {"before": anonymise_before})[0]["n"],
    )


_SUPPRESSION_IN_CLEAR = (
    "created_at < :before AND (lifted_at IS NULL OR lifted_at < :before)"
    " AND (address IS NOT NULL OR detail IS NOT NULL OR lift_reason IS NOT NULL)"
)
_DELETE_ENDED = (
    "DELETE FROM suppressions WHERE id IN"
    " (SELECT id FROM suppressions WHERE lifted_at < :before LIMIT :limit) RETURNING id",
    "DELETE FROM marketing_claims WHERE message_id IN"
    " (SELECT message_id FROM marketing_claims WHERE period < :period LIMIT :limit)"
    " AND period < :period RETURNING message_id",
    "DELETE FROM feedback_seen WHERE id IN"
    " (SELECT id FROM feedback_seen WHERE seen_at < :before LIMIT :limit) RETURNING id",
    "DELETE FROM admin_actions WHERE id IN"
    " (SELECT id FROM admin_actions WHERE created_at < :before LIMIT :limit) RETURNING id",
    "DELETE FROM purges WHERE id IN"
    " (SELECT id FROM purges WHERE began_at < :before AND scrubbed_at IS NOT NULL LIMIT :limit) RETURNING id",
    "DELETE FROM template_refusals WHERE (deployment_id, revision, day_at) IN"
    " (SELECT deployment_id, revision, day_at FROM template_refusals WHERE day_at < :before LIMIT :limit)"
    " RETURNING revision",
)


def _forget_contents(tx: Transaction, message_ids: Collection[str]) -> None:
    """Delete bodies and attachments' names; the blobs are swept once no other message refers to them."""
    names, params = listed("id", message_ids)
    tx.execute(f"DELETE FROM email_bodies WHERE message_id IN ({names})", params)
    tx.execute(f"DELETE FROM email_attachments WHERE message_id IN ({names})", params)
    search_index.forget(tx, message_ids)


def _forget_visible_addresses(tx: Transaction, send_ids: Collection[str]) -> None:
    """Empty To and Cc of all messages of these sends, and of resends of them: they show each other's recipients."""
    names, params = listed("send", sorted(send_ids))
    affected = _ids(tx.execute(f"SELECT id FROM email_messages WHERE send_id IN ({names})", params))
    while affected:
        names, params = listed("id", affected)
        tx.execute(
            "UPDATE email_messages SET visible_to = NULL, visible_cc = NULL"
            f" WHERE id IN ({names}) AND visible_to IS NOT NULL",
            params,
        )
        affected = _ids(tx.execute(f"SELECT id FROM email_messages WHERE resend_of IN ({names})", params))


def _ids(rows: Sequence[Row]) -> list[str]:
    return [row["id"] for row in rows]


def _forget_requests(tx: Transaction, send_ids: Collection[str], now: datetime) -> None:
    """Clear the idempotency keys of sends, which may be addresses, once they have expired."""
    names, params = listed("id", sorted(send_ids))
    tx.execute(
        f"UPDATE sends SET idempotency_key = NULL, request_digest = NULL WHERE id IN ({names}) AND (created_at < :over"
        " OR NOT EXISTS (SELECT 1 FROM email_messages WHERE send_id = sends.id AND anonymised_at IS NULL))",
        {**params, "over": now - IDEMPOTENCY_WINDOW},
    )


def _skip_locked(tx: Transaction) -> str:
    # Rows that another purge or feedback has locked at this moment are left to the next purge.
    return " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
