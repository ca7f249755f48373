"""Insert sends with their messages and first events, and find a send by its idempotency key.

Not here: `leases` claims due messages, `transitions` changes their status, `message_queries` reads them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from service.errors import StoreError
from service.models import Event, EventType, NewMessage, Priority, Role, Send, Status
from service.store.attachments import release
from service.store.body_codec import PackedBody
from service.store.database import Reader, Transaction
from service.store.transitions import EVENT_COLUMNS, event_values

#: How long an Idempotency-Key is kept; after that the caller may use it for another request.
IDEMPOTENCY_WINDOW = timedelta(hours=24)


class IdempotencyTaken(StoreError):
    """The caller has used this idempotency key in the last 24 hours; nothing was stored."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of a stored send, with the status that the first response named."""

    id: str
    recipient: str
    status_at_accept: Status
    role: Role


@dataclass(frozen=True, slots=True)
class StoredSend:
    """A stored send, with all that the first response said; `messages` are in the order of the request."""

    id: str
    template_key: str
    template_version: int
    template_revision: str
    request_digest: str | None
    is_test: bool
    created_at: datetime
    messages: tuple[StoredMessage, ...]


def add_sends(tx: Transaction, sends: Sequence[Send]) -> frozenset[str]:
    """Store sends; returns the ids of those whose idempotency key is taken, of which nothing is stored.

    Raises ConstraintBroken, ValueError for texts that can't be stored.
    """
    tx.insert("sends", _SEND_COLUMNS, [_send_row(send) for send in sends if send.idempotency_key is None])
    return frozenset(send.id for send in sends if send.idempotency_key is not None and not _add_keyed(tx, send))


def add_messages(tx: Transaction, sends: Sequence[tuple[Send, Sequence[tuple[NewMessage, PackedBody]]]]) -> None:
    """Store the messages, bodies, attachments' names and first events of stored sends: few statements for all of them.

    The revisions, their dictionaries and the attachments' blobs must be there; they may have been stored earlier in the
    same transaction. The holds of the blobs end. Raises ConstraintBroken, ValueError for texts that can't be stored.
    """
    flat = [pair for _, pairs in sends for pair in pairs]
    tx.insert(
        "email_messages",
        _MESSAGE_COLUMNS,
        [_message_row(send, n, message) for send, pairs in sends for n, (message, _) in enumerate(pairs)],
    )
    tx.insert("email_bodies", _BODY_COLUMNS, [_body_row(message.id, packed) for message, packed in flat])
    files = [row for message, _ in flat if message.attachments for row in _attachment_rows(message)]
    tx.insert("email_attachments", _ATTACHMENT_COLUMNS, files)
    if files:
        release(tx, [send.id for send, pairs in sends if any(message.attachments for message, _ in pairs)])
    events = [
        event_values(message.id, n, event) for message, _ in flat for n, event in enumerate(_first_events(message))
    ]
    tx.insert("email_events", EVENT_COLUMNS, events)


def find_send(reader: Reader, caller_id: str, idempotency_key: str, *, since: datetime) -> StoredSend | None:
    """The send that took this key at or after `since`; None where there is none."""
    rows = reader.read(
        "SELECT id, template_key, template_version, template_revision, request_digest, is_test, created_at FROM sends"
        " WHERE caller_id = :caller_id AND idempotency_key = :key AND created_at >= :since",
        {"caller_id": caller_id, "key": idempotency_key, "since": since},
    )
    if not rows:
        return None
    messages = reader.read(
        "SELECT id, recipient_email, status_at_accept, role FROM email_messages WHERE send_id = :id ORDER BY position",
        {"id": rows[0]["id"]},
    )
    return StoredSend(
        **rows[0],
        messages=tuple(
            StoredMessage(row["id"], row["recipient_email"], Status(row["status_at_accept"]), Role(row["role"]))
            for row in messages
        ),
    )


