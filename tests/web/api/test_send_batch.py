"""POST /send/batch: many mails of one template, all of them or none, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.models.requests import SuppressionRequest
from service.store.database.sqlite import SqliteDatabase
from tests.support.running import Running, data_directory, eventually, held, running, settings_for
from tests.support.samples import ADMIN, WELCOME

ROUTE = "/api/v1/email/send/batch"
TABLES = ("sends", "email_messages", "email_bodies", "email_events")


@pytest.fixture(params=[None, "postgresql_url"], ids=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """SQLite's own file, or an empty PostgreSQL database."""
    return request.getfixturevalue(request.param) if request.param else None


@pytest.fixture
def api(database_url: str | None, tmp_path: Path) -> Iterator[Running]:
    """Accepts, and delivers nothing."""
    with running(settings_for(tmp_path, database_url=database_url), works=False) as service:
        yield service


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Running]:
    """A service over SQLite, where the database makes no difference."""
    with running(settings_for(tmp_path), works=False) as service:
        yield service


def mail(to: str, **variables: Any) -> dict[str, Any]:
    return {"to": to, "variables": {**WELCOME, **variables}}


def mails(count: int, domain: str = "example.com") -> list[dict[str, Any]]:
    return [mail(f"{n}@{domain}", reseller_name=f"Reseller {n}") for n in range(count)]


def post(service: Running, messages: object, *, key: str | None = None, **more: object) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"template_key": "onboarding_welcome", "messages": messages, **more}
    return service.client.post(ROUTE, json=body, headers=headers, timeout=120)


def rows(service: Running) -> dict[str, int]:
    return {name: service.services.database.read(f"SELECT COUNT(*) AS n FROM {name}")[0]["n"] for name in TABLES}


def pointers(answer: httpx.Response) -> set[str]:
    return {problem["pointer"] for problem in answer.json()["errors"]}


def test_batch_of_a_thousand_mails_is_one_send_with_a_text_of_its_own_for_each(api: Running) -> None:
    answer = post(api, mails(1_000))
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert [item["to"] for item in told["messages"]] == [f"{n}@example.com" for n in range(1_000)]
    assert told["status"] == "queued"
    assert answer.headers["location"].endswith(told["messages"][0]["id"])
    assert rows(api) == {"sends": 1, "email_messages": 1_000, "email_bodies": 1_000, "email_events": 1_000}
    for n in (0, 17, 999):
        text = api.admin.get(f"/api/v1/email/messages/{told['messages'][n]['id']}/text").text
        assert f"Reseller {n}" in text
        assert f"Reseller {n + 1}" not in text


def test_batch_tells_every_mistake_of_every_mail_at_once_and_stores_nothing(api: Running) -> None:
    batch = mails(20)
    batch[3]["to"] = "nobody"
    del batch[17]["variables"]["validation_link"]
    batch[18]["variables"]["validation_link"] = "javascript:alert(1)"
    batch[18]["variables"]["unheard_of"] = 1
    batch[19]["attachments"] = [{"filename": "a.pdf", "content_type": "application/pdf", "data_base64": "?"}]
    answer = post(api, batch, reply_to="nobody either")
    assert answer.status_code == 422
    assert pointers(answer) == {
        "/reply_to",
        "/messages/3/to",
        "/messages/17/variables/validation_link",
        "/messages/18/variables/unheard_of",
        "/messages/19/attachments",
    }
    assert set(rows(api).values()) == {0}


def test_batch_tells_the_mail_of_a_value_that_only_rendering_refuses(local: Running) -> None:
    batch = mails(3)
    batch[1]["variables"]["validation_link"] = "javascript:alert(1)"
    answer = post(local, batch)
    assert answer.status_code == 422
    assert pointers(answer) == {"/messages/1/variables/validation_link"}
    assert set(rows(local).values()) == {0}


@pytest.mark.parametrize(
    ("messages", "pointer"),
    [
        ([], "/messages"),
        (mails(1_001), "/messages"),
        ([{"variables": WELCOME}], "/messages/0/to"),
        ([mail("a@example.com") | {"template_key": "x"}], "/messages/0/template_key"),
        ("all of them", "/messages"),
        ([{"to": [f"{n}-{m}@example.com" for n in range(100)], "variables": WELCOME} for m in range(11)], "/messages"),
    ],
    ids=["none", "too many", "without to", "unknown field", "no list", "too many copies"],
)
def test_body_that_is_no_batch_is_refused(service: Running, messages: object, pointer: str) -> None:
    answer = post(service, messages)
    assert answer.status_code == 422
    assert pointers(answer) == {pointer}


