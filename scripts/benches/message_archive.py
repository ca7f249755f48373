"""A year of mail in a database: a few invoices that are really accepted, and copies of their rows as they look later.

All that reading, claiming and accepting touch is as if each had been sent: states, timelines, bodies, indexes.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import uuid_utils

from benches.queued_invoices import accept_invoices
from service.bootstrap import Services
from service.mail import addresses
from service.models import Status
from service.store.database import Transaction, listed
from service.store.database.contract import Row

#: So many different mails stand behind the copies.
VARIANTS = 40
PERIOD = timedelta(days=365)
#: Somebody gets so many of the mails, most of them bills of each month.
MAILS_A_PERSON = 50
_A_TRANSACTION = 2_000
#: What became of them, in shares of a thousand.
_SHARES = {
    Status.DELIVERED: 930,
    Status.SENT: 44,
    Status.BOUNCED: 15,
    Status.FAILED: 10,
    Status.COMPLAINT: 1,
}
_TABLES = ("sends", "email_messages", "email_bodies", "email_events")


@dataclass(frozen=True)
class Filled:
    """What is there to be asked for."""

    ids: list[str]
    people: list[str]


def fill(services: Services, count: int, *, seed: int = 1) -> Filled:
    """`count` messages of the last year, none of them due. Some hundred of their ids and addresses."""
    models = _models(services, accept_invoices(services, min(count, VARIANTS)))
    key = services.messages.message_search.pseudonym_key
    people = [_Person.of(number, key) for number in range(max(1, count // MAILS_A_PERSON))]
    chance = random.Random(seed)  # noqa: S311 - the same year each time
    copies = _copies(models, people, count - len(models), services.clock(), chance)
    while batch := list(itertools.islice(copies, _A_TRANSACTION)):
        services.database.write(partial(_insert, copies=batch))
    services.database.write(_settle)
    ids = [row["id"] for row in services.database.read("SELECT id FROM email_messages ORDER BY id LIMIT 200000")]
    return Filled(chance.sample(ids, min(500, len(ids))), [one.address for one in people[:500]])


@dataclass(frozen=True, slots=True)
class _Person:
    address: str
    hash: str

    @classmethod
    def of(cls, number: int, key: bytes) -> "_Person":
        address = f"customer{number}@example.com"
        return cls(address, addresses.pseudonym(address, key=key))


def _models(services: Services, ids: list[str]) -> list[dict[str, list[Row]]]:
    names, params = listed("id", ids)

    def rows(table: str, key: str) -> list[Row]:
        return list(services.database.read(f"SELECT * FROM {table} WHERE {key} IN ({names}) ORDER BY {key}", params))

    messages = {row["id"]: row for row in rows("email_messages", "id")}
    sent, sent_params = listed("id", [row["send_id"] for row in messages.values()])
    sends = {row["id"]: row for row in services.database.read(f"SELECT * FROM sends WHERE id IN ({sent})", sent_params)}
    bodies = {row["message_id"]: row for row in rows("email_bodies", "message_id")}
    events = {row["message_id"]: row for row in rows("email_events", "message_id")}
    return [
        {
            "sends": [sends[message["send_id"]]],
            "email_messages": [message],
            "email_bodies": [bodies[id]],
            "email_events": [events[id]],
        }
        for id, message in messages.items()
    ]


def _copies(
    models: list[dict[str, list[Row]]], people: list[_Person], count: int, now: datetime, chance: random.Random
) -> Iterator[Mapping[str, list[Mapping[str, Any]]]]:
    statuses, weights = list(_SHARES), list(_SHARES.values())
    for number, model in zip(range(count), itertools.cycle(models), strict=False):
        own, send = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
        at = now - PERIOD + PERIOD * (number / count)
        [status], person = chance.choices(statuses, weights), chance.choice(people)
        [message], [event] = model["email_messages"], model["email_events"]
        came = at + timedelta(seconds=2)
        was_sent = status is not Status.FAILED
        yield {
            "sends": [{**model["sends"][0], "id": send, "idempotency_key": None, "created_at": at}],
            "email_messages": [
                {
                    **message,
                    "id": own,
                    "send_id": send,
                    "message_id": f"{own}@example.com",
                    "recipient_email": person.address,
                    "recipient_hash": person.hash,
                    "status": status.value,
                    "send_at": at,
                    "created_at": at,
                    "next_attempt_at": None,
                    "attempts": 1,
                    "sent_at": came if was_sent else None,
                    "delivered_at": came if status is Status.DELIVERED else None,
                    "provider_id": f"queued-{own[-12:]}" if was_sent else None,
                    "bounce_type": "permanent" if status is Status.BOUNCED else None,
                    "bounce_subtype": "NoEmail" if status is Status.BOUNCED else None,
                    "smtp_reply": "250 2.0.0 Ok: queued" if was_sent else "554 5.7.1 refused",
                }
            ],
            "email_bodies": [{**model["email_bodies"][0], "message_id": own}],
            "email_events": [
                {**event, "message_id": own, "happened_at": at},
                {
                    **event,
                    "message_id": own,
                    "seq": 1,
                    "type": "sent" if was_sent else "failed",
                    "happened_at": came,
                    "source": "smtp",
                    "smtp_code": 250 if was_sent else 554,
                    "smtp_reply": "2.0.0 Ok: queued" if was_sent else "5.7.1 refused",
                },
            ],
        }


def _insert(tx: Transaction, copies: list[Mapping[str, list[Mapping[str, Any]]]]) -> None:
    for table in _TABLES:
        rows = [row for copy in copies for row in copy[table]]
        columns = tuple(rows[0])
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"
        tx.execute_many(sql, rows)


def _settle(tx: Transaction) -> None:
    """The accepted ones are not to leave while something is measured."""
    tx.execute("UPDATE email_messages SET status = 'cancelled', next_attempt_at = NULL WHERE status = 'queued'")
