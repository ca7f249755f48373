"""From a send over HTTP to the events of Amazon SES by SNS and the audit trail."""

import asyncio
import itertools
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support import ses_events, sns_peer
from tests.support.running import Running, eventually, running, settings_for
from tests.support.samples import WELCOME


class Ses:
    """Takes every mail, and gives it a name of its own. `before_answer` is called with both before it answers."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.before_answer: Callable[[str, str], None] | None = None
        self._numbers = itertools.count()

    async def take(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        to, number = envelope.rcpt_tos[0], next(self._numbers)
        self.names[to] = name = f"0102018f{number:08x}-11111111-2222-3333-4444-555555555555-000000"
        if self.before_answer is not None:
            await server.loop.run_in_executor(None, self.before_answer, to, name)
        return f"250 Ok {name}"

    handle_DATA = take  # noqa: N815 - what aiosmtpd calls


@contextmanager
def ses_smtp() -> Iterator[tuple[Ses, int]]:
    """In a thread of its own: while a browser is open in this process, the main thread has a running loop."""
    ses, loop, started = Ses(), asyncio.new_event_loop(), Future[asyncio.Server]()

    def work() -> None:
        listening = loop.create_server(lambda: SMTP(ses, hostname="ses.test", loop=loop), "127.0.0.1", 0)
        started.set_result(loop.run_until_complete(listening))
        loop.run_forever()
        started.result().close()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=work, name="ses")
    thread.start()
    try:
        yield ses, started.result().sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@contextmanager
def playing(directory: Path, **more: Any) -> Iterator[tuple[Ses, Running]]:
    with sns_peer.sns_peer(directory) as (_, settings), ses_smtp() as (ses, port):
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_tls": "none"}
        with running(settings_for(directory, **smtp, **settings, **more)) as service:
            yield ses, service


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ses, Running]]:
    with playing(tmp_path_factory.mktemp("ses")) as both:
        yield both


def post(service: Running, said: dict[str, Any], **fields: Any) -> None:
    given = json.dumps(sns_peer.notification(said, **fields))
    for _ in range(2):  # SNS delivers at least once
        answer = service.client.post("/api/v1/email/webhook", content=given, headers={"content-type": "text/plain"})
        assert answer.status_code == 200, answer.text


def send(service: Running, to: str) -> str:
    body = {"to": to, "template_key": "onboarding_welcome", "variables": WELCOME}
    answer = service.admin.post("/api/v1/email/send", json=body).raise_for_status()
    message_id: str = answer.json()["messages"][0]["id"]
    return message_id


def kinds(told: dict[str, Any]) -> list[str]:
    return [event["type"] for event in told["events"]]


def test_audit_trail_tells_what_ses_said(started: tuple[Ses, Running]) -> None:
    ses, service = started
    to = "trail@example.org"
    message_id = send(service, to)
    service.until(message_id, "sent")
    said = [
        ses_events.event("Send", send={}),
        ses_events.delay(),
        ses_events.delivery(),
        ses_events.event("Open", open={}),
    ]
    said += [ses_events.bounce("Permanent", "NoEmail"), ses_events.complaint()]
    for one in said:
        post(service, json.loads(json.dumps(one).replace(ses_events.TO, to).replace(ses_events.SES_ID, ses.names[to])))
    told = service.message(message_id)
    assert kinds(told) == ["accepted", "attempted", "sent", "delayed", "delivered", "bounced", "complaint"]
    assert (told["status"], told["bounce_type"], told["bounce_subtype"]) == ("complaint", "permanent", "NoEmail")
    assert (told["events"][2]["provider_id"], told["events"][5]["smtp_code"]) == (ses.names[to], 550)
    assert {event["source"] for event in told["events"][3:]} == {"ses"}
    assert service.message(send(service, to))["status"] == "suppressed"


def test_events_before_the_reply_that_names_the_mail_find_it_later(started: tuple[Ses, Running]) -> None:
    ses, service = started
    to = "early@example.org"

    def before_answer(_: str, name: str) -> None:
        for one in (ses_events.delivery(to, name), ses_events.bounce("Transient", "MailboxFull", to, name)):
            post(service, one)

    ses.before_answer = before_answer
    try:
        message_id = send(service, to)
        told = service.until(message_id, "bounced")
    finally:
        ses.before_answer = None
    assert kinds(told) == ["accepted", "attempted", "sent", "delivered", "bounced"]
    assert (told["bounce_type"], told["bounce_subtype"]) == ("temporary", "MailboxFull")
    assert told["sent_at"] is not None
    assert service.services.database.read("SELECT id FROM feedback_early") == []


def test_events_in_any_order_with_repeats_end_the_same(started: tuple[Ses, Running]) -> None:
    ses, service = started
    chance = random.Random(7)
    people = [f"order{n}@example.org" for n in range(4)]
    ids = [send(service, to) for to in people]
    for message_id in ids:
        service.until(message_id, "sent")
    for to in people:
        name = ses.names[to]
        said = [
            ses_events.delay(to, name),
            ses_events.delivery(to, name),
            ses_events.bounce("Permanent", "General", to, name),
            ses_events.complaint("abuse", [to], name),
        ]
        for one in chance.sample(said * 2, 8):
            post(service, one)
    told = [service.message(message_id) for message_id in ids]
    assert {one["status"] for one in told} == {"complaint"}
    assert {(one["delivered_at"], one["bounce_type"], one["error_message"]) for one in told} == {
        ("2026-02-21T14:31:00.123000Z", "permanent", told[0]["error_message"])
    }
    assert {tuple(sorted(kinds(one))) for one in told} == {
        ("accepted", "attempted", "bounced", "complaint", "delayed", "delivered", "sent")
    }


def test_mail_that_ses_refuses_has_failed(started: tuple[Ses, Running]) -> None:
    ses, service = started
    to = "virus@example.org"
    message_id = send(service, to)
    service.until(message_id, "sent")
    post(service, ses_events.event("Reject", to, ses.names[to], reject={"reason": "Bad content"}))
    told = eventually(lambda: service.message(message_id), lambda found: found["status"] == "failed")
    assert told["error_message"] == "The provider did not send it (Reject): Bad content"


def test_events_end_the_same_on_postgresql(tmp_path: Path, migrated_postgresql_url: str) -> None:
    with playing(tmp_path, database_url=migrated_postgresql_url) as both:
        test_audit_trail_tells_what_ses_said(both)
        test_events_before_the_reply_that_names_the_mail_find_it_later(both)
        test_events_in_any_order_with_repeats_end_the_same(both)
