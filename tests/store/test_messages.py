"""Storing messages, and every transition between their states."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from service.models import TRANSITIONS, Body, EventType, Priority, Status, Stream, WaitingFor
from service.store import attachments, message_queries, messages, transitions
from service.store.database import ConstraintBroken, Database, Transaction
from service.store.messages import IdempotencyTaken
from tests.support import rows


def test_add_gives_back_what_was_stored(database: Database) -> None:
    send = rows.new_send()
    files = (rows.attachment(), rows.attachment(b"a,b\n1,2\n", "détail.csv"))
    new = rows.new_message(
        send,
        attachments=files,
        metadata={"k": [1, "é\x00\ud800"]},
        variables={"amount": 450000},
        sla_s=60,
        is_test=True,
        resend_of="other",
        stream=Stream.MARKETING,
        priority=Priority.CRITICAL,
        reply_to=None,
    )
    rows.store(database, new, send=send)

    stored = message_queries.get(database, new.id, now=rows.NOW)

    assert stored is not None
    same = (
        "id send_id template_key template_version template_revision stream priority recipient recipient_hash "
        "envelope_from from_header reply_to subject locale status created_at next_attempt_at expires_at attempts_max "
        "rfc_message_id date_at source_endpoint metadata sla_s is_test resend_of"
    )
    assert [getattr(stored, name) for name in same.split()] == [getattr(new, name) for name in same.split()]
    assert (stored.caller_id, stored.attempts, stored.attachments_count) == ("billing", 0, 2)
    assert (stored.sent_at, stored.delivered_at, stored.error_message, stored.anonymised_at) == (None,) * 4
    assert message_queries.body(database, new.id) == Body(new.html.encode(), new.text.encode())
    assert message_queries.variables(database, new.id) == {"amount": 450000}
    assert [attachments.get(database, new.id, n) for n in range(3)] == [*files, None]
    assert [(one.n, one.filename) for one in attachments.infos(database, new.id)] == [
        (0, "invoice.pdf"),
        (1, "détail.csv"),
    ]
    assert rows.timeline(database, new.id) == ["accepted"]


@pytest.mark.parametrize("status", [Status.SUPPRESSED, Status.RATE_LIMITED])
def test_add_says_why_when_a_message_is_not_to_be_sent(database: Database, status: Status) -> None:
    message_id = rows.store_one(database, status=status, status_reason="bounced on Monday")

    stored = message_queries.get(database, message_id, now=rows.NOW)

    assert stored is not None
    assert (stored.status, stored.error_message, stored.next_attempt_at) == (status, "bounced on Monday", None)
    assert rows.timeline(database, message_id) == ["accepted", status.value]
    assert rows.claim(database) == []


def test_add_refuses_nul_and_stores_nothing(database: Database) -> None:
    send = rows.new_send()
    with pytest.raises(ValueError, match="subject"):
        rows.store(database, rows.new_message(send, subject="a\x00b"), send=send)
    assert database.read("SELECT id FROM sends") == []


def test_get_finds_nothing_for_unknown_or_impossible_ids(database: Database) -> None:
    for odd in ("", "unknown", "\x00", "\ud800", "x" * 10_000):
        assert message_queries.get(database, odd, now=rows.NOW) is None
        assert message_queries.body(database, odd) is None
        assert message_queries.events(database, odd) == []


def test_find_send_repeats_the_first_answer_in_its_order(database: Database) -> None:
    send = rows.new_send(idempotency_key="key", request_digest="digest")
    copies = [rows.new_message(send, id=name, status=status) for name, status in
              (("z", Status.QUEUED), ("a", Status.SUPPRESSED), ("m", Status.QUEUED))]  # fmt: skip
    rows.store(database, *copies, send=send)
    rows.claim(database)

    found = messages.find_send(database, "billing", "key", since=rows.NOW)

    assert found is not None
    assert (found.id, found.request_digest, found.template_version) == (send.id, "digest", 1)
    assert [(one.id, one.status_at_accept.value) for one in found.messages] == [
        ("z", "queued"),
        ("a", "suppressed"),
        ("m", "queued"),
    ]
    assert messages.find_send(database, "billing", "key", since=rows.after(1)) is None
    assert messages.find_send(database, "another", "key", since=rows.NOW) is None


def test_add_refuses_an_idempotency_key_for_a_day(database: Database) -> None:
    first = rows.new_send(idempotency_key="key")
    rows.store(database, rows.new_message(first), send=first)
    within = rows.new_send(idempotency_key="key", created_at=rows.NOW + timedelta(hours=24))
    with pytest.raises(IdempotencyTaken):
        rows.store(database, rows.new_message(within), send=within)

    another = rows.new_send(idempotency_key="key", caller_id="incidents")
    later = rows.new_send(idempotency_key="key", created_at=rows.NOW + timedelta(hours=24, seconds=1))
    rows.store(database, rows.new_message(another), send=another)
    rows.store(database, rows.new_message(later), send=later)

    found = messages.find_send(database, "billing", "key", since=rows.NOW)
    assert found is not None
    assert found.id == later.id
    assert database.read("SELECT COUNT(*) AS n FROM sends") == [{"n": 3}]


@pytest.mark.parametrize("start", list(Status))
def test_transition_goes_where_the_table_allows_and_nowhere_else(database: Database, start: Status) -> None:
    for to in Status:
        if to is Status.SENDING:
            continue
        message_id = rows.store_one(database)
        held = ", lease_owner = 'w', lease_until = :now" if start is Status.SENDING else ""
        sql = f"UPDATE email_messages SET status = '{start.value}'{held} WHERE id = :id"
        database.write(partial(_execute, sql=sql, params={"id": message_id, "now": rows.NOW}))

        happened = database.write(partial(_move, message_id=message_id, to=to))

        assert happened is (to in TRANSITIONS[start]), (start, to)
        assert rows.status(database, message_id) is (to if happened else start)
        assert rows.timeline(database, message_id) == ["accepted"] + ["delayed"] * happened


def test_transition_to_sending_is_refused_because_only_claims_lead_there(database: Database) -> None:
    message_id = rows.store_one(database)
    with pytest.raises(ValueError, match="claimed"):
        database.write(
            lambda tx: transitions.transition(tx, message_id, Status.SENDING, rows.event(EventType.ATTEMPTED))
        )


def test_transition_holds_for_the_owner_of_the_lease_only(database: Database) -> None:
    message_id = rows.store_one(database)
    rows.claim(database, owner="mine")
    sent = rows.event(EventType.SENT, smtp_code=250, smtp_reply="250 ok \x00\udcff", provider_id="p1")
    changes = {"sent_at": rows.after(2), "provider_id": "p1", "attempts": 1, "smtp_reply": "250 ok \x00\udcff"}

    assert not database.write(
        lambda tx: transitions.transition(tx, message_id, Status.SENT, sent, owner="other", changes=changes)
    )
    assert database.write(
        lambda tx: transitions.transition(tx, message_id, Status.SENT, sent, owner="mine", changes=changes)
    )

    stored = message_queries.get(database, message_id, now=rows.NOW)
    assert stored is not None
    assert (stored.status, stored.sent_at, stored.attempts, stored.next_attempt_at) == (
        Status.SENT,
        rows.after(2),
        1,
        None,
    )
    assert message_queries.events(database, message_id)[-1].smtp_reply == "250 ok \ufffd?"
    assert database.read("SELECT lease_owner, lease_until FROM email_messages") == [
        {"lease_owner": None, "lease_until": None}
    ]


def test_transition_refuses_columns_that_are_not_its_own(database: Database) -> None:
    message_id = rows.store_one(database)
    with pytest.raises(ValueError, match="recipient_email"):
        database.write(
            lambda tx: transitions.transition(
                tx,
                message_id,
                Status.CANCELLED,
                rows.event(EventType.CANCELLED),
                changes={"recipient_email": "x"},
            )
        )
    assert rows.status(database, message_id) is Status.QUEUED


def test_transition_refuses_words_that_the_table_does_not_know(database: Database) -> None:
    message_id = rows.store_one(database)
    with pytest.raises(ConstraintBroken):
        database.write(
            lambda tx: transitions.transition(
                tx, message_id, Status.BOUNCED, rows.event(EventType.BOUNCED), changes={"bounce_type": "odd"}
            )
        )
    assert rows.status(database, message_id) is Status.QUEUED


def test_late_sent_never_overwrites_feedback_but_is_noted_once(database: Database) -> None:
    message_id = rows.store_one(database)
    rows.claim(database)
    delivered = rows.event(EventType.DELIVERED)
    sent = rows.event(EventType.SENT, rows.after(3))
    changes = {"provider_id": "p1", "attempts": 1, "next_attempt_at": None}
    assert database.write(lambda tx: transitions.transition(tx, message_id, Status.DELIVERED, delivered))

    assert not database.write(
        lambda tx: transitions.transition(tx, message_id, Status.SENT, sent, owner="worker", changes=changes)
    )
    assert database.write(lambda tx: transitions.note_sent(tx, message_id, sent, changes))
    assert not database.write(lambda tx: transitions.note_sent(tx, message_id, sent, changes))

    stored = message_queries.get(database, message_id, now=rows.NOW)
    assert stored is not None
    assert (stored.status, stored.sent_at, stored.attempts) == (Status.DELIVERED, rows.after(3), 1)
    assert rows.timeline(database, message_id) == ["accepted", "delivered", "sent"]
    assert database.read("SELECT provider_id FROM email_messages") == [{"provider_id": "p1"}]


def test_note_sent_leaves_a_message_alone_that_will_be_sent_again(database: Database) -> None:
    message_id = rows.store_one(database)
    assert not database.write(lambda tx: transitions.note_sent(tx, message_id, rows.event(EventType.SENT), {}))
    assert rows.timeline(database, message_id) == ["accepted"]


def test_add_event_refuses_an_unknown_message(database: Database) -> None:
    with pytest.raises(ConstraintBroken):
        database.write(lambda tx: transitions.add_event(tx, "unknown", rows.event(EventType.DELAYED)))


def test_waiting_for_tells_schedule_slot_and_retry_apart(database: Database) -> None:
    scheduled = rows.store_one(database, next_attempt_at=rows.after(60))

    def waits(now: float) -> WaitingFor | None:
        found = message_queries.get(database, scheduled, now=rows.after(now))
        assert found is not None
        return found.waiting_for

    assert (waits(0), waits(60)) == (WaitingFor.TIME, WaitingFor.SLOT)
    rows.claim(database, now=rows.after(60))
    assert waits(60) is None
    database.write(
        lambda tx: transitions.transition(
            tx,
            scheduled,
            Status.QUEUED,
            rows.event(EventType.DEFERRED),
            changes={"next_attempt_at": rows.after(90)},
        )
    )
    assert (waits(60), waits(90)) == (WaitingFor.RETRY, WaitingFor.SLOT)


def _move(tx: Transaction, *, message_id: str, to: Status) -> bool:
    return transitions.transition(tx, message_id, to, rows.event(EventType.DELAYED))


def _execute(tx: Transaction, *, sql: str, params: dict[str, Any]) -> None:
    tx.execute(sql, params)


def test_idempotency_key_stores_exactly_one_of_two_sends(database: Database) -> None:
    for n in range(5):
        together = threading.Barrier(2)

        def send(number: int, key: str = f"key-{n}", together: threading.Barrier = together) -> bool:
            new = rows.new_send(idempotency_key=key)
            together.wait(30)
            try:
                rows.store(database, rows.new_message(new), rows.new_message(new), send=new)
            except IdempotencyTaken:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(send, range(2))) == [False, True]
        found = messages.find_send(database, "billing", f"key-{n}", since=rows.NOW)
        assert found is not None
        assert len(found.messages) == 2
    assert database.read("SELECT COUNT(*) AS n FROM email_messages") == [{"n": 10}]
