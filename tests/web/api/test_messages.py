"""Reading sent messages: lists, timelines, exact bytes, resends."""

import email
import email.policy
import hashlib
from datetime import UTC, datetime, timedelta, timezone

from tests.support.running import Running
from tests.support.samples import PDF, WELCOME
from tests.support.sends import send_invoice


def lines(part: bytes) -> list[bytes]:
    """Line ends are CRLF on the wire, and a part may end with one more (RFC 2046, 5.1.1)."""
    return part.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")


def test_message_tells_its_whole_history(service: Running) -> None:
    accepted = send_invoice(service, "found@example.com")
    message = service.until(accepted["messages"][0]["id"], "sent")
    assert [event["type"] for event in message["events"]] == ["accepted", "attempted", "sent"]
    assert message["events"][-1]["smtp_code"] == 250
    assert message["template_version"] == accepted["template"]["version"]
    assert message["template_revision"] == accepted["template"]["revision"]
    assert message["source_endpoint"] == "billing"
    assert message["attachments"] == [
        {
            "n": 0,
            "filename": "facture février.pdf",
            "content_type": "application/pdf",
            "size_bytes": len(PDF),
            "sha256": hashlib.sha256(PDF).hexdigest(),
        }
    ]
    for field in ("id", "to", "template_key", "subject", "status", "created_at", "sent_at", "error_message"):
        assert field in message
    assert message["bounce_type"] is None


def test_message_content_archived_is_what_arrived(service: Running) -> None:
    message_id = send_invoice(service, "bytes@example.com")["messages"][0]["id"]
    message = service.until(message_id, "sent")
    base = f"/api/v1/email/messages/{message_id}"
    raw = service.admin.get(f"{base}/raw").content
    assert hashlib.sha256(raw).hexdigest() == message["wire_sha256"]
    [received] = service.mails("bytes@example.com")
    arrived = service.raw(received["id"])
    assert arrived.endswith(raw)  # the mailbox may put its own trace headers on top

    mail = email.message_from_bytes(raw, policy=email.policy.default)
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None and text is not None
    for name, part in (("html", html), ("text", text)):
        decoded = part.get_payload(decode=True)
        assert isinstance(decoded, bytes)
        assert lines(service.admin.get(f"{base}/{name}").content) == lines(decoded)
    assert service.admin.get(f"{base}/attachments/0").content == PDF
    assert service.admin.get(f"{base}/attachments/1").status_code == 404
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == f"<{message['message_id']}>"
    assert mail["Reply-To"] == "support@rgz.bj"


def test_message_content_is_shown_without_scripts_or_requests(service: Running) -> None:
    message_id = service.send("onboarding_welcome", "power@example.com", WELCOME).json()["messages"][0]["id"]
    answer = service.admin.get(f"/api/v1/email/messages/{message_id}/html")
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_message_list_is_filtered_and_paged_without_gaps(service: Running) -> None:
    for _ in range(5):
        service.send("onboarding_welcome", "paged@example.com", WELCOME, source_endpoint="paging")
    pages, cursor = [], None
    while True:
        params: dict[str, str | int] = {"to": "PAGED@example.com", "source_endpoint": "paging", "limit": 2}
        answer = service.admin.get("/api/v1/email/messages", params=params | ({"cursor": cursor} if cursor else {}))
        page = answer.raise_for_status().json()
        pages.append([item["id"] for item in page["items"]])
        assert page["total"] == 5
        cursor = page["next"]
        if cursor is None:
            break
    seen = [message_id for page in pages for message_id in page]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_message_list_of_another_address_is_empty(service: Running) -> None:
    page = service.admin.get("/api/v1/email/messages", params={"to": "nobody@example.com"}).json()
    assert page == {"items": [], "total": 0, "next": None}


def test_message_list_since_means_created_at(service: Running) -> None:
    service.send("onboarding_welcome", "since@example.com", WELCOME)
    [item] = service.admin.get("/api/v1/email/messages", params={"to": "since@example.com"}).json()["items"]
    params = {"to": "since@example.com", "since": item["created_at"]}
    assert service.admin.get("/api/v1/email/messages", params=params).json()["total"] == 1
    params["since"] = "2999-01-01T00:00:00+00:00"
    assert service.admin.get("/api/v1/email/messages", params=params).json()["total"] == 0


def test_resend_carries_the_same_content_under_a_new_name(service: Running) -> None:
    old_id = send_invoice(service, "again@example.com")["messages"][0]["id"]
    old = service.until(old_id, "sent")
    answer = service.admin.post(f"/api/v1/email/messages/{old_id}/resend")
    assert answer.status_code == 201
    new = service.until(answer.json()["id"], "sent")
    assert new["resend_of"] == old_id
    assert new["message_id"] != old["message_id"]
    assert (new["subject"], new["attachments"]) == (old["subject"], old["attachments"])
    for part in ("html", "text", "attachments/0"):
        first = service.admin.get(f"/api/v1/email/messages/{old_id}/{part}").content
        assert service.admin.get(f"/api/v1/email/messages/{new['id']}/{part}").content == first


def test_recipients_get_private_copies_when_several(service: Running) -> None:
    accepted = service.send("onboarding_welcome", "One@example.com, two@example.com,one@EXAMPLE.com", WELCOME).json()
    assert [message["to"] for message in accepted["messages"]] == ["One@example.com", "two@example.com"]
    [mail] = service.mails("two@example.com")
    parsed = email.message_from_bytes(service.raw(mail["id"]), policy=email.policy.default)
    assert parsed["To"] == "two@example.com"
    assert mail["to"] == ["two@example.com"]


def test_scheduled_mail_waits_for_its_time(service: Running) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    elsewhere = tomorrow.astimezone(timezone(timedelta(hours=1)))
    accepted = service.send("onboarding_welcome", "later@example.com", WELCOME, send_at=elsewhere.isoformat())
    message = service.message(accepted.json()["messages"][0]["id"])
    assert (message["status"], message["waiting_for"]) == ("queued", "time")
    assert datetime.fromisoformat(message["next_attempt_at"]) == tomorrow
