"""Recording many sent messages in one statement equals recording them one by one."""

from typing import Any

import pytest

from service.models import Event, EventType, Status
from service.store import message_queries, transitions
from service.store.database import Database
from tests.support import rows

_EVENTS = (
    rows.event(EventType.ATTEMPTED, rows.after(1), detail="Tried at mail.example."),
    rows.event(EventType.SENT, rows.after(2), smtp_code=250, smtp_reply="2.0.0 Ok", provider_id="4XyZ"),
)


def _changes(**more: Any) -> dict[str, Any]:
    return {
        "attempts": 1,
        "transfer_encoding": "8bit",
        "wire_sha256": "0" * 64,
        "sent_at": rows.after(2),
        "provider_id": "4XyZ",
        "smtp_reply": "250 2.0.0 Ok",
        **more,
    }


def _send(database: Database, *sent: transitions.Sent, owner: str = "worker") -> set[str]:
    return database.write(lambda tx: transitions.send_all(tx, sent, owner=owner))


def _row(database: Database, message_id: str) -> dict[str, Any]:
    (row,) = database.read("SELECT * FROM email_messages WHERE id = :id", {"id": message_id})
    ours = ("id", "send_id", "message_id", "recipient_hash", "recipient_email")
    return {name: value for name, value in row.items() if name not in ours}


def _events(database: Database, message_id: str) -> list[Event]:
    return message_queries.events(database, message_id)


def test_send_all_in_one_statement_equals_one_by_one(database: Database) -> None:
    together, alone = rows.store_one(database), rows.store_one(database)
    rows.claim(database)
    assert _send(database, transitions.Sent(together, _changes(), _EVENTS)) == {together}

    def one_by_one(tx: Any) -> None:
        transitions.add_event(tx, alone, _EVENTS[0])
        changes = _changes(error_message=None)
        assert transitions.transition(tx, alone, Status.SENT, _EVENTS[1], owner="worker", changes=changes)

    database.write(one_by_one)
    assert _row(database, together) == _row(database, alone)
    assert _events(database, together) == _events(database, alone)
    assert [event.type for event in _events(database, together)][-2:] == [EventType.ATTEMPTED, EventType.SENT]


def test_send_all_writes_more_rows_than_one_statement_takes(database: Database) -> None:
    send = rows.new_send()
    ids = rows.store(database, *(rows.new_message(send) for _ in range(230)), send=send)
    rows.claim(database, limit=300)
    assert _send(database, *(transitions.Sent(one, _changes(), _EVENTS) for one in ids)) == set(ids)
    assert {rows.status(database, one) for one in ids} == {Status.SENT}
    (counted,) = database.read("SELECT COUNT(*) AS total FROM email_events WHERE type = 'sent'")
    assert counted["total"] == len(ids)


def test_send_all_leaves_rows_leased_by_another_or_reached_by_feedback(database: Database) -> None:
    overtaken, lost, ours = (rows.store_one(database) for _ in range(3))
    rows.claim(database)
    bounced = rows.event(EventType.BOUNCED)
    database.write(lambda tx: transitions.transition(tx, overtaken, Status.BOUNCED, bounced))
    database.write(
        lambda tx: tx.execute("UPDATE email_messages SET lease_owner = 'another' WHERE id = :id", {"id": lost})
    )
    before = {one: (_row(database, one), _events(database, one)) for one in (overtaken, lost)}

    sent = [transitions.Sent(one, _changes(), _EVENTS) for one in (overtaken, lost, ours)]
    assert _send(database, *sent) == {ours}
    assert {one: (_row(database, one), _events(database, one)) for one in (overtaken, lost)} == before


def test_send_all_of_none_needs_no_statement(database: Database) -> None:
    assert _send(database) == set()


@pytest.mark.parametrize("reply", ["250 ok \x00 \ud800", "250 \u2713 ok"])
def test_send_all_keeps_the_reply_text_as_far_as_it_can_be_stored(database: Database, reply: str) -> None:
    one = rows.store_one(database)
    rows.claim(database)
    changes = _changes(smtp_reply=reply, provider_id=None)
    event = rows.event(EventType.SENT, smtp_reply=reply)
    assert _send(database, transitions.Sent(one, changes, (event,))) == {one}
    kept = _row(database, one)["smtp_reply"]
    assert kept == _events(database, one)[-1].smtp_reply
    assert kept.startswith("250 ")
    assert "\x00" not in kept
