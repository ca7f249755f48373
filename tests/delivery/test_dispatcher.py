"""The dispatcher: what each outcome of an attempt does to a message, its attempts and its timeline."""

import threading
from typing import Any

import pytest

from service.bootstrap import Services
from service.delivery.outcome import OutcomeKind, Phase
from service.messages.search import MessageDetail
from service.models import Event, EventType, Status, WaitingFor
from service.models.requests import SendRequest
from service.sending.acceptor import Accepted
from service.store import leases, transitions
from tests.support.samples import ADMIN, INCIDENT, WELCOME
from tests.support.scripted import NOW, Clock, ScriptedTransport, outcome

VARIABLES: dict[str, dict[str, Any]] = {"onboarding_welcome": WELCOME, "incident_alert_critical": INCIDENT}


def accept(services: Services, key: str = "onboarding_welcome", to: str = "a@example.com", **more: Any) -> Accepted:
    return services.sending.acceptor.send(SendRequest(to=to, template_key=key, variables=VARIABLES[key], **more), ADMIN)


def drain(services: Services) -> int:
    return services.delivery.deliverer.drain(threading.Event())


def detail_of(services: Services, accepted: Accepted) -> MessageDetail:
    return services.messages.message_search.detail(accepted.messages[0].id, ADMIN)


def kinds(told: MessageDetail) -> list[str]:
    return [event.type.value for event in told.events]


def test_dispatcher_sends_a_due_message_with_its_reply_and_its_time(
    services: Services, transport: ScriptedTransport
) -> None:
    accepted = accept(services)
    assert drain(services) == 1
    told = detail_of(services, accepted)
    assert (told.message.status, told.message.sent_at, told.message.attempts) == (Status.SENT, NOW, 1)
    assert kinds(told) == ["accepted", "attempted", "sent"]
    assert told.events[-1].provider_id == "4F2"
    assert [recipient for _, recipient, _ in transport.sent] == ["a@example.com"]


