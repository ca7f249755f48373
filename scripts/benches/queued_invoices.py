"""Invoices that wait to be delivered: some are really accepted, the others are copies of their rows.

Each accepted one is another rendering; a copy has an id, a Message-ID and a recipient of its own. Copying is how
50,000 come to wait within seconds; all that delivering touches is as after 50,000 requests.
"""

import itertools
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import uuid_utils

from benches.invoice import KEY, values
from service.bootstrap import Services
from service.models import Caller, Priority, Scope
from service.models.requests import SendRequest
from service.store.database import Transaction, listed
from service.store.database.contract import Row

#: So many different mails; a worker must not profit from sending the same bytes again.
VARIANTS = 40
#: With so many rows the HTML of the invoice has about 25 KB.
LINES = 7
_CALLER = Caller("bench", "bench", frozenset({Scope.SEND}))
_A_TRANSACTION = 500
_FIRST_NAMES = ("Ayaba", "Coffi", "Dossou", "Enagnon", "Fifamè", "Gbèdo", "Houéfa", "Koffi", "Mahougnon", "Sèna")
_LAST_NAMES = ("Adjovi", "Agossou", "Bio", "Dansou", "Hounkpatin", "Kpade", "Lawani", "Soglo", "Tossou", "Zinsou")


def variables(number: int, lines_count: int = LINES) -> dict[str, Any]:
    """An invoice of its own: random names, and amounts that follow from `number`."""
    said = values()
    name = f"{secrets.choice(_FIRST_NAMES)} {secrets.choice(_LAST_NAMES)} {secrets.token_hex(3)}"
    lines = [line | {"label": f"{line['label']} {secrets.token_hex(4)}"} for line in said["lines"][:lines_count]]
    return said | {
        "company": name,
        "number": f"INV-2026-{number:06}",
        "total": f"{number + 1} 450 FCFA",
        "lines": lines,
    }


def accept_invoices(services: Services, count: int, lines_count: int = LINES) -> list[str]:
    """Invoices that are really accepted; their ids."""
    ids = []
    for number in range(count):
        said = variables(number, lines_count)
        request = SendRequest(to=f"a{number}@example.com", template_key=KEY, variables=said)
        ids.append(services.sending.acceptor.send(request, _CALLER).messages[0].id)
    return ids


def queue_invoices(services: Services, count: int, *, priority: Priority = Priority.BULK) -> None:
    """`count` invoices, due now."""
    ids = accept_invoices(services, min(count, VARIANTS))
    names, params = listed("id", ids)
    services.database.write(
        lambda tx: tx.execute(
            f"UPDATE email_messages SET priority_rank = :rank WHERE id IN ({names})", {**params, "rank": priority.rank}
        )
    )
    copies = itertools.islice(_copies(_models(services, ids)), count - len(ids))
    while batch := list(itertools.islice(copies, _A_TRANSACTION)):
        services.database.write(partial(_insert, copies=batch))


def _models(services: Services, ids: list[str]) -> list[Mapping[str, Row]]:
    names, params = listed("id", ids)

    def rows(table: str, key: str) -> dict[str, Row]:
        found = services.database.read(f"SELECT * FROM {table} WHERE {key} IN ({names})", params)
        return {row[key]: row for row in found}

    messages, bodies = rows("email_messages", "id"), rows("email_bodies", "message_id")
    events = rows("email_events", "message_id")
    return [{"email_messages": messages[one], "email_bodies": bodies[one], "email_events": events[one]} for one in ids]


def _copies(models: list[Mapping[str, Row]]) -> Iterator[Mapping[str, Row]]:
    for number, model in enumerate(itertools.cycle(models)):
        own = str(uuid_utils.uuid7())
        message = model["email_messages"] | {
            "id": own,
            "message_id": f"{own}@example.com",
            "recipient_email": f"b{number}@example.com",
            "recipient_hash": own,
        }
        yield {
            "email_messages": message,
            "email_bodies": model["email_bodies"] | {"message_id": own},
            "email_events": model["email_events"] | {"message_id": own},
        }


def _insert(tx: Transaction, copies: list[Mapping[str, Row]]) -> None:
    for table in ("email_messages", "email_bodies", "email_events"):
        columns = tuple(copies[0][table])
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"
        tx.execute_many(sql, [copy[table] for copy in copies])
