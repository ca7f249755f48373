"""Export and erasure of a recipient over HTTP."""

import pytest

from tests.support.running import Running
from tests.support.samples import WELCOME

PLACE = "/api/v1/email/recipients"


def test_recipient_data_is_exported_and_then_erased(service: Running) -> None:
    sent = service.send("onboarding_welcome", "ann+tag@example.com, bob@example.com", WELCOME).json()["messages"]
    for message in sent:
        service.until(message["id"], "sent")
    known = service.admin.get(f"{PLACE}/ANN+tag@example.com").raise_for_status().json()
    [message] = known["messages"]
    assert (message["to"], message["variables"]) == ("ann+tag@example.com", WELCOME)
    assert "Tech" in message["text"] and "Tech" in message["html"]
    assert [event["type"] for event in message["events"]] == ["accepted", "attempted", "sent"]
    assert known["suppressions"] == []

    would = service.admin.post(f"{PLACE}/ann+tag@example.com/erase", params={"dry_run": "true"}).json()
    assert (would["dry_run"], would["messages_anonymised"]) == (True, 1)
    done = service.admin.post(f"{PLACE}/ann+tag@example.com/erase").raise_for_status().json()
    assert (done["messages_anonymised"], done["is_suppressed"], done["is_scrubbed"]) == (1, True, True)

    base = f"/api/v1/email/messages/{message['id']}"
    for part in ("html", "text", "raw", "attachments/0"):
        assert service.admin.get(f"{base}/{part}").status_code == 410
    assert service.admin.post(f"{base}/resend").status_code == 410
    shown = service.message(message["id"])
    assert (shown["subject"], shown["metadata"]) == ("", {})
    assert shown["anonymised_at"] is not None
    assert shown["events"][-1]["type"] == "anonymised"
    again = service.send("onboarding_welcome", "ann+tag@example.com", WELCOME).json()["messages"][0]
    assert again["status"] == "suppressed"
    [item] = service.admin.get(f"{PLACE}/ann+tag@example.com").json()["suppressions"]
    assert (item["address"], item["reason"], item["created_by"]) == (None, "erasure", "admin")
    assert len(service.admin.get(f"{PLACE}/bob@example.com").json()["messages"]) == 1


@pytest.mark.parametrize("query", ["dry_run=1", "suppress=no", "sure=true", "dry_run=true&dry_run=true"])
def test_erasure_with_a_wrong_parameter_changes_nothing(service: Running, query: str) -> None:
    service.send("onboarding_welcome", "cy@example.com", WELCOME)
    assert service.admin.post(f"{PLACE}/cy@example.com/erase?{query}").status_code == 422
    messages = service.admin.get(f"{PLACE}/cy@example.com").json()["messages"]
    assert {message["anonymised_at"] for message in messages} == {None}


def test_recipient_data_is_for_an_admin_alone(service: Running) -> None:
    assert service.admin.get(f"{PLACE}/nobody").status_code == 422
    assert service.client.get(f"{PLACE}/a@example.com").status_code == 401
    with service.key("reader", "send", "read") as reader:
        assert reader.get(f"{PLACE}/a@example.com").status_code == 403
        assert reader.post(f"{PLACE}/a@example.com/erase").status_code == 403
