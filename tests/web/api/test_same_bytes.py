"""Command line, snapshot, test endpoint, archive and delivered mail have the same bytes."""

import email
import email.policy
import hashlib
from email.message import EmailMessage

import pytest

from tests.support.every_mail import MAILS
from tests.support.paths import ROOT
from tests.support.processes import run
from tests.support.running import Running
from tests.support.samples import PHONE, pdf_attachment

#: Snapshots have the declared examples of an installation's values, and this service has those of production.
VALUES = {b"portail.rgz.example": b"admin-rgz.duckdns.org", b"support@rgz.example": b"support@rgz.bj"}
EXAMPLES = [(mail.key, mail.example) for mail in MAILS if mail.locale == "fr"]


def digest(part: bytes) -> str:
    return hashlib.sha256(part).hexdigest()


def part_of(mail: EmailMessage, kind: str) -> bytes:
    """A part as it was before lines were ended for the wire (RFC 2046, 4.1.1)."""
    [found] = [part for part in mail.walk() if part.get_content_type() == f"text/{kind}"]
    decoded = found.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(("key", "example"), EXAMPLES, ids=lambda value: value)
def test_preview_archive_and_delivered_mail_are_the_same(service: Running, key: str, example: str) -> None:
    to = f"{key.replace('_', '-')}.{example.replace('_', '-')}@example.com"
    template = service.client.get(f"/api/v1/email/templates/{key}").json()
    tried = service.admin.post(f"/api/v1/email/templates/{key}/test", json={"example": example}).json()
    file = pdf_attachment("a.pdf")
    files = {"attachments": [file]} if template["attachments"]["required"] else {}
    accepted = service.send(key, to, template["examples"][example], **files)
    assert accepted.status_code == 201, accepted.text
    message_id = accepted.json()["messages"][0]["id"]
    service.until(message_id, "sent")
    [received] = service.mails(to)
    mail = email.message_from_bytes(service.raw(received["id"]), policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    for part, kind in (("html", "html"), ("text", "plain")):
        snapshot = (ROOT / "snapshots" / key / f"fr.{example}.{'html' if part == 'html' else 'txt'}").read_bytes()
        for example_value, value in VALUES.items():
            snapshot = snapshot.replace(example_value, value)
        digests = {
            "test endpoint": digest(tried[part].encode()),
            "archive": digest(service.admin.get(f"/api/v1/email/messages/{message_id}/{part}").content),
            "delivered": digest(part_of(mail, kind)),
            "snapshot": digest(snapshot),
        }
        assert len(set(digests.values())) == 1, digests
    assert received["subject"] == tried["subject"]


def test_render_command_prints_the_same_bytes(service: Running) -> None:
    tried = service.admin.post("/api/v1/email/templates/rma_confirmation/test", json={}).json()
    environment = {"EMAIL_SITE_PHONE": PHONE}
    assert run("render", "rma_confirmation", environment=environment).stdout == tried["html"]
    assert run("render", "rma_confirmation", "--text", environment=environment).stdout == tried["text"]
