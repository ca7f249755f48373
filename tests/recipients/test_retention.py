"""Retention: expired messages are anonymised and deleted, others stay, and sending goes on meanwhile."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.bootstrap import Services
from service.errors import Gone
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.mail import addresses, unsubscribe_token
from service.mail.unsubscribe_token import Unsubscription
from service.messages.search import MessageFilter
from service.models import Message, Status, Stream
from service.models.requests import AttachmentRequest, SendRequest, SuppressionRequest
from service.recipients.retention import Due, PurgeResult, RetentionPurge
from service.store import retention, suppressions
from tests.support.canaries import Canaries
from tests.support.samples import ADMIN
from tests.support.scripted import Clock

ANN = "ann@example.com"
VARIABLES = {"name": "Ann", "sender": "Bob"}
FILE = AttachmentRequest(filename="a.csv", content_type="text/csv", data_base64="YSxiCg==")


def send(services: Services, to: str = ANN, key: str = "plain", **more: Any) -> str:
    request = SendRequest(to=to, template_key=key, variables=VARIABLES, **more)
    return services.sending.acceptor.send(request, ADMIN).messages[0].id


def drain(services: Services) -> None:
    services.delivery.deliverer.drain(threading.Event())


def message(services: Services, message_id: str) -> Message:
    return services.messages.message_search.detail(message_id, ADMIN).message


def sent(services: Services, to: str = ANN, key: str = "plain", **more: Any) -> str:
    """A message that the server has taken: the first of its four answers."""
    message_id = send(services, to, key, **more)
    drain(services)
    assert message(services, message_id).status is Status.SENT
    return message_id


def test_anonymised_message_tells_its_history_and_names_nobody(services: Services, clock: Clock) -> None:
    message_id = sent(services, attachments=[FILE])
    clock.forward(days=90, seconds=1)
    assert services.recipients.retention_purge.due() == Due(1, 0, 0)
    services.recipients.retention_purge.purge()
    found = services.messages.message_search.detail(message_id, ADMIN)
    assert [event.type.value for event in found.events] == ["accepted", "attempted", "sent", "anonymised"]
    assert found.message.anonymised_at == clock()
    assert found.message.recipient == found.message.recipient_hash
    assert (found.message.subject, found.message.metadata, found.attachments) == ("", {}, [])
    for ask in (
        lambda: services.messages.message_search.body(message_id),
        lambda: services.messages.message_search.raw(message_id),
        lambda: services.messages.message_search.attachment(message_id, 0),
        lambda: services.messages.resender.resend(message_id, ADMIN),
    ):
        with pytest.raises(Gone):
            ask()
    # Who knows the address still finds it.
    assert [item.id for item in services.messages.message_search.search(MessageFilter(to=ANN)).items] == [message_id]
    assert services.recipients.retention_purge.due() == Due(0, 0, 0)


def test_retention_leaves_messages_that_may_still_be_sent(services: Services, clock: Clock) -> None:
    later = send(services, send_at=(clock() + timedelta(days=100)).isoformat())
    clock.forward(days=95)
    services.recipients.retention_purge.purge()
    assert message(services, later).anonymised_at is None
    clock.forward(days=5, seconds=1)
    drain(services)
    assert message(services, later).status is Status.SENT
    services.recipients.retention_purge.purge()
    assert message(services, later).anonymised_at is None  # its time counts from when it was to leave
    clock.forward(days=90)
    services.recipients.retention_purge.purge()
    assert message(services, later).anonymised_at == clock()


def test_retention_deletes_expired_rows_with_all_that_depends_on_them(services: Services, clock: Clock) -> None:
    old = sent(services)
    item, _ = services.recipients.suppressions.add(SuppressionRequest(address="x@example.com"), ADMIN, source="api")
    kept, _ = services.recipients.suppressions.add(SuppressionRequest(address="y@example.com"), ADMIN, source="api")
    services.recipients.suppressions.lift(item.id, ADMIN)
    clock.forward(days=300)
    young = send(services)
    clock.forward(days=66)
    assert services.recipients.retention_purge.due() == Due(0, 1, 2)
    services.recipients.retention_purge.purge()
    database = services.database
    assert [row["id"] for row in database.read("SELECT id FROM email_messages")] == [young]
    assert len(database.read("SELECT id FROM sends")) == 1
    assert database.read("SELECT * FROM email_events WHERE message_id = :id", {"id": old}) == []
    # What was lifted is history, and goes; what holds, holds for ever, by its hash.
    [left] = database.read("SELECT id, address, recipient_hash, lifted_at FROM suppressions")
    assert (left["id"], left["address"], left["lifted_at"]) == (kept.id, None, None)
    assert services.recipients.suppressions.search(address="y@example.com").total == 1


def test_suppressions_and_limits_hold_for_anonymised_recipients(services: Services, clock: Clock) -> None:
    services.recipients.suppressions.add(SuppressionRequest(address="Gone@example.com"), ADMIN, source="api")
    clock.forward(days=91)
    services.recipients.retention_purge.purge()
    assert message(services, send(services, "gone@EXAMPLE.com")).status is Status.SUPPRESSED
    first, second = send(services, key="news"), send(services, key="news")
    assert message(services, first).status is Status.QUEUED
    assert message(services, second).status is Status.RATE_LIMITED


def test_unsubscribe_link_in_an_old_mail_still_ends_marketing(services: Services, clock: Clock) -> None:
    message_id = sent(services, key="news")
    [row] = services.database.read("SELECT unsubscribe_url FROM email_messages")
    token = row["unsubscribe_url"].rpartition("/")[2]
    clock.forward(days=400)
    services.recipients.retention_purge.purge()
    assert services.database.read("SELECT id FROM email_messages") == []
    services.recipients.unsubscriber.unsubscribe(token)
    [item] = services.recipients.suppressions.search(address=ANN).items
    assert (item.address, item.scope, item.event_id) == (None, "marketing", message_id)
    assert suppressions.find(services.database, [item.recipient_hash], Stream.TRANSACTIONAL) == {}
    assert unsubscribe_token.read(token, keys=services.recipients.unsubscriber.signing_keys) == Unsubscription(
        addresses.pseudonym(ANN, key=services.messages.message_search.pseudonym_key), message_id
    )


def test_feedback_about_an_anonymised_message_counts_and_names_nobody(services: Services, clock: Clock) -> None:
    message_id = sent(services)
    clock.forward(days=91)
    services.recipients.retention_purge.purge()
    report = FeedbackEvent(
        FeedbackKind.BOUNCED, clock(), "ses", message_id=message_id, recipient=ANN, bounce_type="permanent",
        bounce_subtype="NoEmail", diagnostic=f"smtp; 550 <{ANN}> unknown", provider_id=ANN, suppresses=True,
    )  # fmt: skip
    services.feedback.feedback_recorder.record("n1", "sns", [report])
    assert message(services, message_id).status is Status.BOUNCED
    assert services.recipients.suppressions.search(address=ANN).total == 1
    for table in ("email_messages", "email_events", "suppressions", "feedback_early"):
        assert ANN not in str(services.database.read(f"SELECT * FROM {table}"))


def test_idempotency_key_is_kept_a_day(services: Services, clock: Clock) -> None:
    request = SendRequest(to=ANN, template_key="plain", variables=VARIABLES)
    first = services.sending.acceptor.send(request, ADMIN, idempotency_key="k1")
    clock.forward(hours=23)
    services.recipients.retention_purge.purge()
    assert services.sending.acceptor.send(request, ADMIN, idempotency_key="k1").id == first.id
    clock.forward(hours=1, seconds=1)
    services.recipients.retention_purge.purge()
    assert services.database.read("SELECT idempotency_key, request_digest FROM sends") == [
        {"idempotency_key": None, "request_digest": None}
    ]
    assert services.sending.acceptor.send(request, ADMIN, idempotency_key="k1").id != first.id


def test_purge_goes_in_small_steps_tells_of_each_and_can_be_stopped(services: Services, clock: Clock) -> None:
    purge = replace(services.recipients.retention_purge, step_messages=3)
    for _ in range(8):
        send(services)
    clock.forward(days=91)
    drain(services)
    stop, told = threading.Event(), []

    def listen(done: PurgeResult) -> None:
        told.append(done.messages_anonymised)
        if len(told) == 2:
            stop.set()

    stopped = purge.purge(stop=stop, on_progress=listen)
    assert (stopped.messages_anonymised, stopped.is_finished, stopped.is_scrubbed) == (6, False, False)
    assert told[:2] == [3, 6]
    assert retention.is_unscrubbed(services.database)
    assert services.monitoring.readiness.report().details["purge"] == {
        "last_at": clock().isoformat(),
        "is_scrubbed": False,
    }
    finished = purge.purge()
    assert (finished.messages_anonymised, finished.is_finished, finished.is_scrubbed) == (2, True, True)
    assert not retention.is_unscrubbed(services.database)


def test_purge_lets_sending_and_accepting_go_on(services: Services, clock: Clock) -> None:
    old = [send(services) for _ in range(20)]
    clock.forward(days=91)
    drain(services)
    done = threading.Event()
    made: list[str] = []
    failures: list[BaseException] = []

    def traffic() -> None:
        try:
            while not done.is_set() or len(made) < 10:
                made.append(send(services, attachments=[FILE]))
                drain(services)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=traffic) for _ in range(2)]
    for thread in threads:
        thread.start()
    purgers = [RetentionPurge(services.database, services.settings, clock, step_messages=2) for _ in range(2)]
    others = [threading.Thread(target=one.purge) for one in purgers[1:]]
    for thread in others:
        thread.start()
    purgers[0].purge()
    done.set()
    for thread in (*threads, *others):
        thread.join(60)
    assert failures == []
    services.recipients.retention_purge.purge()
    assert {message(services, one).anonymised_at for one in old} == {clock()}
    assert {message(services, one).anonymised_at for one in made} == {None}
    for one in old:
        kinds = [event.type.value for event in services.messages.message_search.detail(one, ADMIN).events]
        assert kinds.count("anonymised") == 1


def test_purge_of_the_day_has_its_hour_and_is_made_up_for(services: Services, clock: Clock) -> None:
    assert services.recipients.retention_purge.is_time()  # there was never one
    services.recipients.retention_purge.purge()
    assert not services.recipients.retention_purge.is_time()
    clock.now = clock.now.replace(hour=2) + timedelta(days=1)  # 03:30 in Porto-Novo, 12 hours later
    assert not services.recipients.retention_purge.is_time()
    clock.forward(days=1)
    assert services.recipients.retention_purge.is_time()
    services.recipients.retention_purge.purge()
    clock.now = clock.now.replace(hour=20)
    assert not services.recipients.retention_purge.is_time()
    clock.forward(days=1)
    assert services.recipients.retention_purge.is_time()


def test_purge_after_a_clock_that_leapt_ahead_does_not_empty_the_database(services: Services, clock: Clock) -> None:
    message_id = sent(services)
    services.recipients.retention_purge.purge()
    clock.forward(days=3_650)
    assert not services.recipients.retention_purge.is_time()
    clock.forward(hours=-3)
    assert not services.recipients.retention_purge.is_time()
    assert message(services, message_id).anonymised_at is None
    clock.forward(days=2)  # the machine has been up with this time for two days
    assert services.recipients.retention_purge.is_time()


def test_attachments_are_deleted_once_nothing_refers_to_them(
    services: Services, clock: Clock, canaries: Canaries
) -> None:
    sent(services, attachments=[FILE])
    clock.forward(days=60)
    send(services, attachments=[FILE])
    clock.forward(days=31)
    services.recipients.retention_purge.purge()
    assert len(services.database.read("SELECT sha256 FROM attachment_blobs")) == 1
    clock.forward(days=90)
    drain(services)
    services.recipients.retention_purge.purge()
    assert services.database.read("SELECT sha256 FROM attachment_blobs") == []


def test_purge_reads_only_columns_in_clear(services: Services, clock: Clock) -> None:
    params = {"before": clock(), "since": clock() - timedelta(days=9), "limit": 50}
    database = services.database
    if database.dialect == "sqlite":
        plan = database.write(lambda tx: tx.execute(f"EXPLAIN QUERY PLAN {retention.TO_ANONYMISE}", params))
        assert [row["detail"] for row in plan] == [
            "SEARCH email_messages USING INDEX messages_in_clear (created_at>? AND created_at<?)"
        ]
    else:
        off = ("SET LOCAL enable_seqscan = off", "SET LOCAL enable_sort = off")
        plan = database.write(
            lambda tx: ([tx.execute(one) for one in off], tx.execute(f"EXPLAIN {retention.TO_ANONYMISE}", params))
        )[1]
        assert "messages_in_clear" in str(plan)
        assert "Sort" not in str(plan)
