"""Taking in: a send, its messages and their first events, and finding it again by its idempotency key.

What becomes of them is elsewhere: `claims` hands out what is due, `timeline` moves states, `history` reads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.errors import StoreError
from service.models import Event, EventType, NewMessage, Send, Status
from service.store.archive import PackedBody
from service.store.database import Reader, Transaction
from service.store.timeline import INSERT_EVENT, event_row

#: How long an idempotency key holds; after that it may be used anew.
IDEMPOTENCY_WINDOW = timedelta(hours=24)


class IdempotencyTaken(StoreError):
    """This caller has used this key in the last 24 hours; nothing was stored."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One recipient of a stored send, with the status that the first answer named."""

    id: str
    recipient: str
    status_at_accept: Status


@dataclass(frozen=True, slots=True)
class StoredSend:
    """What the first answer to an idempotency key said; `messages` in the order of the request."""

    id: str
    template_key: str
    template_version: int
    template_revision: str
    request_digest: str | None
    is_test: bool
    created_at: datetime
    messages: tuple[StoredMessage, ...]


def add(tx: Transaction, send: Send, messages: Sequence[tuple[NewMessage, PackedBody]]) -> None:
    """Stores a send with its messages, bodies, attachments' names and first events.

    The revision, its dictionary and the attachments' blobs must be there (`save_revision` may run earlier in the same
    transaction). Raises IdempotencyTaken, ConstraintBroken, ValueError for texts that can't be stored.
    """
    _add_send(tx, send)
    tx.execute_many(_INSERT_MESSAGE, [_message_row(send, n, message) for n, (message, _) in enumerate(messages)])
    tx.execute_many(
        "INSERT INTO email_bodies (message_id, codec, dictionary_sha256, html_bytes, size_bytes, sha256, content)"
        " VALUES (:message_id, :codec, :dictionary_sha256, :html_bytes, :size_bytes, :sha256, :content)",
        [_body_row(message.id, packed) for message, packed in messages],
    )
    tx.execute_many(
        "INSERT INTO email_attachments (id, message_id, n, filename, content_type, size_bytes, sha256, created_at)"
        " VALUES (:id, :message_id, :n, :filename, :content_type, :size_bytes, :sha256, :created_at)",
        [row for message, _ in messages for row in _attachment_rows(message)],
    )
    tx.execute_many(
        INSERT_EVENT,
        [
            event_row(message.id, seq, event)
            for message, _ in messages
            for seq, event in enumerate(_first_events(message))
        ],
    )


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
        "SELECT id, recipient_email, status_at_accept FROM email_messages WHERE send_id = :id ORDER BY position",
        {"id": rows[0]["id"]},
    )
    return StoredSend(
        **rows[0],
        messages=tuple(
            StoredMessage(row["id"], row["recipient_email"], Status(row["status_at_accept"])) for row in messages
        ),
    )


_INSERT_MESSAGE = """
    INSERT INTO email_messages (
        id, send_id, position, caller_id, template_key, template_version, template_revision, stream, priority_rank,
        recipient_email, recipient_hash, envelope_from, from_header, reply_to, subject, locale, status,
        status_at_accept, send_at, next_attempt_at, expires_at, attempts_max, message_id, date_at, error_message,
        source_endpoint, variables, metadata, attachments_count, sla_s, is_test, resend_of, created_at
    ) VALUES (
        :id, :send_id, :position, :caller_id, :template_key, :template_version, :template_revision, :stream,
        :priority_rank, :recipient_email, :recipient_hash, :envelope_from, :from_header, :reply_to, :subject, :locale,
        :status, :status, :send_at, :next_attempt_at, :expires_at, :attempts_max, :message_id, :date_at,
        :error_message, :source_endpoint, :variables, :metadata, :attachments_count, :sla_s, :is_test, :resend_of,
        :created_at
    )
"""


def _add_send(tx: Transaction, send: Send) -> None:
    if send.idempotency_key is not None:
        tx.execute(
            "UPDATE sends SET idempotency_key = NULL"
            " WHERE caller_id = :caller_id AND idempotency_key = :key AND created_at < :since",
            {
                "caller_id": send.caller_id,
                "key": send.idempotency_key,
                "since": send.created_at - IDEMPOTENCY_WINDOW,
            },
        )
    stored = tx.execute(
        "INSERT INTO sends (id, caller_id, caller_name, idempotency_key, request_digest, template_key,"
        " template_version, template_revision, is_test, created_at) VALUES (:id, :caller_id, :caller_name,"
        " :idempotency_key, :request_digest, :template_key, :template_version, :template_revision, :is_test,"
        " :created_at)"
        " ON CONFLICT (caller_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING id",
        {
            "id": send.id,
            "caller_id": send.caller_id,
            "caller_name": send.caller_name,
            "idempotency_key": send.idempotency_key,
            "request_digest": send.request_digest,
            "template_key": send.template_key,
            "template_version": send.template_version,
            "template_revision": send.template_revision,
            "is_test": send.is_test,
            "created_at": send.created_at,
        },
    )
    if not stored:
        raise IdempotencyTaken("This idempotency key has been used in the last 24 hours.")


def _message_row(send: Send, position: int, message: NewMessage) -> dict[str, Any]:
    if message.send_id != send.id:
        raise ValueError("the message belongs to another send")
    waits = message.status is Status.QUEUED
    return {
        "id": message.id,
        "send_id": send.id,
        "position": position,
        "caller_id": send.caller_id,
        "template_key": message.template_key,
        "template_version": message.template_version,
        "template_revision": message.template_revision,
        "stream": message.stream,
        "priority_rank": message.priority.rank,
        "recipient_email": message.recipient,
        "recipient_hash": message.recipient_hash,
        "envelope_from": message.envelope_from,
        "from_header": message.from_header,
        "reply_to": message.reply_to,
        "subject": message.subject,
        "locale": message.locale,
        "status": message.status,
        "send_at": message.next_attempt_at,
        "next_attempt_at": message.next_attempt_at if waits else None,
        "expires_at": message.expires_at,
        "attempts_max": message.attempts_max,
        "message_id": message.message_id,
        "date_at": message.date_at,
        "error_message": message.status_reason,
        "source_endpoint": message.source_endpoint,
        "variables": _json(message.variables),
        "metadata": _json(message.metadata),
        "attachments_count": len(message.attachments),
        "sla_s": message.sla_s,
        "is_test": message.is_test,
        "resend_of": message.resend_of,
        "created_at": message.created_at,
    }


def _body_row(message_id: str, packed: PackedBody) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "codec": packed.codec,
        "dictionary_sha256": packed.dictionary_sha256,
        "html_bytes": packed.html_bytes,
        "size_bytes": packed.size_bytes,
        "sha256": packed.sha256,
        "content": packed.content,
    }


def _attachment_rows(message: NewMessage) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{message.id}/{n}",
            "message_id": message.id,
            "n": n,
            "filename": attachment.filename,
            "content_type": attachment.content_type,
            "size_bytes": attachment.size_bytes,
            "sha256": attachment.sha256,
            "created_at": message.created_at,
        }
        for n, attachment in enumerate(message.attachments)
    ]


def _first_events(message: NewMessage) -> list[Event]:
    accepted = Event(EventType.ACCEPTED, message.created_at, "accept")
    if message.status is Status.QUEUED:
        return [accepted]
    # The other two states at accept are events of the same name.
    return [accepted, Event(EventType(message.status), message.created_at, "accept", message.status_reason)]


def _json(value: Mapping[str, Any]) -> str:
    # ASCII only: U+0000 and lone surrogates are escapes then, which any TEXT holds.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, default=str)
