"""Invoices that are due for delivery: some really accepted, the others copies of their rows.

Each accepted one has another content; each copy has its own id, Message-ID and recipient. Copying makes 50,000 due
messages within seconds, and the database is as after 50,000 requests.
"""

import itertools
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import uuid_utils

from benches.invoice import KEY, values
from service.bootstrap import Services
from service.models import Caller, Priority, Scope
from service.models.requests import SendRequest
from service.store.database import Database, Transaction, listed
from service.store.database.contract import Row

#: Different mails behind the copies: a worker must not gain from sending the same bytes again.
VARIANTS = 40
#: Lines of an invoice whose HTML has about 25 KB.
LINES = 7
_CALLER = Caller("bench", "bench", frozenset({Scope.SEND}))
_COPIES_PER_TRANSACTION = 1_000
_FIRST_NAMES = ("Ayaba", "Coffi", "Dossou", "Enagnon", "Fifamè", "Gbèdo", "Houéfa", "Koffi", "Mahougnon", "Sèna")
_LAST_NAMES = ("Adjovi", "Agossou", "Bio", "Dansou", "Hounkpatin", "Kpade", "Lawani", "Soglo", "Tossou", "Zinsou")

#: The rows of one message by table, in the order in which they are inserted.
MessageRows = Mapping[str, Sequence[Mapping[str, Any]]]


def variables(number: int, lines_count: int = LINES) -> dict[str, Any]:
    """Variables of one invoice: random names, and amounts that follow from `number`."""
    base = values()
    name = f"{secrets.choice(_FIRST_NAMES)} {secrets.choice(_LAST_NAMES)} {secrets.token_hex(3)}"
    lines = [line | {"label": f"{line['label']} {secrets.token_hex(4)}"} for line in base["lines"][:lines_count]]
    return base | {
        "company": name,
        "number": f"INV-2026-{number:06}",
        "total": f"{number + 1} 450 FCFA",
        "lines": lines,
    }


def accept_invoices(services: Services, count: int, lines_count: int = LINES) -> list[str]:
    """Accept `count` invoices as `/send` does; their message ids."""
    ids = []
    for number in range(count):
        request = SendRequest(to=f"a{number}@example.com", template_key=KEY, variables=variables(number, lines_count))
        ids.append(services.sending.acceptor.send(request, _CALLER).messages[0].id)
    return ids


def queue_invoices(services: Services, count: int) -> None:
    """Store `count` invoices with the priority `bulk`, due now."""
    ids = accept_invoices(services, min(count, VARIANTS))
    names, params = listed("id", ids)
    services.database.write(
        lambda tx: tx.execute(
            f"UPDATE email_messages SET priority_rank = :rank WHERE id IN ({names})",
            {**params, "rank": Priority.BULK.rank},
        )
    )
    copies = _copies(stored_rows(services.database, ids, "email_messages", "email_bodies", "email_events"))
    insert_copies(services.database, itertools.islice(copies, count - len(ids)))


def stored_rows(database: Database, ids: Sequence[str], *tables: str) -> list[dict[str, list[Row]]]:
    """The rows of these messages in `tables`, which hold them by `id` (`email_messages`) or `message_id`."""
    names, params = listed("id", ids)
    found: list[dict[str, list[Row]]] = [{table: [] for table in tables} for _ in ids]
    index = {id: position for position, id in enumerate(ids)}
    for table in tables:
        key = "id" if table == "email_messages" else "message_id"
        for row in database.read(f"SELECT * FROM {table} WHERE {key} IN ({names})", params):
            found[index[row[key]]][table].append(row)
    return found


def insert_copies(database: Database, copies: Iterable[MessageRows]) -> None:
    """Insert all rows of these messages, 1,000 messages a transaction."""
    remaining = iter(copies)
    while batch := list(itertools.islice(remaining, _COPIES_PER_TRANSACTION)):
        database.write(partial(_insert, batch=batch))


def _insert(tx: Transaction, batch: Sequence[MessageRows]) -> None:
    for table in batch[0]:
        rows = [row for copy in batch for row in copy[table]]
        columns = tuple(rows[0])
        tx.insert(table, columns, [tuple(row[column] for column in columns) for row in rows])


def _copies(originals: Sequence[MessageRows]) -> Iterator[MessageRows]:
    for number, original in enumerate(itertools.cycle(originals)):
        id = str(uuid_utils.uuid7())
        [message] = original["email_messages"]
        yield {
            "email_messages": [
                {
                    **message,
                    "id": id,
                    "message_id": f"{id}@example.com",
                    "recipient_email": f"b{number}@example.com",
                    "recipient_hash": id,
                }
            ],
            "email_bodies": [{**row, "message_id": id} for row in original["email_bodies"]],
            "email_events": [{**row, "message_id": id} for row in original["email_events"]],
        }
