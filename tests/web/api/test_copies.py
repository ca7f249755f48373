"""Copies over HTTP and from the command line: every answer names the role of each message."""

import json
from email import message_from_bytes
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import main
from tests.support.running import Running, settings_for
from tests.support.samples import INCIDENT, WELCOME, WELCOME_OPTIONS

MESSAGES = "/api/v1/email/messages"


def test_send_answers_with_the_role_of_each_message_and_every_copy_shows_to_and_cc(service: Running) -> None:
    body = {"cc": "cc@roles.example", "bcc": ["bcc@roles.example"]}
    answer = service.send("incident_alert_critical", "to@roles.example", INCIDENT, **body)
    assert answer.status_code == 201, answer.text
    accepted = answer.json()
    assert [(item["to"], item["role"]) for item in accepted["messages"]] == [
        ("to@roles.example", "to"),
        ("cc@roles.example", "cc"),
        ("bcc@roles.example", "bcc"),
        ("noc@rgz.bj", "copy"),
    ]
    assert answer.headers["location"] == f"{MESSAGES}/{accepted['messages'][0]['id']}"
    for item in accepted["messages"]:
        detail = service.until(item["id"], "sent")
        assert (detail["role"], detail["visible_to"], detail["visible_cc"]) == (
            item["role"],
            ["to@roles.example"],
            ["cc@roles.example"],
        )
        answered = service.admin.get(f"{MESSAGES}/{item['id']}/raw")
        assert answered.status_code == 200, answered.text
        raw = answered.content
        mail = message_from_bytes(raw)
        assert (mail["to"], mail["cc"], mail["bcc"]) == ("to@roles.example", "cc@roles.example", None)
        assert b"bcc@roles.example" not in raw and b"noc@rgz.bj" not in raw
    page = service.admin.get(MESSAGES, params={"to": "bcc@roles.example"}).json()
    assert [item["role"] for item in page["items"]] == ["bcc"]
    again = service.admin.post(f"{MESSAGES}/{accepted['messages'][1]['id']}/resend").json()
    assert service.until(again["id"], "sent")["role"] == "cc"


def test_batch_takes_copies_for_each_message(service: Running) -> None:
    messages = [
        {"to": "a@batch-copies.example", "variables": WELCOME, "cc": "b@batch-copies.example"},
        {"to": "c@batch-copies.example", "variables": WELCOME, "bcc": ["nobody"]},
    ]
    body = {"template_key": "onboarding_welcome", "messages": messages}
    refused = service.client.post("/api/v1/email/send/batch", json=body)
    assert refused.status_code == 422
    assert [problem["pointer"] for problem in refused.json()["errors"]] == ["/messages/1/bcc/0"]
    messages[1]["bcc"] = "d@batch-copies.example"
    accepted = service.client.post("/api/v1/email/send/batch", json=body).json()
    assert [item["role"] for item in accepted["messages"]] == ["to", "cc", "to", "bcc"]


def test_idempotent_replay_repeats_the_roles_and_other_copies_are_another_request(service: Running) -> None:
    def post(**copies: object) -> tuple[int, object]:
        body = {"to": "to@replay.example", "template_key": "onboarding_welcome", "variables": WELCOME, **copies}
        answer = service.client.post("/api/v1/email/send", json=body, headers={"Idempotency-Key": "copies"})
        return answer.status_code, answer.json().get("messages")

    first = post(cc="cc@replay.example")
    assert first[0] == 201
    assert post(cc="cc@replay.example") == first
    assert post(bcc="cc@replay.example")[0] == 422
    assert post()[0] == 422


def test_template_names_its_copies(service: Running) -> None:
    assert service.client.get("/api/v1/email/templates/incident_alert_critical").json()["copies"] == ["noc@rgz.bj"]


def test_command_sends_copies_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_DATA_DIR", str(settings_for(tmp_path).email_data_dir))
    options = ["--to", "a@example.com", "--cc", "b@example.com,c@example.com", "--bcc", "d@example.com"]
    done = CliRunner().invoke(main, ["send", "onboarding_welcome", *options, *WELCOME_OPTIONS, "--json"])
    assert done.exit_code == 0, done.output
    assert [item["role"] for item in json.loads(done.stdout)["messages"]] == ["to", "cc", "cc", "bcc"]
    assert CliRunner().invoke(main, ["send", "onboarding_welcome", "--cc", "b@example.com"]).exit_code == 2