def test_dispatcher_sends_an_urgent_message_before_older_ones(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    for number in range(30):
        accept(services, to=f"bulk{number}@example.com")
    clock.forward(seconds=1)
    accept(services, "incident_alert_critical", to="noc@rgz.bj")
    drain(services)
    # Those that leave together are in no order among themselves.
    assert "noc@rgz.bj" in [recipient for _, recipient, _ in transport.sent[:4]]
    assert len(transport.sent) == 31


def test_dispatcher_defers_a_temporary_refusal_longer_each_time_and_fails_it_at_last(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    transport.outcomes = [outcome(OutcomeKind.DEFERRED, code=450, reply="4.2.0 later")]
    accepted = accept(services, "incident_alert_critical", to="noc@rgz.bj")
    pauses = []
    for _ in range(5):
        assert drain(services) == 1
        assert drain(services) == 0  # it waits
        message = detail_of(services, accepted).message
        if message.next_attempt_at is not None:
            assert message.waiting_for is WaitingFor.RETRY
            pauses.append(message.next_attempt_at - clock.now)
            clock.now = message.next_attempt_at
    told = detail_of(services, accepted)
    assert told.message.status is Status.FAILED
    assert told.message.attempts == told.message.attempts_max == 5
    assert kinds(told) == ["accepted", *["attempted", "deferred"] * 4, "attempted", "failed"]
    assert pauses[-1] > pauses[0]
    assert "Next try at" in (told.events[2].detail or "")


def test_greylisting_gets_a_second_attempt_after_five_minutes_even_where_the_template_has_one(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    transport.outcomes = [
        outcome(OutcomeKind.DEFERRED, phase=Phase.RCPT, code=451, reply="4.7.1 greylisted", greylisted=True),
        outcome(OutcomeKind.SENT, code=250, reply="ok"),
    ]
    VARIABLES["cutover_reminder"] = {
        "reseller_name": "Tech",
        "items_done": 1,
        "items_total": 40,
        "link_portal": "https://rgz.bj",
    }
    accepted = accept(services, "cutover_reminder")
    drain(services)
    message = detail_of(services, accepted).message
    assert (message.status, message.attempts_max) == (Status.QUEUED, 1)
    assert message.next_attempt_at is not None
    assert (message.next_attempt_at - clock.now).total_seconds() >= 300
    clock.now = message.next_attempt_at
    drain(services)
    assert detail_of(services, accepted).message.status is Status.SENT


def test_dispatcher_bounces_a_refused_recipient_for_good(services: Services, transport: ScriptedTransport) -> None:
    refused: dict[str, Any] = {"phase": Phase.RCPT, "code": 550, "reply": "5.1.1 no such user"}
    transport.outcomes = [outcome(OutcomeKind.BOUNCED, **refused, bounce_subtype="NoEmail", suppresses=True)]
    accepted = accept(services)
    drain(services)
    message = detail_of(services, accepted).message
    assert (message.status, message.bounce_type, message.bounce_subtype) == (Status.BOUNCED, "permanent", "NoEmail")
    assert message.error_message == "It was bounced."
    assert detail_of(services, accept(services)).message.status is Status.SUPPRESSED
    [suppression] = services.database.read("SELECT * FROM suppressions")
    assert (suppression["scope"], suppression["reason"], suppression["source"]) == ("all", "bounce", "worker")
    assert (suppression["event_id"], suppression["address"]) == (message.id, message.recipient)


@pytest.mark.parametrize("subtype", ["General", "MailboxFull"])
def test_dispatcher_does_not_suppress_after_a_refusal_that_may_pass(
    services: Services, transport: ScriptedTransport, subtype: str
) -> None:
    transport.outcomes = [
        outcome(OutcomeKind.BOUNCED, phase=Phase.RCPT, code=550, reply="blocked", bounce_subtype=subtype)
    ]
    accepted = accept(services)
    drain(services)
    assert detail_of(services, accepted).message.status is Status.BOUNCED
    assert detail_of(services, accept(services)).message.status is Status.QUEUED


def test_relay_that_cannot_be_reached_costs_no_attempt(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    transport.outcomes = [outcome(OutcomeKind.PAUSED, phase=Phase.CONNECT, retry_after_s=20.0)]
    accepted = accept(services)
    for _ in range(10):
        drain(services)
        clock.forward(seconds=20)
    told = detail_of(services, accepted)
    assert (told.message.status, told.message.attempts) == (Status.QUEUED, 0)
    transport.outcomes = [outcome(OutcomeKind.SENT, code=250, reply="ok")]
    clock.forward(seconds=60)
    drain(services)
    assert detail_of(services, accepted).message.status is Status.SENT


def test_relay_that_is_paused_leaves_the_queue_as_it_is(services: Services, transport: ScriptedTransport) -> None:
    transport.paused_s = 30
    accepted = accept(services)
    assert drain(services) == 0
    assert kinds(detail_of(services, accepted)) == ["accepted"]


def test_message_that_waited_too_long_fails_even_while_the_relay_is_paused(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    transport.paused_s = 30
    accepted = accept(services)
    clock.forward(hours=25)
    drain(services)
    assert detail_of(services, accepted).message.status is Status.FAILED


def test_ambiguous_end_is_retried_with_the_same_mail(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    transport.outcomes = [outcome(OutcomeKind.AMBIGUOUS), outcome(OutcomeKind.SENT, code=250, reply="ok")]
    accepted = accept(services)
    drain(services)
    clock.forward(hours=1)
    drain(services)
    told = detail_of(services, accepted)
    assert told.message.status is Status.SENT
    assert kinds(told) == ["accepted", "attempted", "ambiguous", "deferred", "attempted", "sent"]
    assert transport.sent[0] == transport.sent[1]


@pytest.mark.parametrize("feedback", [Status.DELIVERED, Status.BOUNCED, Status.COMPLAINT])
def test_feedback_that_overtakes_our_commit_stands(
    services: Services, transport: ScriptedTransport, feedback: Status
) -> None:
    accepted = accept(services)
    message_id = accepted.messages[0].id
    event = Event(EventType(feedback.value), NOW, "ses")

    def overtake() -> None:
        assert services.database.write(lambda tx: transitions.transition(tx, message_id, feedback, event))

    transport.before_answer = overtake
    drain(services)
    told = detail_of(services, accepted)
    assert told.message.status is feedback
    assert told.message.sent_at == NOW
    assert drain(services) == 0


def test_lease_that_is_lost_is_noticed_before_mail_is_sent(
    services: Services, transport: ScriptedTransport, clock: Clock
) -> None:
    accepted = accept(services)

    def another_worker_sweeps() -> None:
        transport.before_conversation = None
        clock.forward(seconds=31)
        services.database.write(lambda tx: leases.sweep(tx, now=clock()))

    transport.before_conversation = another_worker_sweeps
    drain(services)
    assert transport.sent == []
    drain(services)
    told = detail_of(services, accepted)
    assert told.message.status is Status.SENT
    assert kinds(told).count("attempted") == 1
    assert len(transport.sent) == 1


def test_dispatcher_releases_claimed_messages_that_were_not_begun_when_it_stops(
    services: Services, transport: ScriptedTransport
) -> None:
    for number in range(20):
        accept(services, to=f"a{number}@example.com")
    stop = threading.Event()
    transport.before_answer = stop.set
    services.delivery.deliverer.drain(stop)
    page = services.messages.message_search.search(limit=100)
    left = {status: sum(message.status is status for message in page.items) for status in Status}
    assert left[Status.SENT] == len(transport.sent) < 20
    assert left[Status.QUEUED] == 20 - len(transport.sent)


def test_body_that_was_damaged_in_the_store_is_never_sent(services: Services, transport: ScriptedTransport) -> None:
    accepted = accept(services)
    services.database.write(lambda tx: tx.execute("UPDATE email_bodies SET sha256 = '0'"))
    drain(services)
    told = detail_of(services, accepted)
    assert told.message.status is Status.FAILED
    assert "digest" in (told.message.error_message or "")
    assert transport.sent == []


def test_row_that_makes_no_mail_fails_at_once_instead_of_coming_back(
    services: Services, transport: ScriptedTransport
) -> None:
    accepted = accept(services)
    services.database.write(lambda tx: tx.execute("UPDATE email_messages SET from_header = 'no address at all'"))
    drain(services)
    told = detail_of(services, accepted)
    assert told.message.status is Status.FAILED
    assert "can't be written as a mail" in (told.message.error_message or "")
    assert transport.sent == []
