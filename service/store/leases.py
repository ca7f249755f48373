"""Leases: claim due messages for a worker, renew the leases, take back lapsed ones, expire what is too old."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from service.errors import ArchiveCorrupt
from service.models import Body, Claimed, Event, EventType, Outgoing, Priority, Status, Stream
from service.store import rate_limits, suppressions
from service.store.attachments import attachment_of
from service.store.body_codec import BODY_COLUMNS, Unpackers, unpack_rows
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row
from service.store.transitions import transition

#: Rows in one call of `sweep` or `expire`, so that the write lock is never held for long.
_MAX_SWEPT = 500
#: A message whose lease lapsed so often is failed: it may be what kills the workers.
LAPSES_MAX = 10
#: The reason of a message that the rule of its environment holds back.
ENVIRONMENT = "environment"


def claim(
    tx: Transaction,
    *,
    owner: str,
    now: datetime,
    lease_s: int,
    limit: int,
    order: Sequence[Priority] = tuple(Priority),
    tried_first: int = 0,
) -> list[str]:
    """Lease up to `limit` due messages to this worker; returns their ids, by the priorities of `order`.

    Within a priority new messages go before those already tried, which may be many; but up to `tried_first` of the
    latter go before the new ones. Of either kind the oldest go first.

    Due means queued, next_attempt_at reached, not expired. A message whose recipient was suppressed after acceptance
    gets that status here, with an event, and is not claimed. A message is claimed once while its lease holds.
    """
    claimed: list[str] = []
    for priority in order:
        for kind, most in ((_TRIED, tried_first), (_NEW, limit), (_TRIED, limit)):
            room = min(most, limit - len(claimed))
            while room > 0 and (due := _due(tx, priority, kind, now, room)):
                suppressed = _suppress(tx, due, now)
                taken = list(_lease(tx, [row["id"] for row in due if row["id"] not in suppressed], owner, now, lease_s))
                claimed += taken
                room -= len(taken)
    return claimed


def apply_rule(
    tx: Transaction,
    ids: Sequence[str],
    destination_of: Callable[[str, str | None], str | None],
    *,
    held_back: str,
    owner: str,
    now: datetime,
) -> list[str]:
    """Apply the rule of the environment to claimed messages; returns the ids of those that may be sent.

    `destination_of` maps a recipient, and the address that it was redirected to before, to an address, or None for a
    message that is held back: it becomes `suppressed`, with the words `held_back`. Another address is stored.
    """
    names, params = listed("id", ids)
    rows = tx.read(f"SELECT id, recipient_email, redirected_to FROM email_messages WHERE id IN ({names})", params)
    kept = set()
    for row in rows:
        message_id, before = row["id"], row["redirected_to"]
        to = destination_of(row["recipient_email"], before)
        if to is None:
            hand_back(tx, message_id, owner=owner)
            _hold_back(tx, message_id, held_back, ENVIRONMENT, now)
            continue
        kept.add(message_id)
        if to != (row["recipient_email"] if before is None else before):
            _update_held(tx, [message_id], owner, "redirected_to = :redirected_to", {"redirected_to": to})
    return [message_id for message_id in ids if message_id in kept]


def load_claimed(
    reader: Reader,
    ids: Collection[str],
    *,
    on_corrupt: Callable[[str, ArchiveCorrupt], None],
    unpackers: Unpackers,
) -> list[Claimed]:
    """Load all that building these messages needs, in the order of `ids`, without those gone or anonymised.

    A message whose bytes do not match their digest is passed to `on_corrupt` and left out. `unpackers` are kept from
    call to call: making one ready takes longer than a body.
    """
    if not ids:
        return []
    names, params = listed("id", ids)
    read = reader.read(f"SELECT {_OUTGOING_COLUMNS} FROM email_messages WHERE id IN ({names})", params)
    rows = {row["id"]: row for row in read}
    bodies = unpack_rows(
        reader, reader.read(f"SELECT {BODY_COLUMNS} FROM email_bodies WHERE message_id IN ({names})", params), unpackers
    )
    attached = _attached(reader, [row["id"] for row in read if row["attachments_count"]])
    loaded = []
    for message_id in ids:
        if message_id not in rows or message_id not in bodies:
            continue
        try:
            loaded.append(_claimed(rows[message_id], bodies[message_id], attached.get(message_id, ())))
        except ArchiveCorrupt as error:
            on_corrupt(message_id, error)
    return loaded


def renew(tx: Transaction, ids: Collection[str], *, owner: str, now: datetime, lease_s: int) -> set[str]:
    """Renew the leases that this worker still holds; returns the ids of those messages."""
    return _update_held(tx, ids, owner, "lease_until = :until", {"until": now + timedelta(seconds=lease_s)})


def note_data_started(tx: Transaction, message_id: str, *, owner: str, now: datetime) -> bool:
    """Note, before the end of data of a marketing message, that it may be sent from here on; False: lease lost."""
    return bool(_update_held(tx, [message_id], owner, "data_started_at = :started_at", {"started_at": now}))


def hand_back(tx: Transaction, message_id: str, *, owner: str) -> bool:
    """Return a claimed and untried message to the queue, due as before and without an event; False: lease lost."""
    queued = "status = 'queued', lease_owner = NULL, lease_until = NULL"
    return bool(_update_held(tx, [message_id], owner, queued, {}))


def sweep(tx: Transaction, *, now: datetime, latest: datetime | None = None) -> int:
    """Take messages back from dead workers; returns how many. Call again until it returns 0.

    A lease has lapsed when its end is past, or lies after `latest`: no lease ends so late, unless the clock was ahead.

    The message is queued again and the lapse counted; at LAPSES_MAX it is failed. A marketing message that may have
    been sent becomes `sent`, with an event `ambiguous`: better not at all than twice.
    """
    lapsed = "lease_until < :now" if latest is None else "(lease_until < :now OR lease_until > :latest)"
    rows = tx.execute(
        "SELECT id, stream, lease_owner, data_started_at, lapsed_leases FROM email_messages"
        f" WHERE status = 'sending' AND {lapsed} ORDER BY lease_until LIMIT {_MAX_SWEPT}{_skip_locked(tx)}",
        {"now": now, "latest": latest},
    )
    for row in rows:
        _take_back(tx, row, now)
    return len(rows)


def expire(tx: Transaction, now: datetime) -> int:
    """Fail queued messages whose expires_at is past; returns how many. Call again until it returns 0."""
    rows = tx.execute(
        "SELECT id, attempts FROM email_messages WHERE status = 'queued' AND expires_at <= :now"
        f" ORDER BY expires_at LIMIT {_MAX_SWEPT}{_skip_locked(tx)}",
        {"now": now},
    )
    for row in rows:
        detail = f"It could not be delivered in time ({row['attempts']} attempts were answered)."
        failed = Event(EventType.FAILED, now, "expiry", detail)
        transition(tx, row["id"], Status.FAILED, failed, changes={"error_message": detail})
        rate_limits.release_quota(tx, row["id"])
    return len(rows)


def next_due_at(reader: Reader) -> datetime | None:
    """When the next queued message is due, which may be in the past; None when nothing is queued."""
    # One index look-up per priority in each of the two partial indexes of queued messages.
    soonest = " UNION ALL ".join(
        "SELECT MIN(next_attempt_at) AS due_at FROM email_messages"
        f" WHERE status = 'queued' AND {kind} AND priority_rank = {priority.rank}"
        for priority in Priority
        for kind in (_NEW, _TRIED)
    )
    return min((row["due_at"] for row in reader.read(soonest) if row["due_at"] is not None), default=None)


#: Messages never tried, and tried before; each has a partial index.
_NEW, _TRIED = "attempts = 0", "attempts > 0"


def _due(tx: Transaction, priority: Priority, kind: str, now: datetime, limit: int) -> list[Row]:
    return tx.execute(
        "SELECT id, recipient_hash, stream FROM email_messages"
        f" WHERE status = 'queued' AND {kind} AND priority_rank = {priority.rank} AND next_attempt_at <= :now"
        f" AND expires_at > :now ORDER BY next_attempt_at, id LIMIT :limit{_skip_locked(tx)}",
        {"now": now, "limit": limit},
    )


def _suppress(tx: Transaction, due: Sequence[Row], now: datetime) -> set[str]:
    suppressed = set()
    for stream in Stream:
        rows = [row for row in due if row["stream"] == stream]
        found = suppressions.find(tx, {row["recipient_hash"] for row in rows}, stream)
        for row in rows:
            if suppression := found.get(row["recipient_hash"]):
                detail = f"The address is suppressed ({suppression.reason})."
                _hold_back(tx, row["id"], detail, suppression.reason, now)
                suppressed.add(row["id"])
    return suppressed


def _hold_back(tx: Transaction, message_id: str, detail: str, reason: str, now: datetime) -> None:
    event = Event(EventType.SUPPRESSED, now, "claim", detail)
    changes = {"error_message": detail, "suppressed_reason": reason}
    transition(tx, message_id, Status.SUPPRESSED, event, changes=changes)
    rate_limits.release_quota(tx, message_id)


def _lease(tx: Transaction, ids: list[str], owner: str, now: datetime, lease_s: int) -> Iterator[str]:
    if not ids:
        return iter(())
    names, params = listed("id", ids)
    taken = {
        row["id"]
        for row in tx.execute(
            "UPDATE email_messages SET status = 'sending', lease_owner = :owner, lease_until = :until"
            f" WHERE status = 'queued' AND id IN ({names}) RETURNING id",
            {**params, "owner": owner, "until": now + timedelta(seconds=lease_s)},
        )
    }
    return (message_id for message_id in ids if message_id in taken)


def _update_held(
    tx: Transaction, ids: Collection[str], owner: str, assignments: str, values: dict[str, Any]
) -> set[str]:
    if not ids:
        return set()
    names, params = listed("id", sorted(ids))
    rows = tx.execute(
        f"UPDATE email_messages SET {assignments}"
        f" WHERE status = 'sending' AND lease_owner = :owner AND id IN ({names}) RETURNING id",
        {**params, **values, "owner": owner},
    )
    return {row["id"] for row in rows}


def _take_back(tx: Transaction, row: Row, now: datetime) -> None:
    message_id, owner, lapses = row["id"], row["lease_owner"], row["lapsed_leases"] + 1
    if row["stream"] == Stream.MARKETING and row["data_started_at"] is not None:
        detail = "The worker stopped while the server was taking it: it may have been sent, and is not tried again."
        event = Event(EventType.AMBIGUOUS, now, "sweep", detail)
        transition(tx, message_id, Status.SENT, event, owner=owner, changes={"sent_at": row["data_started_at"]})
    elif lapses >= LAPSES_MAX:
        detail = f"Workers that held it stopped {lapses} times without releasing it."
        event = Event(EventType.FAILED, now, "sweep", detail)
        changes = {"lapsed_leases": lapses, "error_message": detail}
        transition(tx, message_id, Status.FAILED, event, owner=owner, changes=changes)
        rate_limits.release_quota(tx, message_id)
    else:
        detail = f"The worker stopped without releasing it ({lapses} of {LAPSES_MAX}); it is queued again."
        event = Event(EventType.DEFERRED, now, "sweep", detail)
        transition(tx, message_id, Status.QUEUED, event, owner=owner, changes={"lapsed_leases": lapses})


#: The fields of Outgoing in their order, and then the other columns that a claim needs.
_OUTGOING_COLUMNS = """
    id, template_key, stream, priority_rank, recipient_email, envelope_from, from_header, reply_to, subject, attempts,
    attempts_max, message_id, date_at, is_test, unsubscribe_url, visible_to, visible_cc, template_version,
    template_revision, is_template_named, redirected_to, template_ref, lapsed_leases, attachments_count
