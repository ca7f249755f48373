"""GET /admin-actions: what each way in records, as a list and as a file."""

import csv
import io
from typing import Any

import httpx
import pytest

from tests.support.running import Running
from tests.support.samples import WELCOME

LIST = "/api/v1/email/admin-actions"


def listed(service: Running, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = service.admin.get(LIST, params=params).raise_for_status().json()["items"]
    return items


def newest(service: Running, **params: Any) -> dict[str, Any]:
    return listed(service, limit=1, **params)[0]


def test_action_of_a_request_is_listed_with_its_caller_and_without_the_person(service: Running) -> None:
    item = service.admin.post("/api/v1/email/suppressions", json={"address": "lift@example.com"}).json()
    with service.key("helpdesk", "admin") as client:
        client.delete(f"/api/v1/email/suppressions/{item['id']}").raise_for_status()
    row = newest(service, kind="suppression_lifted")
    assert (row["actor_name"], row["via"], row["subject"], row["count"]) == ("helpdesk", "api", item["id"], 1)
    assert row == newest(service, person="Lift@example.com", actor="helpdesk")
    assert "lift@" not in str(listed(service)).lower()


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/v1/email/recipients/{address}", "person_exported"),
        ("POST", "/api/v1/email/recipients/{address}/erase", "person_erased"),
        ("GET", "/api/v1/email/messages?to={address}", "person_shown"),
        ("GET", "/api/v1/email/suppressions?address={address}", "person_shown"),
        ("GET", "/admin/recipients/{address}", "person_shown"),
        ("GET", "/admin/recipients/{address}/export/json", "person_exported"),
        ("GET", "/admin/recipients/{address}/export/csv", "person_exported"),
        ("GET", "/admin/messages?to={address}", "person_shown"),
        ("GET", "/admin/suppressions?address={address}", "person_shown"),
    ],
)
def test_person_shown_exported_or_erased_is_recorded(service: Running, method: str, path: str, kind: str) -> None:
    address = f"{abs(hash((method, path)))}@example.com"
    service.admin.request(method, path.format(address=address)).raise_for_status()
    [row] = listed(service, person=address)
    assert (row["kind"], row["actor_id"]) == (kind, "admin")


def test_refused_keys_and_scopes_are_counted(service: Running) -> None:
    for _ in range(3):
        service.client.get("/api/v1/email/templates", headers={"Authorization": "Bearer secret-of-a-stranger"})
    with service.key("reader", "read") as reader:
        body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
        for _ in range(2):
            assert reader.post("/api/v1/email/send", json=body).status_code == 403
    refused = newest(service, kind="key_refused")
    assert (refused["count"], refused["actor_id"], refused["subject"]) == (3, None, None)
    scope = newest(service, kind="scope_refused")
    assert (scope["count"], scope["actor_name"], scope["detail"]) == (2, "reader", "send")
    assert refused["client"] == scope["client"]
    assert "secret-of-a-stranger" not in str(listed(service))


def test_actions_come_as_a_file_that_no_spreadsheet_runs(service: Running) -> None:
    with service.key("=cmd()", "admin") as client:
        client.get("/api/v1/email/recipients/file@example.com").raise_for_status()
    answer = service.admin.get(LIST, headers={"Accept": "text/csv"}, params={"person": "file@example.com"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "admin-actions.csv" in answer.headers["content-disposition"]
    [row] = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["kind"], row["actor_name"]) == ("person_exported", "'=cmd()")
    assert row == {**row, **{name: str(value) for name, value in newest(service).items() if name == "id"}}


def test_actions_are_for_admins_alone(service: Running) -> None:
    assert service.client.get(LIST).status_code == 401
    with service.key("reader", "read") as reader:
        assert reader.get(LIST).status_code == 403


def test_actions_with_a_wrong_parameter_are_refused(service: Running) -> None:
    answers: list[httpx.Response] = [
        service.admin.get(LIST, params=params)
        for params in ({"kind": "x"}, {"limit": 0}, {"cursor": "x"}, {"since": "x"}, {"other": 1}, {"person": "x"})
    ]
    assert [answer.status_code for answer in answers] == [422] * len(answers)
    assert service.admin.get(LIST, headers={"Accept": "text/csv"}, params={"kind": "x"}).status_code == 422
