"""Copies of a send: cc, bcc and those of the template are messages of their own with the headers of one mail."""

import threading
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import Services, build
from service.errors import InvalidRequest
from service.models import Role, Status
from service.models.requests import BatchRequest, SendRequest, SuppressionRequest, digest_of
from service.sending.acceptor import Accepted
from tests.support.running import settings_for
from tests.support.samples import ADMIN
from tests.support.scripted import Clock, ScriptedTransport

MAIL = """\
---
subject: "Alerte {{ name }}"
description: A mail for the tests.
category: incident
stream: STREAM
version: 1
COPIES
variables:
  name: {type: string, example: Zoé}
---
<mjml lang="fr"><mj-body><mj-section><mj-column><mj-text>Bonjour {{ name }}</mj-text></mj-column></mj-section>
</mj-body></mjml>
"""
NAME = {"name": "P0"}
A, B, C, D, NOC = "a@example.com", "b@example.com", "c@example.com", "d@example.com", "noc@example.com"


@pytest.fixture
def services(tmp_path: Path, clock: Clock, transport: ScriptedTransport) -> Iterator[Services]:
    root = tmp_path / "templates"
    templates = {
        "plain": ("transactional", ""),
        "alert": ("transactional", f"copies: [{NOC}]"),
        "news": ("marketing", ""),
    }
    for key, (stream, copies) in templates.items():
        (root / key).mkdir(parents=True)
        source = MAIL.replace("STREAM", stream).replace("COPIES", copies)
        (root / key / "template.mjml").write_text(source, encoding="utf-8")
    settings = settings_for(tmp_path, email_templates_dir=root, email_bounce_address="bounces@rgz.bj")
    with closing(build(settings, transport=transport, clock=clock, boottime=clock.boottime)) as built:
        yield built


def send(services: Services, key: str = "plain", **fields: Any) -> Accepted:
    request = SendRequest(template_key=key, variables=NAME, **fields)
    return services.sending.acceptor.send(request, ADMIN)


def roles(accepted: Accepted) -> list[tuple[str, Role]]:
    return [(message.to, message.role) for message in accepted.messages]


def mails(services: Services, transport: ScriptedTransport) -> dict[str, EmailMessage]:
    """The mails that went to the relay, by envelope recipient."""
    services.delivery.deliverer.drain(threading.Event())
    parsed = {recipient: message_from_bytes(wire, policy=SMTP) for _, recipient, wire in transport.sent}
    return {to: mail for to, mail in parsed.items() if isinstance(mail, EmailMessage)}


def shown(mail: EmailMessage) -> tuple[str | None, str | None]:
    assert "bcc" not in mail
    return mail["to"], mail["cc"]


def test_copies_show_the_real_recipients_in_every_message(services: Services, transport: ScriptedTransport) -> None:
    accepted = send(services, to=[A, B], cc=f"{C}, Chef@example.com", bcc=[D])
    assert roles(accepted) == [(A, "to"), (B, "to"), (C, "cc"), ("Chef@example.com", "cc"), (D, "bcc")]
    sent = mails(services, transport)
    assert {shown(mail) for mail in sent.values()} == {(f"{A}, {B}", f"{C}, Chef@example.com")}
    assert len({mail["message-id"] for mail in sent.values()}) == len({s for s, _, _ in transport.sent}) == 5
    for message in accepted.messages:
        assert services.messages.message_search.detail(message.id, ADMIN).message.status is Status.SENT