"""
_STREAMS = {stream.value: stream for stream in Stream}
_PRIORITIES = tuple(Priority)


def _claimed(row: Row, body: Body | ArchiveCorrupt, attached: Sequence[Row]) -> Claimed:
    if isinstance(body, ArchiveCorrupt):
        raise body
    id_, key, stream, rank, *plain, lapsed_leases, _ = row.values()
    message = Outgoing(id_, key, _STREAMS[stream], _PRIORITIES[rank], *plain)
    return Claimed(message, body, tuple(attachment_of(one) for one in attached) if attached else (), lapsed_leases)


def _attached(reader: Reader, ids: Sequence[str]) -> dict[str, list[Row]]:
    attached: dict[str, list[Row]] = {}
    names, params = listed("id", ids)
    if params:
        for row in reader.read(
            "SELECT named.message_id, named.filename, named.content_type, named.sha256, blob.data"
            " FROM email_attachments AS named JOIN attachment_blobs AS blob ON blob.sha256 = named.sha256"
            f" WHERE named.message_id IN ({names}) ORDER BY named.message_id, named.n",
            params,
        ):
            attached.setdefault(row["message_id"], []).append(row)
    return attached


def _skip_locked(tx: Transaction) -> str:
    # SQLite has one writer at a time; on PostgreSQL concurrent writers must not wait for each other's rows.
    return " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
