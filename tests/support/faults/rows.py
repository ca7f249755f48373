"""Store many small messages quickly, for the tests of faults."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.models import NewMessage, Priority, Send, Status, Stream
from service.store import messages, revisions
from service.store.body_codec import Packer, PlainBody
from service.store.database import Database, listed
from service.store.revisions import Revision

NOW = datetime(2026, 2, 21, 14, 30, tzinfo=UTC)
_REVISION = Revision("f" * 64, "onboarding_welcome", 1, None, False, b"{}", None, NOW)
_numbers = itertools.count(1)


def add_messages(database: Database, count: int, **fields: Any) -> list[str]:
    """Store `count` messages of one send, and return their ids."""
    n = next(_numbers)
    at = fields.get("created_at", NOW)
    send = Send(
        id=f"send-{n:06}",
        caller_id="caller",
        caller_name="Caller",
        template_key=_REVISION.key,
        template_version=1,
        template_revision=_REVISION.revision,
        created_at=at,
    )
    copies = [replace(_message(send, n, position), **fields) for position in range(count)]
    packed = Packer(None).pack_all([PlainBody.of("<p>html</p>", "text")])[0]

    def work(tx: Any) -> None:
        revisions.save_revision(tx, _REVISION)
        messages.add_sends(tx, [send])
        messages.add_messages(tx, [(send, [(copy, packed) for copy in copies])])

    database.write(work)
    return [copy.id for copy in copies]


def statuses(database: Database, ids: Sequence[str]) -> list[str]:
    names, params = listed("id", ids)
    rows = database.read(f"SELECT id, status FROM email_messages WHERE id IN ({names})", params)
    found = {row["id"]: row["status"] for row in rows}
    return [found[id_] for id_ in ids]


def _message(send: Send, n: int, position: int) -> NewMessage:
    name = f"{n:06}-{position:04}"
    return NewMessage(
        id=f"message-{name}",
        send_id=send.id,
        template_key=send.template_key,
        template_version=1,
        template_revision=send.template_revision,
        stream=Stream.TRANSACTIONAL,
        priority=Priority.NORMAL,
        recipient=f"p{name}@example.org",
        recipient_hash=f"hash-{name}",
        envelope_from="noreply@rgz.bj",
        from_header="RGZ <noreply@rgz.bj>",
        reply_to=None,
        subject="Bienvenue",
        html="",
        text="",
        locale="fr",
        status=Status.QUEUED,
        created_at=send.created_at,
        next_attempt_at=send.created_at,
        expires_at=send.created_at + timedelta(days=1),
        attempts_max=3,
        rfc_message_id=f"{name}@rgz.bj",
        date_at=send.created_at,
        source_endpoint="test",
    )
