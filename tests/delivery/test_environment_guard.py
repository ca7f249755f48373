"""Who gets mail from an environment, over a real store and a real SMTP conversation with the development mailbox."""

import threading
from contextlib import closing
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, build
from service.config import environment
from service.config.settings import Settings
from service.delivery.outcome import OutcomeKind
from service.errors import ConfigurationError
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.models import Message, Status
from service.models.requests import BatchRequest, SendRequest
from service.store import suppressions
from tests.support.running import running, settings_for
from tests.support.samples import ADMIN
from tests.support.scripted import Clock, ScriptedTransport, outcome

MAIL = """\
---
subject: "Bonjour {{ name }}"
description: A mail for the tests.
category: support
stream: STREAM
version: 1
copies: [noc@elsewhere.example]
variables:
  name: {type: string, example: Zoé}
---
<mjml lang="fr"><mj-body><mj-section><mj-column><mj-text>Bonjour {{ name }}</mj-text></mj-column></mj-section>
</mj-body></mjml>
"""
TEAM, OUR, TRUE = "team@rgz.bj", "ada@rgz.bj", "zoe@customer.example"
EVERYONE: dict[str, Any] = {}
ONLY = {"email_environment": "staging", "email_recipients": "only:@rgz.bj"}
REDIRECT = {"email_environment": "staging", "email_recipients": f"redirect:{TEAM}"}


def settings(tmp_path: Path, **changes: Any) -> Settings:
    root = tmp_path / "templates"
    for key in ("transactional", "marketing"):
        (root / key).mkdir(parents=True, exist_ok=True)
        (root / key / "template.mjml").write_text(MAIL.replace("STREAM", key), encoding="utf-8")
    return settings_for(tmp_path, email_templates_dir=root, **changes)


def accept(services: Services, key: str = "transactional", **fields: Any) -> list[str]:
    request = SendRequest(template_key=key, variables={"name": "Zoé"}, **fields)
    return [message.id for message in services.sending.acceptor.send(request, ADMIN).messages]


def deliver(services: Services) -> list[tuple[list[str], EmailMessage]]:
    """Deliver what waits; returns envelope recipients and mail of all in the mailbox."""
    services.delivery.deliverer.drain(threading.Event())
    mailbox = services.require_mailbox()
    found = []
    for item in mailbox.list():
        mail = message_from_bytes(mailbox.raw(item.id) or b"", policy=SMTP)
        assert isinstance(mail, EmailMessage)
        found.append((list(item.to), mail))
    return found


def shown(services: Services, message_id: str) -> Message:
    return services.messages.message_search.detail(message_id, ADMIN).message


def test_guard_keeps_everybody_else_from_mail_by_send_batch_test_and_resend(tmp_path: Path) -> None:
    with closing(build(settings(tmp_path, **ONLY))) as services:
        ids = accept(services, to=[TRUE, OUR], cc="x@customer.example", bcc="y@customer.example")
        batch = BatchRequest.model_validate(
            {
                "template_key": "marketing",
                "messages": [{"to": to, "variables": {"name": "Ada"}} for to in (TRUE, "Bea@RGZ.bj")],
            }
        )
        ids += [message.id for message in services.sending.acceptor.send(batch, ADMIN).messages]
        request = SendRequest(template_key="transactional", variables={"name": "Zoé"}, to=TRUE)
        ids += [message.id for message in services.sending.acceptor.send(request, ADMIN, is_test=True).messages]
        ids += [services.messages.resender.resend(ids[0], ADMIN).id]
        received = {recipient for recipients, _ in deliver(services) for recipient in recipients}
        assert received == {OUR, "Bea@RGZ.bj"}
        for message_id in ids:
            message = shown(services, message_id)
            is_ours = message.recipient.lower().endswith("@rgz.bj")
            assert message.status is (Status.SENT if is_ours else Status.SUPPRESSED)
            assert message.suppressed_reason == (None if is_ours else "environment")
            assert message.error_message == (
                None if is_ours else "Held back: the environment staging writes to @rgz.bj only."
            )


