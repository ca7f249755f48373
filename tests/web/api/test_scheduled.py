"""Scheduled mail: it waits for its time, and can be cancelled until it leaves."""

from datetime import UTC, datetime, timedelta

from tests.support.running import Running
from tests.support.samples import WELCOME


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_scheduled_mail_leaves_at_its_time_and_not_before(service: Running) -> None:
    accepted = service.send("onboarding_welcome", "soon@example.com", WELCOME, send_at=in_seconds(1.5))
    message_id = accepted.json()["messages"][0]["id"]
    assert service.message(message_id)["waiting_for"] == "time"
    sent = service.until(message_id, "sent")
    due_at = datetime.fromisoformat(sent["events"][0]["at"]) + timedelta(seconds=1.4)
    assert datetime.fromisoformat(sent["sent_at"]) >= due_at


def test_cancel_stops_a_waiting_mail_once_and_for_all(service: Running) -> None:
    accepted = service.send("onboarding_welcome", "never@example.com", WELCOME, send_at=in_seconds(3600))
    message_id = accepted.json()["messages"][0]["id"]
    url = f"/api/v1/email/messages/{message_id}/cancel"
    assert service.admin.post(url).json()["status"] == "cancelled"
    assert service.admin.post(url).status_code == 200
    message = service.message(message_id)
    assert [event["type"] for event in message["events"]] == ["accepted", "cancelled"]
    assert "admin" in message["events"][1]["detail"]
    assert service.mails("never@example.com", wait_s=0) == []


def test_cancel_is_refused_when_the_mail_has_left(service: Running) -> None:
    accepted = service.send("onboarding_welcome", "gone@example.com", WELCOME)
    message_id = accepted.json()["messages"][0]["id"]
    service.until(message_id, "sent")
    answer = service.admin.post(f"/api/v1/email/messages/{message_id}/cancel")
    assert answer.status_code == 409
    assert "sent" in answer.json()["detail"]
    assert service.admin.post("/api/v1/email/messages/nothing/cancel").status_code == 404


def test_send_at_of_a_moment_ago_means_now_and_an_earlier_one_is_refused(service: Running) -> None:
    late = service.send("onboarding_welcome", "clock@example.com", WELCOME, send_at=in_seconds(-30))
    assert late.status_code == 201
    service.until(late.json()["messages"][0]["id"], "sent")
    past = service.send("onboarding_welcome", "clock@example.com", WELCOME, send_at=in_seconds(-90))
    assert past.status_code == 422
    assert [(one["pointer"], one["code"]) for one in past.json()["errors"]] == [("/send_at", "in_the_past")]
