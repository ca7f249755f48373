"""From a send over HTTP to a bounce report in a real mailbox and the audit trail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dovecot import Dovecot
from tests.support.returned_mails import complaint, report
from tests.support.running import Running, eventually, running, settings_for

pytestmark = pytest.mark.slow


@pytest.fixture
def service(dovecot: Dovecot, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Running, str]]:
    """A service that looks into a mailbox of its own five times a second, and that mailbox's user."""
    user = f"e2e{abs(hash((request.node.nodeid, str(tmp_path))))}@x.example"
    settings = settings_for(
        tmp_path,
        email_bounce_address="retours@mail.rgz.bj",
        email_inbox_host="localhost",
        email_inbox_port=dovecot.tls_port,
        email_inbox_user=user,
        email_inbox_password=dovecot.password,
        email_inbox_ca_file=dovecot.ca_file,
        email_inbox_poll_seconds=0.2,
    )
    with running(settings) as up:
        yield up, user


def sent(service: Running, to: str) -> tuple[str, dict[str, Any]]:
    """A message that has left, and the mail as the next hop has it."""
    key, variables = example(service)
    answer = service.send(key, to, variables)
    assert answer.status_code == 201, answer.text
    message_id = str(answer.json()["messages"][0]["id"])
    [mail] = service.mails(to)
    service.until(message_id, "sent")
    return message_id, mail


def example(service: Running) -> tuple[str, dict[str, Any]]:
    """A template that needs no attachment, and values for it."""
    for key, entry in service.services.catalogue.current.entries.items():
        template = entry.template
        if template is not None and template.examples and not template.manifest.attachments.required:
            return key, dict(next(iter(template.examples.values())))
    raise AssertionError("no template without attachments")


def test_bounce_report_by_mail_reaches_the_audit_trail_and_suppresses_the_address(
    service: tuple[Running, str], dovecot: Dovecot
) -> None:
    up, user = service
    to = "gone@there.example"
    message_id, mail = sent(up, to)
    assert mail["from"].startswith("retours+")

    dovecot.put(user, report(mail["from"], recipient=to))
    message = up.until(message_id, "bounced")
    assert (message["bounce_type"], message["bounce_subtype"]) == ("permanent", "NoEmail")
    assert [event["type"] for event in message["events"]] == ["accepted", "attempted", "sent", "bounced"]
    assert "550 5.1.1 No such user here" in message["events"][-1]["detail"]

    [suppression] = up.admin.get("/api/v1/email/suppressions").json()["items"]
    assert (suppression["address"], suppression["scope"], suppression["reason"]) == (to, "all", "bounce")
    key, variables = example(up)
    again = up.send(key, to, variables)
    assert again.status_code == 201
    assert again.json()["messages"][0]["status"] == "suppressed"

    # The mailbox gives a second copy of the same report, and one by another way: nothing happens twice.
    dovecot.put(user, report(mail["from"], recipient=to), report(mail["from"], recipient=to, name="2"))
    message_of_another, other = sent(up, "other@there.example")
    dovecot.put(user, report(other["from"], recipient="other@there.example", status="4.2.2", words="452 full"))
    another = up.until(message_of_another, "bounced")
    assert (another["bounce_type"], another["bounce_subtype"]) == ("temporary", "MailboxFull")
    assert up.message(message_id)["status"] == "bounced"
    assert up.admin.get("/api/v1/email/suppressions").json()["total"] == 1


def test_return_path_is_unique_for_each_mail_and_for_a_resend(service: tuple[Running, str]) -> None:
    up, _ = service
    message_id, first = sent(up, "a@there.example")
    _, second = sent(up, "b@there.example")
    answer = up.admin.post(f"/api/v1/email/messages/{message_id}/resend")
    assert answer.status_code == 201, answer.text
    mails = eventually(lambda: up.mails("a@there.example"), lambda found: len(found) == 2)
    paths = {mail["from"] for mail in (*mails, first, second)}
    assert len(paths) == 3


def test_complaint_by_mail_beats_earlier_feedback(service: tuple[Running, str], dovecot: Dovecot) -> None:
    up, user = service
    message_id, mail = sent(up, "angry@there.example")
    dovecot.put(user, report(mail["from"], action="delivered", status="2.0.0", words="250 taken"))
    up.until(message_id, "delivered")
    dovecot.put(user, complaint("fbl@rgz.bj", returned_path=mail["from"]))
    message = up.until(message_id, "complaint")
    assert [event["type"] for event in message["events"]][-2:] == ["delivered", "complaint"]
    [suppression] = up.admin.get("/api/v1/email/suppressions").json()["items"]
    assert (suppression["address"], suppression["reason"]) == ("angry@there.example", "complaint")


def test_bounce_mailbox_never_answers_so_bounces_of_bounces_make_no_loop(
    service: tuple[Running, str], dovecot: Dovecot
) -> None:
    up, user = service
    message_id, mail = sent(up, "loop@there.example")
    of_a_bounce = report(mail["from"], recipient="mailer-daemon@there.example", returned_path="", message_id="none")
    dovecot.put(user, *[of_a_bounce.replace(b"Facture", f"Undelivered {n}".encode()) for n in range(20)])
    dovecot.put(user, report(mail["from"], name="last"))
    up.until(message_id, "bounced")
    eventually(lambda: up.message(message_id)["events"], lambda events: len(events) >= 4)
    assert len(up.client.get("/dev/mailbox/messages").json()["items"]) == 1
