"""A year of mail in a database: a few accepted invoices, and copies of their rows in the states that mail ends in.

Reading, claiming and accepting touch the same states, timelines, bodies and indexes as if each had been sent.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import uuid_utils

from benches.queued_invoices import VARIANTS, MessageRows, accept_invoices, insert_copies, stored_rows
from service.bootstrap import Services
from service.mail import addresses
from service.models import Status
from service.store.database import Transaction

PERIOD = timedelta(days=365)
#: Messages of each recipient in the year.
MESSAGES_PER_RECIPIENT = 50
#: Final states, in shares of a thousand.
_SHARES = {
    Status.DELIVERED: 930,
    Status.SENT: 44,
    Status.BOUNCED: 15,
    Status.FAILED: 10,
    Status.COMPLAINT: 1,
}
#: The archive is the same in each run.
_SEED = 1


@dataclass(frozen=True)
class Archive:
    """Samples of a filled database: message ids and recipient addresses, 500 of each at most."""

    ids: list[str]
    recipients: list[str]


@dataclass(frozen=True, slots=True)
class _Recipient:
    address: str
    hash: str

    @classmethod
    def numbered(cls, number: int, key: bytes) -> "_Recipient":
        address = f"customer{number}@example.com"
        return cls(address, addresses.pseudonym(address, key=key))


def fill(services: Services, count: int) -> Archive:
    """Store `count` messages of the last year, none of them due."""
    ids = accept_invoices(services, min(count, VARIANTS))
    originals = _originals(services, ids)
    key = services.messages.message_search.pseudonym_key
    recipients = [_Recipient.numbered(number, key) for number in range(max(1, count // MESSAGES_PER_RECIPIENT))]
    rng = random.Random(_SEED)  # noqa: S311 - nothing here is a secret
    insert_copies(services.database, _copies(originals, recipients, count - len(originals), services.clock(), rng))
    services.database.write(_cancel_queued)
    stored = [row["id"] for row in services.database.read("SELECT id FROM email_messages ORDER BY id LIMIT 200000")]
    return Archive(rng.sample(stored, min(500, len(stored))), [recipient.address for recipient in recipients[:500]])


def _originals(services: Services, ids: Sequence[str]) -> list[MessageRows]:
    """The rows of these messages, the row of their send first."""
    originals: list[MessageRows] = []
    for rows in stored_rows(services.database, ids, "email_messages", "email_bodies", "email_events"):
        sends = services.database.read(
            "SELECT * FROM sends WHERE id = :id", {"id": rows["email_messages"][0]["send_id"]}
        )
        originals.append({"sends": sends, **rows})
    return originals


def _copies(
    originals: Sequence[MessageRows],
    recipients: Sequence[_Recipient],
    count: int,
    now: datetime,
    rng: random.Random,
) -> Iterator[MessageRows]:
    statuses, weights = list(_SHARES), list(_SHARES.values())
    for number, original in zip(range(count), itertools.cycle(originals), strict=False):
        id, send_id = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
        accepted_at = now - PERIOD + PERIOD * (number / count)
        [status], recipient = rng.choices(statuses, weights), rng.choice(recipients)
        [send], [message] = original["sends"], original["email_messages"]
        [body], [event] = original["email_bodies"], original["email_events"]
        attempted_at = accepted_at + timedelta(seconds=2)
        was_sent = status is not Status.FAILED
        yield {
            "sends": [{**send, "id": send_id, "idempotency_key": None, "created_at": accepted_at}],
            "email_messages": [
                {
                    **message,
                    "id": id,
                    "send_id": send_id,
                    "message_id": f"{id}@example.com",
                    "recipient_email": recipient.address,
                    "recipient_hash": recipient.hash,
                    "status": status.value,
                    "send_at": accepted_at,
                    "created_at": accepted_at,
                    "next_attempt_at": None,
                    "attempts": 1,
                    "sent_at": attempted_at if was_sent else None,
                    "delivered_at": attempted_at if status is Status.DELIVERED else None,
                    "provider_id": f"queued-{id[-12:]}" if was_sent else None,
                    "bounce_type": "permanent" if status is Status.BOUNCED else None,
                    "bounce_subtype": "NoEmail" if status is Status.BOUNCED else None,
                    "smtp_reply": "250 2.0.0 Ok: queued" if was_sent else "554 5.7.1 refused",
                }
            ],
            "email_bodies": [{**body, "message_id": id}],
            "email_events": [
                {**event, "message_id": id, "happened_at": accepted_at},
                {
                    **event,
                    "message_id": id,
                    "seq": 1,
                    "type": "sent" if was_sent else "failed",
                    "happened_at": attempted_at,
                    "source": "smtp",
                    "smtp_code": 250 if was_sent else 554,
                    "smtp_reply": "2.0.0 Ok: queued" if was_sent else "5.7.1 refused",
                },
            ],
        }


def _cancel_queued(tx: Transaction) -> None:
    """Cancel the accepted originals, so that nothing is delivered while a bench measures."""
    tx.execute("UPDATE email_messages SET status = 'cancelled', next_attempt_at = NULL WHERE status = 'queued'")
