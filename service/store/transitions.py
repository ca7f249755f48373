"""Status changes of messages, each with its event in the timeline.

Every change goes through `transition`, or its forms for many messages, and only along `models.TRANSITIONS`. (Claiming
has its own, in `leases`: queued to sending and, untried, back.)
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.models import TRANSITIONS, Event, Status
from service.store.database import Reader, Transaction, listed

#: The columns that a transition may set beside the status.
CHANGEABLE = frozenset(
    {
        "next_attempt_at",
        "sent_at",
        "delivered_at",
        "data_started_at",
        "attempts",
        "lapsed_leases",
        "provider_id",
        "smtp_reply",
        "transfer_encoding",
        "wire_sha256",
        "bounce_type",
        "bounce_subtype",
        "error_message",
        "suppressed_reason",
    }
)
_NOTED_LATE = ("sent_at", "attempts", "provider_id", "smtp_reply", "transfer_encoding", "wire_sha256")

EVENT_COLUMNS = (
    "message_id", "seq", "type", "happened_at", "source", "detail", "smtp_code", "smtp_reply", "provider_id",
)  # fmt: skip
_NEXT_SEQ = "(SELECT COALESCE(MAX(seq) + 1, 0) FROM email_events WHERE message_id = :message_id)"
_APPEND_EVENT = (
    f"INSERT INTO email_events ({', '.join(EVENT_COLUMNS)})"
    f" VALUES ({', '.join(_NEXT_SEQ if column == 'seq' else f':{column}' for column in EVENT_COLUMNS)})"
)


def transition(
    tx: Transaction,
    message_id: str,
    to: Status,
    event: Event,
    *,
    owner: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> bool:
    """Change the status of a message, if TRANSITIONS allows it from the present one, and append the event.

    With `owner`, only while that worker holds its lease. `changes` sets columns of CHANGEABLE too. Leaving `sending`
    ends the lease; going back to `queued` also clears `data_started_at`; any other status clears `next_attempt_at`.
    False: nothing was changed or appended. Raises ValueError for a column that is not CHANGEABLE.
    """
    if to is Status.SENDING:
        raise ValueError("a message gets to sending by being claimed")
    changes = dict(changes or {})
    if unknown := changes.keys() - CHANGEABLE:
        raise ValueError(f"a transition does not change {', '.join(sorted(unknown))}")
    changes.setdefault("data_started_at" if to is Status.QUEUED else "next_attempt_at", None)
    held = " AND lease_owner = :owner" if owner is not None else ""
    happened = tx.execute(
        f"UPDATE email_messages SET status = '{to.value}', lease_owner = NULL, lease_until = NULL, {_set(changes)}"
        f" WHERE id = :id AND status IN ({_ways_to(to)}){held} RETURNING id",
        {**legible(changes), "id": message_id, "owner": owner},
    )
    if happened:
        _append(tx, message_id, event)
    return bool(happened)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent: the columns to set (`sent_at` and others of `note_sent`), and its events in order."""

    message_id: str
    changes: Mapping[str, Any]
    events: Sequence[Event]


def send_all(tx: Transaction, sent: Sequence[Sent], *, owner: str) -> set[str]:
    """Change many messages that this worker holds to `sent`, with their events, as `transition` does for one.

    Returns the ids of those changed; nothing is done for the others. No message may be in `sent` twice.
    """
    rows = [(one.message_id, owner, *(_as_legible(one.changes.get(column)) for column in _NOTED_LATE)) for one in sent]
    happened = {row["id"] for row in tx.execute_values(_SEND_ALL, _SEND_ALL_COLUMNS, rows)}
    if happened:
        following = _following(tx, happened)
        events = [
            event_values(one.message_id, following.get(one.message_id, 0) + n, event)
            for one in sent
            if one.message_id in happened
            for n, event in enumerate(one.events)
        ]
        tx.insert("email_events", EVENT_COLUMNS, events)
    return happened


_SEND_ALL_COLUMNS = ("message", "owner", *_NOTED_LATE)
_WAYS_TO_SENT = ", ".join(f"'{status.value}'" for status, allowed in TRANSITIONS.items() if Status.SENT in allowed)
_SEND_ALL = (
    f"WITH new ({', '.join(_SEND_ALL_COLUMNS)}) AS (VALUES {{values}})"
    " UPDATE email_messages SET status = 'sent', lease_owner = NULL, lease_until = NULL, next_attempt_at = NULL,"
    f" error_message = NULL, {', '.join(f'{column} = new.{column}' for column in _NOTED_LATE)}"
    f" FROM new WHERE id = new.message AND status IN ({_WAYS_TO_SENT}) AND lease_owner = new.owner RETURNING id"
)


