"""Data requests: export and erasure of one person."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn, cast

import pytest

from service.bootstrap import Services
from service.errors import InvalidRequest, StoreBusy
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.models import Status
from service.models.requests import AttachmentRequest, SendRequest, SuppressionRequest
from service.sending.group_commit import GroupCommit
from service.sending.prepared_send import PreparedSend
from tests.support.canaries import Canaries, TellTale, contents, found_in
from tests.support.samples import ADMIN
from tests.support.scripted import Clock

ANN, BOB = "ann@example.com", "bob@example.com"
VARIABLES = {"name": "Ann Example", "sender": "Agent"}
FILE = AttachmentRequest(filename="ann.csv", content_type="text/csv", data_base64="YW5uLGIK")


@pytest.fixture
def written(services: Services, clock: Clock) -> list[str]:
    """Messages to Ann: one sent (also to Bob), one that waits."""
    both = SendRequest(to=[ANN, BOB], template_key="plain", variables=VARIABLES, attachments=[FILE])
    first = services.sending.acceptor.send(both, ADMIN, idempotency_key="about-ann").messages[0].id
    services.delivery.deliverer.drain(threading.Event())
    soon = (clock() + timedelta(days=9)).isoformat()
    body = {"to": ANN, "template_key": "plain", "variables": VARIABLES, "send_at": soon}
    later = SendRequest.model_validate(body)
    return [first, services.sending.acceptor.send(later, ADMIN).messages[0].id]


def test_export_tells_everything_and_changes_nothing(services: Services, written: list[str]) -> None:
    services.recipients.suppressions.add(
        SuppressionRequest(address=ANN, scope="marketing", reason="Ann asked"), ADMIN, source="api"
    )
    known = services.recipients.data_requests.export("ANN@example.com")
    assert [item.message.id for item in known.messages] == written
    first = known.messages[0]
    assert first.body is not None and "Ann Example" in first.body.text
    assert first.variables == VARIABLES
    assert [event.type.value for event in first.events][:2] == ["accepted", "attempted"]
    assert [file.filename for file in first.attachments] == ["ann.csv"]
    assert [item.detail for item in known.suppressions] == ["Ann asked"]
    assert services.recipients.data_requests.export("nobody@example.com").messages == []
    assert services.recipients.retention_purge.due().messages_to_anonymise == 0
    with pytest.raises(InvalidRequest):
        services.recipients.data_requests.export("nobody")


def test_erasure_leaves_nothing_but_a_hash_that_is_suppressed(
    services: Services, clock: Clock, written: list[str]
) -> None:
    services.recipients.suppressions.add(SuppressionRequest(address=ANN, reason="Ann asked"), ADMIN, source="api")
    early = FeedbackEvent(
        FeedbackKind.DELIVERED, clock(), "ses", recipient=ANN, provider_id="unknown", diagnostic="for Ann"
    )
    services.feedback.feedback_recorder.record("n1", "sns", [early])
    would = services.recipients.data_requests.preview_erasure(ANN)
    assert (would.messages_anonymised, would.messages_cancelled, would.suppressions_anonymised) == (2, 1, 1)
    assert len(services.recipients.data_requests.export(ANN).suppressions) == 1  # nothing has changed

    done = services.recipients.data_requests.erase(ANN, ADMIN)
    assert (done.messages_anonymised, done.messages_cancelled, done.messages_leaving) == (2, 1, 0)
    assert (done.is_suppressed, done.is_scrubbed, done.files_waiting) == (True, True, 0)
    [other] = services.database.read("SELECT recipient_email FROM email_messages WHERE anonymised_at IS NULL")
    assert other["recipient_email"] == BOB  # whose copy of the same send has all that it had
    assert services.database.read("SELECT * FROM feedback_early") == []
    for table in ("email_messages", "email_events", "suppressions", "sends"):
        rows = services.database.read(f"SELECT * FROM {table}")
        assert ANN not in json.dumps(rows, default=str)
    assert services.messages.message_search.detail(written[1], ADMIN).message.status is Status.CANCELLED
    again = services.sending.acceptor.send(SendRequest(to=ANN, template_key="plain", variables=VARIABLES), ADMIN)
    assert again.messages[0].status is Status.SUPPRESSED
    # That last request brought the address back, marked as not to be sent: once more is enough.
    assert services.recipients.data_requests.erase(ANN, ADMIN).messages_anonymised == 1
    assert services.recipients.data_requests.erase(ANN, ADMIN).messages_anonymised == 0


def test_erasure_may_leave_no_suppression(services: Services, written: list[str]) -> None:
    assert not services.recipients.data_requests.erase(ANN, ADMIN, suppresses=False).is_suppressed
    again = services.sending.acceptor.send(SendRequest(to=ANN, template_key="plain", variables=VARIABLES), ADMIN)
    assert again.messages[0].status is Status.QUEUED


def test_erasure_reports_mail_under_way_and_erases_it_the_next_time(services: Services, clock: Clock) -> None:
    transport = services.delivery.transport
    assert isinstance(transport, TellTale)
    seen = []
    transport.before_answer = lambda: seen.append(services.recipients.data_requests.erase(ANN, ADMIN))
    services.sending.acceptor.send(SendRequest(to=ANN, template_key="plain", variables=VARIABLES), ADMIN)
    services.delivery.deliverer.drain(threading.Event())
    transport.before_answer = None
    [during] = seen
    assert (during.messages_anonymised, during.messages_leaving) == (0, 1)
    assert services.recipients.data_requests.erase(ANN, ADMIN).messages_anonymised == 1
    rows = services.database.read("SELECT * FROM email_messages") + services.database.read("SELECT * FROM email_events")
    assert ANN not in str(rows)


def test_erasure_deletes_files_at_once_when_no_other_message_has_them(services: Services, written: list[str]) -> None:
    bob = services.recipients.data_requests.erase(BOB, ADMIN)
    assert (bob.files_deleted, bob.files_waiting) == (0, 0)
    ann = services.recipients.data_requests.erase(ANN, ADMIN)
    assert (ann.files_deleted, ann.files_waiting) == (1, 0)
    assert services.database.read("SELECT sha256 FROM attachment_blobs") == []


@pytest.mark.parametrize("is_stored", [True, False])
def test_erasure_leaves_a_file_to_the_request_that_is_being_accepted(
    services: Services, written: list[str], is_stored: bool
) -> None:
    renderer = services.sending.acceptor.renderer
    request = SendRequest(to="carl@example.com", template_key="plain", variables=VARIABLES, attachments=[FILE])
    prepared = renderer.render(request, ADMIN, idempotency_key=None)
    services.recipients.data_requests.erase(BOB, ADMIN)
    assert services.recipients.data_requests.erase(ANN, ADMIN).files_waiting == 1
    if is_stored:
        [message] = services.sending.group_commit.submit(prepared)
        assert services.messages.message_search.attachment(message.id, 0).data == b"ann,b\n"
    else:
        renderer.discard(prepared)
        assert services.database.read("SELECT sha256 FROM attachment_blobs") == []
    assert services.database.read("SELECT sha256 FROM attachment_holds") == []


class Full:
    """A group commit that has no room."""

    def submit(self, prepared: PreparedSend) -> NoReturn:
        raise StoreBusy("Too many requests wait to be stored.")

    async def submit_async(self, prepared: PreparedSend) -> NoReturn:
        self.submit(prepared)


def test_request_that_is_not_stored_leaves_no_file(services: Services) -> None:
    acceptor = replace(services.sending.acceptor, group_commit=cast(GroupCommit, Full()))
    request = SendRequest(to=ANN, template_key="plain", variables=VARIABLES, attachments=[FILE])
    body = request.model_dump_json(exclude_unset=True).encode()
    with pytest.raises(StoreBusy):
        acceptor.send(request, ADMIN)
    with ThreadPoolExecutor(1) as apart, pytest.raises(StoreBusy):
        apart.submit(asyncio.run, acceptor.accept_send(body, ADMIN)).result()
    for table in ("attachment_blobs", "attachment_holds"):
        assert services.database.read(f"SELECT sha256 FROM {table}") == []


def test_erasure_leaves_nothing_of_the_person_in_any_file(services: Services, clock: Clock, canaries: Canaries) -> None:
    if services.database.dialect != "sqlite":
        return  # its files are looked through in test_privacy_canaries
    words = Canaries()
    for _ in range(30):
        variables = {"name": words.new(), "sender": words.new()}
        request = SendRequest(to=ANN, template_key="plain", variables=variables, metadata={"note": words.new()})
        services.sending.acceptor.send(request, ADMIN, idempotency_key=words.new())
    services.delivery.deliverer.drain(threading.Event())
    state = services.settings.email_data_dir
    assert found_in(state.rglob("*"), words.words)
    services.recipients.data_requests.erase(ANN, ADMIN)
    assert found_in(state.rglob("*"), words.words) == set()
    assert not any(ANN.encode() in data for data in contents(state.rglob("*")))
