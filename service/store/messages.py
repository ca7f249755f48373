"""Sends, messages and their timeline: the one name under which the verbs know them.

`intake` takes in, `claims` hands out what is due, `timeline` moves states, `history` reads.
"""

from service.store.claims import (
    claim,
    expire,
    hand_back,
    load_claimed,
    next_due_at,
    note_data_started,
    renew,
    sweep,
)
from service.store.history import (
    MessageQuery,
    Page,
    attachment,
    attachments,
    body,
    count_by_status,
    events,
    get,
    search,
    variables,
)
from service.store.intake import IDEMPOTENCY_WINDOW, IdempotencyTaken, StoredMessage, StoredSend, add, find_send
from service.store.timeline import CHANGEABLE, add_event, note_sent, transition

__all__ = [
    "CHANGEABLE",
    "IDEMPOTENCY_WINDOW",
    "IdempotencyTaken",
    "MessageQuery",
    "Page",
    "StoredMessage",
    "StoredSend",
    "add",
    "add_event",
    "attachment",
    "attachments",
    "body",
    "claim",
    "count_by_status",
    "events",
    "expire",
    "find_send",
    "get",
    "hand_back",
    "load_claimed",
    "next_due_at",
    "note_data_started",
    "note_sent",
    "renew",
    "search",
    "sweep",
    "transition",
    "variables",
]