def test_redirected_mail_goes_to_one_address_and_names_its_recipient(tmp_path: Path) -> None:
    with closing(build(settings(tmp_path, **REDIRECT))) as services:
        ids = accept(services, "marketing", to=TRUE, cc="x@customer.example", bcc="y@customer.example")
        received = deliver(services)
        assert {tuple(recipients) for recipients, _ in received} == {(TEAM,)}
        assert {(mail["to"], mail["cc"], mail["list-unsubscribe"]) for _, mail in received} == {(TEAM, None, None)}
        names = {TRUE, "x@customer.example", "y@customer.example", "noc@elsewhere.example"}
        assert {mail["x-rgz-redirected-from"] for _, mail in received} == names
        detail = services.messages.message_search.detail(ids[0], ADMIN)
        assert (detail.message.recipient, detail.message.redirected_to) == (TRUE, TEAM)
        assert [event.detail for event in detail.events][:1] == [f"Redirected to {TEAM} in this environment."]
        assert f"redirected to {TEAM}" in (detail.events[1].detail or "")
        raw = services.messages.message_search.raw(ids[0])
        assert f"To: {TEAM}\r\n".encode() in raw and f"X-RGZ-Redirected-From: {TRUE}\r\n".encode() in raw


@pytest.mark.parametrize(
    ("accepted_under", "delivered_under", "goes_to"),
    [
        (EVERYONE, ONLY, {OUR}),
        (EVERYONE, REDIRECT, {TEAM}),
        (REDIRECT, EVERYONE, {TEAM}),
        (REDIRECT, ONLY, {TEAM}),
        (ONLY, EVERYONE, {OUR}),
        (REDIRECT, {**REDIRECT, "email_recipients": "only:@customer.example"}, set()),
        (REDIRECT, {**REDIRECT, "email_recipients": "redirect:new@rgz.bj"}, {"new@rgz.bj"}),
    ],
)
def test_mail_that_waits_obeys_the_setting_of_the_worker_that_takes_it(
    tmp_path: Path, accepted_under: dict[str, Any], delivered_under: dict[str, Any], goes_to: set[str]
) -> None:
    with closing(build(settings(tmp_path, **accepted_under), mailbox_port=None)) as services:
        ids = accept(services, to=[TRUE, OUR])
    with closing(build(settings(tmp_path, **delivered_under))) as services:
        received = {recipient for recipients, _ in deliver(services) for recipient in recipients}
        assert received == goes_to | ({OUR} if accepted_under is ONLY else set())
        for message in (shown(services, message_id) for message_id in ids):
            assert message.status in (Status.SENT, Status.SUPPRESSED)
            assert (message.status is Status.SUPPRESSED) == (message.suppressed_reason == "environment")


def test_retry_obeys_the_rule_that_came_between(tmp_path: Path, clock: Clock) -> None:
    transport = ScriptedTransport([outcome(OutcomeKind.DEFERRED, code=451), outcome(OutcomeKind.SENT, code=250)])
    parts: dict[str, Any] = {"transport": transport, "clock": clock, "boottime": clock.boottime}
    with closing(build(settings(tmp_path), **parts)) as services:
        [message_id, *_] = accept(services, to=OUR)
        services.delivery.deliverer.drain(threading.Event())
    assert OUR in [recipient for _, recipient, _ in transport.sent]
    transport.sent.clear()
    clock.forward(hours=1)
    with closing(build(settings(tmp_path, **REDIRECT), **parts)) as services:
        services.delivery.deliverer.drain(threading.Event())
        assert shown(services, message_id).status is Status.SENT
    assert {recipient for _, recipient, _ in transport.sent} == {TEAM}


def test_guard_keeps_nobody_else_waiting_when_it_holds_back_more_than_a_claim_takes(tmp_path: Path) -> None:
    with closing(build(settings(tmp_path), mailbox_port=None)) as services:
        for start in range(0, 300, 50):
            accept(services, to=[f"c{start + n}@customer.example" for n in range(50)])
        [ours, _] = accept(services, to=OUR)
    with closing(build(settings(tmp_path, **ONLY))) as services:
        deliver(services)
        assert shown(services, ours).status is Status.SENT


@pytest.mark.parametrize("key", ["transactional", "marketing"])
def test_bounce_and_complaint_of_a_redirected_mail_suppress_nobody(tmp_path: Path, clock: Clock, key: str) -> None:
    sent = outcome(OutcomeKind.SENT, code=250, provider_id="4F2", wire_sha256="0" * 64)
    transport = ScriptedTransport([sent])
    parts: dict[str, Any] = {"transport": transport, "clock": clock, "boottime": clock.boottime}
    with closing(build(settings(tmp_path, **REDIRECT), **parts)) as services:
        [message_id, *_] = accept(services, key, to=TRUE)
        services.delivery.deliverer.drain(threading.Event())
        recorder = services.feedback.feedback_recorder
        for n, (kind, recipient) in enumerate(
            [(FeedbackKind.BOUNCED, TRUE), (FeedbackKind.BOUNCED, TEAM), (FeedbackKind.COMPLAINT, TEAM)]
        ):
            report = FeedbackEvent(
                kind, clock(), "ses", message_id=message_id, recipient=recipient, suppresses=True,
                bounce_type="permanent" if kind is FeedbackKind.BOUNCED else None,
            )  # fmt: skip
            recorder.record(f"told-{n}", "sns", [report])
        assert shown(services, message_id).status is Status.COMPLAINT
        assert suppressed(services) == []


