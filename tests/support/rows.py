"""Sends and messages with default values, and functions that store and read them."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.models import Attachment, Event, EventType, NewMessage, Priority, Send, Status, Stream
from service.store import attachments, leases, message_queries, messages, revisions
from service.store.body_codec import PackedBody, Packer, PlainBody
from service.store.database import Database, Transaction
from service.store.revisions import Revision

NOW = datetime(2026, 2, 21, 14, 30, 0, 123456, tzinfo=UTC)
HTML = "<p>Votre facture n° 42 est prête ✓ 😀</p>" * 50
TEXT = "Votre facture n° 42 est prête ✓ 😀"
DICTIONARY = HTML.replace("42", "17").encode()
REVISION = Revision("a" * 64, "billing_invoice_monthly", 1, None, False, b'{"source": "..."}', DICTIONARY, NOW)

_numbers: Iterator[int] = itertools.count(1)


def number() -> int:
    return next(_numbers)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def event(type_: EventType, at: datetime = NOW, **fields: Any) -> Event:
    return Event(type_, at, "test", **fields)


def new_send(**fields: Any) -> Send:
    send = Send(
        id=f"send-{number():06}",
        caller_id="billing",
        caller_name="Billing",
        template_key="billing_invoice_monthly",
        template_version=1,
        template_revision=REVISION.revision,
        created_at=NOW,
    )
    return replace(send, **fields)


def new_message(send: Send, **fields: Any) -> NewMessage:
    n = number()
    message = NewMessage(
        id=f"message-{n:06}",
        send_id=send.id,
        template_key=send.template_key,
        template_version=send.template_version,
        template_revision=send.template_revision,
        stream=Stream.TRANSACTIONAL,
        priority=Priority.NORMAL,
        recipient=f"person{n}@example.org",
        recipient_hash=f"hash-{n}",
        envelope_from="noreply@rgz.bj",
        from_header="RGZ <noreply@rgz.bj>",
        reply_to="support@rgz.bj",
        subject="Facture RGZ — février 2026",
        html=HTML,
        text=TEXT,
        locale="fr",
        status=Status.QUEUED,
        created_at=send.created_at,
        next_attempt_at=send.created_at,
        expires_at=send.created_at + timedelta(days=1),
        attempts_max=3,
        rfc_message_id=f"{n}@rgz.bj",
        date_at=send.created_at,
        source_endpoint="billing",
    )
    return replace(message, **fields)


def attachment(data: bytes = b"%PDF-1.4 ...", filename: str = "invoice.pdf") -> Attachment:
    return Attachment(filename, "application/pdf", data, hashlib.sha256(data).hexdigest())


def pack(html: str, text: str, *, dictionary: bytes | None) -> PackedBody:
    return Packer(dictionary).pack_all([PlainBody.of(html, text)])[0]


def add(tx: Transaction, send: Send, packed: Sequence[tuple[NewMessage, PackedBody]]) -> None:
    """Stores a send with its messages, as a group commit of one does."""
    if messages.add_sends(tx, [send]):
        raise messages.IdempotencyTaken("the key is in use")
    messages.add_messages(tx, [(send, packed)])


def store(database: Database, *copies: NewMessage, send: Send) -> list[str]:
    """Store a send as the service does: blobs first, then revision, send and messages in one transaction."""
    packed = [(copy, pack(copy.html, copy.text, dictionary=DICTIONARY)) for copy in copies]
    attachments.save_blobs(database, [file for copy in copies for file in copy.attachments], send_id=send.id, now=NOW)

    def work(tx: Transaction) -> None:
        revisions.save_revision(tx, REVISION)
        add(tx, send, packed)

    database.write(work)
    return [copy.id for copy in copies]


def store_one(database: Database, **fields: Any) -> str:
    """Store one message of a new send, and return its id."""
    send = new_send(created_at=fields.get("created_at", NOW))
    return store(database, new_message(send, **fields), send=send)[0]


def claim(database: Database, *, owner: str = "worker", now: datetime = NOW, limit: int = 50) -> list[str]:
    return database.write(lambda tx: leases.claim(tx, owner=owner, now=now, lease_s=30, limit=limit))


def status(database: Database, message_id: str) -> Status:
    found = message_queries.get(database, message_id, now=NOW)
    assert found is not None
    return found.status


def timeline(database: Database, message_id: str) -> list[str]:
    return [event.type.value for event in message_queries.events(database, message_id)]