_RANKS = {priority: priority.rank for priority in Priority}
_SEND_COLUMNS = (
    "id", "caller_id", "caller_name", "idempotency_key", "request_digest", "template_key", "template_version",
    "template_revision", "is_test", "created_at", "deployment_id", "git_commit",
)  # fmt: skip
_MESSAGE_COLUMNS = (
    "id", "send_id", "position", "caller_id", "template_key", "template_version", "template_revision", "stream",
    "priority_rank", "recipient_email", "recipient_hash", "envelope_from", "from_header", "reply_to", "subject",
    "locale", "status", "status_at_accept", "send_at", "next_attempt_at", "expires_at", "attempts_max", "message_id",
    "date_at", "error_message", "source_endpoint", "variables", "metadata", "attachments_count", "sla_s", "sla_due_at",
    "is_test", "resend_of", "created_at", "unsubscribe_url", "role",
    "visible_to", "visible_cc", "is_template_named", "redirected_to", "suppressed_reason",
    "template_ref",
)  # fmt: skip
_BODY_COLUMNS = ("message_id", "codec", "dictionary_sha256", "html_bytes", "size_bytes", "sha256", "content")
_ATTACHMENT_COLUMNS = ("id", "message_id", "n", "filename", "content_type", "size_bytes", "sha256", "created_at")


def _add_keyed(tx: Transaction, send: Send) -> bool:
    """Insert a send with an idempotency key; False where the key is taken."""
    holder = {"caller_id": send.caller_id, "key": send.idempotency_key, "since": send.created_at - IDEMPOTENCY_WINDOW}
    row = dict(zip(_SEND_COLUMNS, _send_row(send), strict=True))
    if tx.execute(_INSERT_KEYED, row):
        return True
    # Rare: the key is taken, or was used more than a day ago and is freed now.
    freed = tx.execute(
        "UPDATE sends SET idempotency_key = NULL"
        " WHERE caller_id = :caller_id AND idempotency_key = :key AND created_at < :since RETURNING id",
        holder,
    )
    return bool(freed and tx.execute(_INSERT_KEYED, row))


_INSERT_KEYED = f"""
    INSERT INTO sends ({", ".join(_SEND_COLUMNS)}) VALUES ({", ".join(f":{column}" for column in _SEND_COLUMNS)})
    ON CONFLICT (caller_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING id
"""


def _send_row(send: Send) -> tuple[Any, ...]:
    return (
        send.id, send.caller_id, send.caller_name, send.idempotency_key, send.request_digest, send.template_key,
        send.template_version, send.template_revision, send.is_test, send.created_at, send.deployment_id,
        send.git_commit,
    )  # fmt: skip


def _message_row(send: Send, position: int, message: NewMessage) -> tuple[Any, ...]:
    if message.send_id != send.id:
        raise ValueError("the message belongs to another send")
    status, at = message.status, message.next_attempt_at
    return (
        message.id, send.id, position, send.caller_id, message.template_key, message.template_version,
        message.template_revision, message.stream, _RANKS[message.priority], message.recipient, message.recipient_hash,
        message.envelope_from, message.from_header, message.reply_to, message.subject, message.locale, status, status,
        at, at if status is Status.QUEUED else None, message.expires_at, message.attempts_max, message.rfc_message_id,
        message.date_at, message.status_reason, message.source_endpoint, _json(message.variables),
        _json(message.metadata), len(message.attachments), message.sla_s,
        at + timedelta(seconds=message.sla_s) if message.sla_s is not None else None, message.is_test,
        message.resend_of, message.created_at, message.unsubscribe_url, message.role, message.visible_to,
        message.visible_cc, True, message.redirected_to, message.suppressed_reason, message.template_ref,
    )  # fmt: skip


def _body_row(message_id: str, packed: PackedBody) -> tuple[Any, ...]:
    return (
        message_id, packed.codec, packed.dictionary_sha256, packed.html_bytes, packed.size_bytes, packed.sha256,
        packed.content,
    )  # fmt: skip


def _attachment_rows(message: NewMessage) -> list[tuple[Any, ...]]:
    return [
        (
            f"{message.id}/{n}", message.id, n, one.filename, one.content_type, one.size_bytes, one.sha256,
            message.created_at,
        )
        for n, one in enumerate(message.attachments)
    ]  # fmt: skip


def _first_events(message: NewMessage) -> list[Event]:
    redirected = f"Redirected to {message.redirected_to} in this environment." if message.redirected_to else None
    accepted = Event(EventType.ACCEPTED, message.created_at, "accept", redirected)
    if message.status is Status.QUEUED:
        return [accepted]
    # Suppressed and rate-limited messages have an event of the same name.
    return [accepted, Event(EventType(message.status), message.created_at, "accept", message.status_reason)]


def _json(value: Mapping[str, Any]) -> str:
    """JSON for any TEXT column: U+0000 is escaped in JSON, and so are lone surrogates."""
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True, default=str)