def suppressed(services: Services) -> list[Any]:
    return suppressions.list_page(services.database, limit=10, lifted=True).items


def test_refusal_of_a_redirected_mail_suppresses_nobody(tmp_path: Path, clock: Clock) -> None:
    refused = outcome(OutcomeKind.BOUNCED, code=550, reply="550 5.1.1 unknown", suppresses=True)
    parts: dict[str, Any] = {"transport": ScriptedTransport([refused]), "clock": clock, "boottime": clock.boottime}
    with closing(build(settings(tmp_path, **REDIRECT), **parts)) as services:
        ids = accept(services, to=TRUE)
        services.delivery.deliverer.drain(threading.Event())
        assert {shown(services, one).status for one in ids} == {Status.BOUNCED}
        assert suppressed(services) == []


def test_erasure_and_anonymising_forget_where_a_mail_was_redirected_to(tmp_path: Path) -> None:
    with closing(build(settings(tmp_path, **REDIRECT))) as services:
        [first, noc] = accept(services, to=TRUE)
        deliver(services)
        services.recipients.data_requests.erase(TRUE, ADMIN)
        assert (shown(services, first).redirected_to, shown(services, noc).redirected_to) == ("", TEAM)
        services.recipients.data_requests.erase("Team@RGZ.bj", ADMIN)
        assert shown(services, noc).redirected_to == ""
        report = FeedbackEvent(
            FeedbackKind.BOUNCED, services.clock(), "ses", message_id=first, bounce_type="permanent", suppresses=True
        )
        services.feedback.feedback_recorder.record("late", "sns", [report])
        assert {item.reason for item in suppressed(services)} == {"erasure"}


@pytest.mark.parametrize("environment_name", ["staging", "test-2"])
def test_start_outside_of_production_is_refused_without_the_rule(environment_name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        environment.load({"EMAIL_ENVIRONMENT": environment_name})
    assert "EMAIL_RECIPIENTS must be given" in str(caught.value)
    assert environment.load({}).recipient_rule.is_everyone
    rule = environment.load({"EMAIL_ENVIRONMENT": environment_name, "EMAIL_RECIPIENTS": "everyone"}).recipient_rule
    assert rule.is_everyone
    with pytest.raises(ConfigurationError, match=r"EMAIL_RECIPIENTS: .*rgz\.bj"):
        environment.load({"EMAIL_RECIPIENTS": "only:rgz.bj"})


def test_api_and_pages_show_and_filter_what_an_environment_did(tmp_path: Path) -> None:
    with running(settings(tmp_path, **ONLY), works=False) as service:
        answer = service.send("transactional", TRUE, {"name": "Zoé"}).json()
        held = answer["messages"][0]
        assert held["status"] == "suppressed"
        assert service.message(held["id"])["suppressed_reason"] == "environment"
        path = "/api/v1/email/messages"
        counts = {f"reason=environment&to={TRUE}": 1, "reason=bounce": 0, "status=sent&reason=environment": 0}
        for query, total in counts.items():
            assert service.admin.get(f"{path}?{query}").json()["total"] == total
        page = service.admin.get(f"/admin/messages/{held['id']}?lang=en", headers={"Accept": "text/html"}).text
        assert "Held back: the environment staging" in page and "the environment" in page
        listed = service.admin.get("/admin/messages?reason=environment", headers={"Accept": "text/html"}).text
        assert TRUE in listed
    with running(settings(tmp_path, **REDIRECT), works=False) as service:
        held = service.send("transactional", TRUE, {"name": "Zoé"}).json()["messages"][0]
        found = service.admin.get(f"{path}?to={TRUE}&status=queued").json()["items"]
        assert [(item["to"], item["redirected_to"]) for item in found] == [(TRUE, TEAM)]
        page = service.admin.get(f"/admin/messages/{held['id']}", headers={"Accept": "text/html"}).text
        assert TEAM in page and TRUE in page