def _following(reader: Reader, ids: Collection[str]) -> dict[str, int]:
    """The number of the next event of each message that has any. The caller must hold the messages' rows."""
    names, params = listed("id", sorted(ids))
    sql = f"SELECT message_id, MAX(seq) + 1 AS following FROM email_events WHERE message_id IN ({names})"
    return {row["message_id"]: row["following"] for row in reader.read(f"{sql} GROUP BY message_id", params)}


def deliver_all(tx: Transaction, events: Mapping[str, Event]) -> set[str]:
    """Change many `sent` messages to `delivered`, as `transition` does for one; `events` by message id.

    Returns the ids of those changed; nothing is done for the others.
    """
    rows = [(message_id, event.at) for message_id, event in events.items()]
    happened = {row["id"] for row in tx.execute_values(_DELIVER_ALL, ("message", "delivered_at"), rows)}
    if happened:
        following = _following(tx, happened)
        values = [event_values(one, following.get(one, 0), event) for one, event in events.items() if one in happened]
        tx.insert("email_events", EVENT_COLUMNS, values)
    return happened


_DELIVER_ALL = (
    "WITH new (message, delivered_at) AS (VALUES {values})"
    " UPDATE email_messages SET status = 'delivered', delivered_at = new.delivered_at, error_message = NULL,"
    " next_attempt_at = NULL FROM new WHERE id = new.message AND status = 'sent' RETURNING id"
)


def note_sent(tx: Transaction, message_id: str, event: Event, changes: Mapping[str, Any]) -> bool:
    """Record once, with its event, that a message was sent whose feedback came first; its status stays.

    `changes` as for a transition to `sent`. False where no feedback came first, or this is recorded already.
    """
    noted = {"sent_at": event.at} | {name: changes[name] for name in _NOTED_LATE if name in changes}
    happened = tx.execute(
        f"UPDATE email_messages SET {_set(noted)}"
        " WHERE id = :id AND status IN ('delivered', 'bounced', 'complaint', 'failed') AND sent_at IS NULL"
        " AND anonymised_at IS NULL RETURNING id",
        {**legible(noted), "id": message_id},
    )
    if happened:
        _append(tx, message_id, event)
    return bool(happened)


def add_event(tx: Transaction, message_id: str, event: Event) -> None:
    """Append an event to a message's timeline; for an anonymised message without texts that may name a person.

    Raises ConstraintBroken where there is no such message.
    """
    # Two at once would take the same number: on PostgreSQL the lock on the message's row keeps them apart.
    held = " FOR NO KEY UPDATE" if tx.dialect == "postgresql" else ""
    rows = tx.execute(f"SELECT anonymised_at FROM email_messages WHERE id = :id{held}", {"id": message_id})
    if rows and rows[0]["anonymised_at"] is not None:
        event = replace(event, detail=None, smtp_reply=None, provider_id=None)
    _append(tx, message_id, event)


def exists(reader: Reader, message_id: str, event: Event) -> bool:
    """Whether the timeline has an event of this type, time and source."""
    return bool(
        reader.read(
            "SELECT seq FROM email_events"
            " WHERE message_id = :id AND type = :type AND happened_at = :happened_at AND source = :source",
            {"id": message_id, "type": event.type, "happened_at": event.at, "source": event.source},
        )
    )


def event_values(message_id: str, seq: int, event: Event) -> tuple[Any, ...]:
    """The row of an event, in the order of EVENT_COLUMNS."""
    told = (event.detail, event.smtp_code, event.smtp_reply, event.provider_id)
    return (message_id, seq, event.type, event.at, event.source, *map(_as_legible, told))


def legible(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with U+FFFD for what no text column can hold: servers and providers may say anything."""
    return {name: _as_legible(value) for name, value in row.items()}


def _as_legible(value: Any) -> Any:
    return value if type(value) is not str or value.isprintable() else _mended(value)


def _mended(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _append(tx: Transaction, message_id: str, event: Event) -> None:
    """Append an event. The caller holds the message's row, so that no two events take the same number."""
    tx.execute(_APPEND_EVENT, dict(zip(EVENT_COLUMNS, event_values(message_id, 0, event), strict=True)))


def _set(columns: Mapping[str, Any]) -> str:
    return ", ".join(f"{column} = :{column}" for column in columns)


def _ways_to(to: Status) -> str:
    return ", ".join(f"'{status.value}'" for status, allowed in TRANSITIONS.items() if to in allowed) or "NULL"