def test_batch_takes_several_recipients_for_a_mail_and_several_mails_for_a_recipient(local: Running) -> None:
    answer = post(local, [mail("a@example.com, b@example.com"), mail("a@example.com")])
    assert [item["to"] for item in answer.json()["messages"]] == ["a@example.com", "b@example.com", "a@example.com"]
    assert rows(local)["sends"] == 1


def test_batch_sends_to_the_others_when_some_are_suppressed_or_over_a_limit(
    database_url: str | None, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, database_url=database_url, email_rate_limit_transactional="1/day")
    with running(settings, works=False) as api:
        api.services.recipients.suppressions.add(SuppressionRequest(address="2@example.com"), ADMIN, source="api")
        answer = post(api, [*mails(3), mail("0@example.com")])
    assert answer.status_code == 201, answer.text
    assert [item["status"] for item in answer.json()["messages"]] == ["queued", "queued", "suppressed", "rate_limited"]
    assert answer.json()["status"] == "mixed"


def test_batch_under_the_same_idempotency_key_is_answered_once(api: Running) -> None:
    first = post(api, mails(30), key="once")
    second = post(api, mails(30), key="once")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert rows(api)["email_messages"] == 30
    other = post(api, mails(29), key="once")
    assert other.json()["errors"][0]["code"] == "idempotency_key_reused"
    single = {"to": "0@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
    assert api.client.post("/api/v1/email/send", json=single, headers={"Idempotency-Key": "once"}).status_code == 422


def test_batches_at_once_are_all_taken_and_others_go_on_meanwhile(api: Running) -> None:
    with ThreadPoolExecutor(6) as pool:
        batches = [pool.submit(post, api, mails(400, f"batch{n}.example")) for n in range(4)]
        single = pool.submit(api.send, "onboarding_welcome", "single@example.com", WELCOME)
        assert single.result(60).status_code == 201
        assert {batch.result(120).status_code for batch in batches} == {201}
    assert rows(api)["email_messages"] == 1_601


def test_batch_counts_by_its_mails_when_too_much_waits(tmp_path: Path) -> None:
    database = SqliteDatabase(data_directory(tmp_path) / "rgz-email.db")
    with running(settings_for(tmp_path), works=False, database=database, max_waiting=60) as api:
        assert post(api, mails(1)).status_code == 201  # the revision is kept from here on
        group_commit = api.services.sending.group_commit
        with ThreadPoolExecutor(4) as pool:
            with held(api):
                ahead = pool.submit(post, api, mails(1))
                eventually(lambda: database.waiting, lambda waiting: waiting == 1)
                first = pool.submit(post, api, mails(50, "first.example"))
                eventually(lambda: group_commit.waiting, lambda waiting: waiting == 50)
                second = pool.submit(post, api, mails(50, "second.example"))
                eventually(lambda: group_commit.waiting, lambda waiting: waiting == 100)
                refused = post(api, mails(50, "third.example"))
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) > 0
            assert {answer.result(60).status_code for answer in (ahead, first, second)} == {201}
        assert rows(api)["email_messages"] == 1 + 1 + 100


def test_batch_may_be_larger_than_a_mail_and_no_larger_than_its_setting(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, email_max_attachment_size_mb=0, email_max_batch_size_mb=6)
    with running(settings, works=False) as service:
        wide = {**WELCOME, "reseller_name": "n" * 50_000}
        batch = [{"to": f"{n}@example.com", "variables": wide} for n in range(100)]  # 5 MB, and a mail may have 4 MiB
        assert post(service, batch).status_code == 201
        answer = post(service, batch * 2)
        assert answer.status_code == 413
        assert answer.json()["type"].endswith("too_large")


def test_batch_delivers_all_its_mails(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as service:
        answer = post(service, mails(25))
        for item in answer.json()["messages"]:
            service.until(item["id"], "sent")
        assert len(service.mails("24@example.com")) == 1