def test_recipients_without_a_cc_see_themselves_alone(services: Services, transport: ScriptedTransport) -> None:
    send(services, to=[A, B], bcc=D)
    sent = mails(services, transport)
    assert [shown(sent[to]) for to in (A, B, D)] == [(A, None), (B, None), (f"{A}, {B}", None)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"to": A}, [(A, "to"), (NOC, "copy")]),
        ({"to": [NOC.upper(), A]}, [("NOC@EXAMPLE.COM", "to"), (A, "to")]),
        ({"to": A, "cc": NOC}, [(A, "to"), (NOC, "cc")]),
        ({"to": A, "bcc": NOC}, [(A, "to"), (NOC, "bcc")]),
        ({"to": A, "cc": [A, B, B], "bcc": [B, A, C]}, [(A, "to"), (B, "cc"), (C, "bcc"), (NOC, "copy")]),
    ],
)
def test_template_copies_are_added_once_whatever_the_caller_says(
    services: Services, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert roles(send(services, "alert", **fields)) == expected


def test_template_copies_go_with_each_message_of_a_batch_and_show_its_recipient(
    services: Services, transport: ScriptedTransport
) -> None:
    messages = [{"to": to, "variables": NAME} for to in (A, B)]
    batch = BatchRequest.model_validate({"template_key": "alert", "messages": messages})
    assert [role for _, role in roles(services.sending.acceptor.send(batch, ADMIN))] == ["to", "copy", "to", "copy"]
    services.delivery.deliverer.drain(threading.Event())
    copies = [message_from_bytes(wire) for _, recipient, wire in transport.sent if recipient == NOC]
    assert sorted(copy["to"] for copy in copies) == [A, B]


def test_template_copies_stay_away_from_tests(services: Services) -> None:
    request = SendRequest(template_key="alert", variables=NAME, to=A)
    assert roles(services.sending.acceptor.send(request, ADMIN, is_test=True)) == [(A, "to")]


def test_copies_that_are_suppressed_or_limited_fail_no_other_message(
    services: Services, transport: ScriptedTransport
) -> None:
    services.recipients.suppressions.add(SuppressionRequest(address=C), ADMIN, source="api")
    send(services, "news", to=B)  # has had its mail of the day
    accepted = send(services, "news", to=A, cc=[B, C], bcc=D)
    assert [message.status for message in accepted.messages] == ["queued", "rate_limited", "suppressed", "queued"]
    sent = mails(services, transport)
    assert set(sent) == {A, B, D} and shown(sent[D]) == (A, f"{B}, {C}")
    links = [sent[to]["list-unsubscribe"] for to in (A, D)]
    assert links[0] != links[1]


def test_copies_with_letters_beyond_ascii_need_no_smtputf8_for_the_others(
    services: Services, transport: ScriptedTransport
) -> None:
    accepted = send(services, to=A, cc=["josé@exämple.com", B])
    for message, needs in zip(accepted.messages, (False, True, False), strict=True):
        raw = services.messages.message_search.raw(message.id)
        assert raw.partition(b"\r\n\r\n")[0].isascii() is not needs
        mail = message_from_bytes(raw, policy=SMTP)
        assert isinstance(mail, EmailMessage)
        assert [one.addr_spec for one in mail["cc"].addresses][-1] == B
        assert "josé@xn--exmple-cua.com" in (str(mail["cc"]))


def test_resend_repeats_role_and_visible_headers(services: Services, transport: ScriptedTransport) -> None:
    accepted = send(services, to=A, cc=B, bcc=C)
    mails(services, transport)
    again = services.messages.resender.resend(accepted.messages[2].id, ADMIN)
    transport.sent.clear()
    assert again.role is Role.BCC and shown(mails(services, transport)[C]) == (A, B)


def test_erasure_takes_a_person_out_of_the_headers_of_others_and_of_their_resends(
    services: Services, clock: Clock, transport: ScriptedTransport
) -> None:
    accepted = send(services, to=A, cc=[B, C])
    mails(services, transport)
    resent = services.messages.resender.resend(accepted.messages[2].id, ADMIN)
    again = services.messages.resender.resend(resent.id, ADMIN)
    exported = services.recipients.data_requests.export(B).messages[0].message
    assert (exported.role, exported.visible_to, exported.visible_cc) == ("cc", A, f"{B}, {C}")
    services.recipients.data_requests.erase(B, ADMIN)
    assert B not in str(services.database.read("SELECT * FROM email_messages"))
    for message_id in (accepted.messages[0].id, accepted.messages[2].id, resent.id, again.id):
        assert services.messages.message_search.detail(message_id, ADMIN).message.shown_cc == []


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
def test_recipients_are_checked_in_each_field_with_its_pointer(services: Services, field: str) -> None:
    fields: dict[str, Any] = {"to": A} | {field: [B, "nobody"]}
    with pytest.raises(InvalidRequest) as raised:
        send(services, **fields)
    assert [problem.pointer for problem in raised.value.problems] == [f"/{field}/1"]
    fields = {"to": A} | {field: [f"{n}@example.com" for n in range(101)]}
    with pytest.raises(InvalidRequest) as raised:
        send(services, **fields)
    assert [(problem.pointer, problem.code) for problem in raised.value.problems] == [(f"/{field}", "too_many")]


def test_batch_counts_its_copies(services: Services) -> None:
    messages = [{"to": f"{n}@example.com", "variables": NAME} for n in range(501)]
    batch = BatchRequest.model_validate({"template_key": "alert", "messages": messages})
    with pytest.raises(InvalidRequest) as raised:
        services.sending.acceptor.send(batch, ADMIN)
    assert [problem.code for problem in raised.value.problems] == ["too_many"]


def test_request_digest_tells_copies_apart_and_instants_not() -> None:
    def digest(**fields: Any) -> str:
        return digest_of(SendRequest.model_validate({"to": A, "template_key": "plain", **fields}))

    # As before requests knew copies: a request that is repeated over an upgrade is still the same.
    assert digest() == "cf1b7cf83b752d5161b966d02b0cbe4c13147f98fe011f1f58c52aa3c6428425"
    assert digest(send_at="2026-12-24T12:00:00Z") == "20dc0b8686343b06375db3484834ea0584a00fed2cea5111107f986a6fc5e715"
    batch = BatchRequest.model_validate({"template_key": "plain", "messages": [{"to": A}]})
    assert digest_of(batch) == "897c0856fdea4e57adbbb063324085a3db13f9b4653d9ab7cba355686ea2e419"
    assert digest() == digest(cc=None) == digest(bcc=[]) == digest(cc="")
    assert len({digest(), digest(cc=B), digest(bcc=B), digest(cc=[B, C])}) == 4
    instant = "2026-12-24T12:00:00+00:00"
    same = ["2026-12-24T12:00:00Z", "2026-12-24T13:00:00+01:00", "2026-12-24T06:30:00.000-05:30"]
    assert {digest(send_at=at) for at in same} == {digest(send_at=instant)}
    assert digest(send_at="2026-12-24T12:00:00.000001Z") != digest(send_at=instant)
    assert digest(send_at="0001-01-01T00:00:00+14:00") != digest(send_at="9999-12-31T23:59:59-14:00")
