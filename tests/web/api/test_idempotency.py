"""The header Idempotency-Key: the same request again gets the first answer, and no second mail."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.checkouts import copy_templates
from tests.support.running import Running, running, settings_for
from tests.support.samples import WELCOME


def body(to: str, **more: object) -> dict[str, object]:
    return {"to": to, "template_key": "onboarding_welcome", "variables": WELCOME, **more}


def post(service: Running, key: str, content: dict[str, object]) -> httpx.Response:
    return service.client.post("/api/v1/email/send", json=content, headers={"Idempotency-Key": key})


def test_idempotent_replay_gets_the_first_answer(service: Running) -> None:
    first = post(service, "same", body("same@example.com"))
    service.until(first.json()["messages"][0]["id"], "sent")
    second = post(service, "same", body("same@example.com"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.json()["messages"][0]["status"] == "queued"  # as it was answered, not as it is now
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert len(service.mails("same@example.com")) == 1


def test_idempotency_key_refuses_another_request(service: Running) -> None:
    post(service, "other", body("other@example.com"))
    answer = post(service, "other", body("someone.else@example.com"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "idempotency_key_reused"


def test_idempotency_ignores_the_order_of_fields(service: Running) -> None:
    first = post(service, "order", body("order@example.com"))
    turned = dict(reversed(body("order@example.com").items()))
    assert post(service, "order", turned).json() == first.json()


def test_idempotency_keys_belong_to_their_caller(service: Running) -> None:
    first = post(service, "mine", body("mine@example.com"))
    with service.key("neighbour", "send") as neighbour:
        second = neighbour.post(
            "/api/v1/email/send", json=body("mine@example.com"), headers={"Idempotency-Key": "mine"}
        )
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]


def test_idempotency_key_is_not_used_up_by_a_refused_request(service: Running) -> None:
    assert post(service, "retry", body("retry@@example.com")).status_code == 422
    assert post(service, "retry", body("retry@example.com")).status_code == 201


def test_idempotent_requests_at_once_make_one_mail(service: Running) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(service, "race", body("race@example.com")), range(24)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    service.until(next(a for a in answers if a.status_code == 201).json()["messages"][0]["id"], "sent")
    page = service.admin.get("/api/v1/email/messages", params={"to": "race@example.com"}).json()
    assert page["total"] == 1


@pytest.mark.parametrize(("change", "status"), [("inactive", 409), ("broken", 503), ("gone", 404)])
def test_idempotent_replay_gets_the_first_answer_whatever_became_of_the_template(
    tmp_path: Path, change: str, status: int
) -> None:
    templates = tmp_path / "templates"
    copy_templates(templates, "onboarding_welcome")
    source = templates / "onboarding_welcome" / "template.mjml"
    settings = settings_for(tmp_path, email_templates_dir=templates)
    with running(settings, works=False) as service:
        first = post(service, "once", body("a@example.com"))
        assert first.status_code == 201
    if change == "gone":
        shutil.rmtree(source.parent)
    elif change == "inactive":
        source.write_text(source.read_text().replace("active: true", "active: false"))
    else:
        source.write_text(source.read_text().replace("</mj-body>", "<mj-txt>?</mj-txt></mj-body>"))
    with running(settings, works=False) as service:
        assert post(service, "new", body("a@example.com")).status_code == {"gone": 404, "inactive": 409}.get(
            change, 503
        )
        again = post(service, "once", body("a@example.com"))
        assert again.status_code == 201, again.text
        assert again.json() == first.json()
        assert service.services.database.read("SELECT COUNT(*) AS n FROM email_messages")[0]["n"] == 1
