"""GET, POST /deployments and /holds: what is served, what was, and what is changed by hand."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.deployed import (
    BROKEN,
    CURRENT,
    DEPLOYMENTS,
    SHARING,
    STRICTER,
    DeployedService,
    changed,
    deployed,
    shared,
)
from tests.support.running import Running, eventually
from tests.support.scopes import SCOPES

HOLDS = "/api/v1/email/holds"
ACTIONS = "/api/v1/email/admin-actions"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[DeployedService]:
    with deployed(tmp_path) as started:
        yield started


def listed(here: DeployedService, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = here.service.admin.get(DEPLOYMENTS, params=params).raise_for_status().json()["items"]
    return items


def post(here: DeployedService, path: str, **body: Any) -> dict[str, Any]:
    answer = here.service.admin.post(f"{DEPLOYMENTS}{path}", json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def done(here: DeployedService) -> list[tuple[str, str | None, str | None]]:
    """Kind, subject and detail of what was done to deployments, the last one first."""
    items = here.service.admin.get(ACTIONS).raise_for_status().json()["items"]
    return [(item["kind"], item["subject"], item["detail"]) for item in items if item["actor_name"] == "admin"]


def test_current_deployment_is_told_before_and_after_the_first(here: DeployedService) -> None:
    before = here.current
    assert (before["commit"], before["id"], before["items"], before["templates"]) == (None, None, [], 0)
    assert (before["mode"], before["state"]) == ("git", "progressing")
    here.look()
    now = here.until("synced")
    assert (now["first_line"], now["author"], now["templates"], now["changed"]) == (
        "Two templates",
        "Ada Lovelace",
        2,
        2,
    )
    assert {item["key"]: (item["change"], item["version"]) for item in now["items"]} == {
        "hello": ("new", 1),
        "other": ("new", 1),
    }
    [process] = eventually(lambda: here.current["processes"], lambda found: len(found) == 1)
    assert (process["role"], process["deployment_id"]) == ("api", now["id"])
    assert now["source"]["seen_commit"] == now["commit"]
    assert (now["next"], now["holds"], now["dirty"]) == (None, [], [])
    assert now["conditions"] == [{"state": "synced", "message": now["conditions"][0]["message"]}]


def test_deployments_are_listed_filtered_and_paged(here: DeployedService) -> None:
    here.look()
    second = here.push("Salut", hello=changed("Salut"))
    third = here.push("Allô", other=changed("Allô", SHARING))
    page = here.service.admin.get(DEPLOYMENTS, params={"limit": 2}).json()
    assert ([one["commit"] for one in page["items"]], page["total"]) == ([third, second], 3)
    rest = here.service.admin.get(DEPLOYMENTS, params={"limit": 2, "cursor": page["next"]}).json()
    assert ([one["first_line"] for one in rest["items"]], rest["next"]) == (["Two templates"], None)
    assert [one["commit"] for one in listed(here, key="hello")][:1] == [second]
    assert [one["commit"] for one in listed(here, state="live")] == [third]
    assert [one["id"] for one in listed(here, commit=second[:7])] == [page["items"][1]["id"]]
    since = page["items"][1]["created_at"]
    assert [one["commit"] for one in listed(here, since=since)] == [third, second]
    assert page["items"][0]["live_at"].endswith("Z") or "+" in page["items"][0]["live_at"]


@pytest.mark.parametrize(
    ("params", "codes"),
    [
        (
            {"key": "a/b", "since": "x", "state": "x", "commit": "HEAD", "limit": 0},
            {"key", "since", "state", "commit", "limit"},
        ),
        ({"cursor": "x"}, {"cursor"}),
        ({"since": "9999-12-31T23:59:59-12:00"}, {"since"}),
        ({"colour": "x"}, {"unknown_parameter"}),
    ],
)
def test_deployments_with_wrong_parameters_are_refused_at_once(
    service: Running, params: dict[str, Any], codes: set[str]
) -> None:
    answer = service.admin.get(DEPLOYMENTS, params=params)
    assert answer.status_code == 422
    assert {one["code"] for one in answer.json()["errors"]} == codes


@pytest.mark.parametrize("name", ["x", "ffff", "019a0000-0000-7000-8000-000000000000", "a%00b", "é"])
def test_deployment_that_is_not_there_is_not_found(service: Running, name: str) -> None:
    for path in (name, f"{name}/diff"):
        answer = service.admin.get(f"{DEPLOYMENTS}/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    answer = service.admin.post(f"{DEPLOYMENTS}/{name}/activate", json={"why": "x"})
    assert answer.status_code in (404, 409)


def test_deployment_is_shown_with_its_templates_and_compared(here: DeployedService) -> None:
    here.look()
    first = here.current
    here.repository.write_shared("head.mjml", shared("Entête"))
    here.repository.keep_snapshots()
    commit = here.push("Salut", hello=changed("Salut").replace("version: 1", "version: 2"))
    shown = here.service.admin.get(f"{DEPLOYMENTS}/{commit[:10]}").json()
    assert (shown["commit"], shown["state"], shown["parent"]) == (commit, "live", first["commit"])
    assert {one["key"]: (one["change"], one["version"]) for one in shown["items"]} == {
        "hello": ("changed", 2),
        "other": ("by_shared_part", 1),
    }
    mails = ["hello/fr.default", "other/fr.default"]
    compared = {"equal": 0, "differing": 0, "missing": 2, "differing_mails": [], "missing_mails": mails}
    assert (first["snapshots"], shown["snapshots"], here.current["snapshots"]) == (None, compared, compared)
    diff = here.service.admin.get(f"{DEPLOYMENTS}/{shown['id']}/diff").json()
    assert (diff["against"], diff["whole"]) == (first["id"], True)
    hello, other = diff["templates"]
    assert (hello["key"], hello["before"]["version"], hello["after"]["version"]) == ("hello", 1, 2)
    [file] = hello["files"]
    assert file["path"] == "hello/template.mjml"
    assert "-<mj-text>Bonjour {{ name }}" in file["diff"]
    assert "+<mj-text>Salut {{ name }}" in file["diff"]
    assert (hello["shared"], other["files"], other["shared"]) == ([], [], ["_shared/head.mjml"])
    [part] = diff["shared"]
    assert "+<mj-section><mj-column><mj-text>Entête" in part["diff"]
    backwards = here.service.admin.get(f"{DEPLOYMENTS}/{first['id']}/diff", params={"against": commit}).json()
    assert backwards["templates"][0]["before"] == hello["after"]
    nothing = here.service.admin.get(f"{DEPLOYMENTS}/{first['id']}/diff").json()
    assert nothing["against"] is None
    assert [one["change"] for one in nothing["templates"]] == ["new", "new"]


def test_template_that_is_broken_or_gone_is_told_with_its_place(here: DeployedService) -> None:
    here.look()
    here.push("Broken", hello=BROKEN)
    now = here.until("degraded")
    assert now["broken"] == 1
    [item] = [one for one in now["items"] if one["key"] == "hello"]
    assert item["change"] == "kept"
    assert (item["findings"][0]["file"], item["findings"][0]["severity"]) == ("hello/template.mjml", "error")
    [kept] = here.service.admin.get(f"{DEPLOYMENTS}/{now['id']}/diff").json()["templates"]
    assert (kept["change"], kept["before"]) == ("kept", kept["after"])
    assert kept["findings"] == item["findings"]


def test_request_to_look_is_numbered_and_answered(here: DeployedService) -> None:
    answer = post(here, "")
    assert (answer["request"], answer["state"], answer["deployment"]) == (1, "progressing", None)
    here.look()
    assert here.until("synced")["source"]["answered_look"] == 1
    assert done(here)[0][0] == "deployment_requested"
    unknown = post(here, "", commit="abcdef0123")
    assert unknown["request"] == 2


def test_deployment_that_a_check_holds_is_served_only_anyway(here: DeployedService) -> None:
    here.look()
    here.push("Required", hello=STRICTER)
    held = here.until("held")["next"]
    assert "hello/template.mjml" in held["reason"]
    requests = [("", {"commit": held["commit"]}), ("", {"deployment": held["id"]})]
    for path, body in [*requests, (f"/{held['id']}/activate", {"why": "x"})]:
        answer = here.service.admin.post(f"{DEPLOYMENTS}{path}", json=body)
        assert answer.status_code == 409
        assert any("hello/template.mjml" in one["message"] for one in answer.json()["errors"])
    found = post(here, f"/{held['id']}/activate", why="billing is ready", anyway=True)
    assert (found["deployment"]["state"], found["deployment"]["why"]) == ("live", "billing is ready")
    assert here.until("synced")["id"] == held["id"]
    assert done(here)[0] == ("deployment_activated", held["id"], "billing is ready")


def test_rollback_hold_and_lift_change_what_is_served_and_are_recorded(here: DeployedService) -> None:
    here.look()
    good = {item["key"]: item["revision"] for item in here.current["items"]}
    here.push("Faux", hello=changed("Faux"))
    bad = {item["key"]: item["revision"] for item in here.current["items"]}
    found = post(here, "/rollback", why="wrong words")
    assert (found["deployment"]["trigger"], found["state"]) == ("rollback", "rolled_back")
    now = here.current
    assert {item["key"]: item["revision"] for item in now["items"]} == good
    [hold] = now["holds"]
    assert (hold["key"], hold["revision"], hold["why"], hold["until"]) == ("hello", bad["hello"], "wrong words", None)
    assert here.service.admin.get(HOLDS).json() == {"items": [hold], "total": 1}
    assert done(here)[0] == ("deployment_rolled_back", found["deployment"]["id"], "wrong words")

    lifted = here.service.admin.delete(HOLDS, params={"key": "hello"})
    assert (lifted.status_code, here.current["holds"]) == (202, [])
    assert {item["key"]: item["revision"] for item in here.current["items"]} == bad
    assert done(here)[0][:2] == ("template_hold_lifted", "hello")

    until = "2026-03-01T08:00:00+01:00"
    held = here.service.admin.post(HOLDS, json={"key": "hello", "why": "waits", "until": until})
    assert (held.status_code, here.current["holds"][0]["until"][:19]) == (202, "2026-03-01T07:00:00")


def test_sync_is_suspended_and_resumed_with_a_reason(here: DeployedService) -> None:
    here.look()
    post(here, "/suspend", why="invoices go out", until="2026-03-01T08:00:00Z")
    suspended = here.current["source"]["suspended"]
    assert (suspended["by"], suspended["why"]) == ("admin", "invoices go out")
    commit = here.push("Salut", hello=changed("Salut"))
    waits = here.until("suspended")["next"]
    assert (waits["commit"], waits["state"]) == (commit, "waiting")
    assert here.service.admin.post(f"{DEPLOYMENTS}/resume").status_code == 202
    here.look()
    assert here.until("synced")["commit"] == commit
    assert [kind for kind, _, _ in done(here)][:2] == ["sync_resumed", "sync_suspended"]


def test_commit_that_waits_is_prepared_again_when_something_was_rolled_back_meanwhile(here: DeployedService) -> None:
    here.look()
    here.push("Faux", hello=changed("Faux"))
    post(here, "/suspend", why="invoices go out")
    commit = here.push("Allô", other=changed("Allô", SHARING))
    post(here, "/rollback", why="wrong words", keys=["hello"])
    here.look()
    waits = here.current["next"]
    assert (waits["commit"], waits["state"]) == (commit, "waiting")
    here.service.admin.post(f"{DEPLOYMENTS}/resume").raise_for_status()
    here.look()
    now = here.until("rolled_back")
    assert (now["commit"], {item["key"]: item["change"] for item in now["items"]}) == (
        commit,
        {"hello": "kept", "other": "changed"},
    )


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        ("", {"commit": "main", "deployment": 1, "x": 1}, {"/commit", "/deployment", "/x"}),
        ("", {"commit": "abcdef0", "deployment": "abc"}, {""}),
        ("/rollback", {"keys": "hello", "why": ""}, {"/keys", "/why"}),
        ("/rollback", {}, {"/why"}),
        ("/suspend", {"until": "tomorrow"}, {"/why", "/until"}),
        ("/suspend", {"why": "x", "until": "9999-12-31T23:59:59-12:00"}, {"/until"}),
        ("/abc/activate", {"anyway": "yes"}, {"/why", "/anyway"}),
        ("/abc/activate", {"why": " \n"}, {"/why"}),
    ],
)
def test_change_with_mistakes_is_refused_with_all_of_them(
    service: Running, path: str, body: dict[str, Any], pointers: set[str]
) -> None:
    answer = service.admin.post(f"{DEPLOYMENTS}{path}", json=body)
    assert answer.status_code == 422, answer.text
    assert {one["pointer"] for one in answer.json()["errors"]} == pointers


def test_hold_with_mistakes_is_refused_with_all_of_them(service: Running) -> None:
    answer = service.admin.post(HOLDS, json={"revision": "../x", "until": 5})
    assert {one["pointer"] for one in answer.json()["errors"]} == {"/key", "/revision", "/until", "/why"}
    assert service.admin.delete(HOLDS).status_code == 422


def test_directory_is_shown_and_nothing_of_it_is_changed_by_hand(service: Running) -> None:
    current = service.admin.get(CURRENT).json()
    assert (current["mode"], current["source"]["url"]) == ("files", None)
    changes: list[httpx.Response] = [
        service.admin.post(DEPLOYMENTS),
        service.admin.post(f"{DEPLOYMENTS}/rollback", json={"why": "x"}),
        service.admin.post(f"{DEPLOYMENTS}/suspend", json={"why": "x"}),
        service.admin.post(f"{DEPLOYMENTS}/resume"),
        service.admin.post(HOLDS, json={"key": "onboarding_welcome", "why": "x"}),
        service.admin.delete(HOLDS, params={"key": "onboarding_welcome"}),
    ]
    assert [answer.status_code for answer in changes] == [409] * len(changes)
    assert all("EMAIL_TEMPLATES_GIT_URL" in answer.json()["detail"] for answer in changes)


def test_key_that_may_deploy_sees_no_mail_and_no_person(service: Running) -> None:
    with service.key("pipeline", "deploy") as pipeline, service.key("billing", "send", "read") as billing:
        for (method, path), scope in SCOPES.items():
            url = "/api/v1/email" + re.sub(r"\{\w+\}", "1", path)
            codes = [client.request(method, url).status_code for client in (pipeline, billing)]
            assert (codes[0] == 403) == (scope.value != "deploy"), (method, path)
            assert (codes[1] == 403) == (scope.value in ("deploy", "admin")), (method, path)
        for page in ("/admin", "/admin/messages", "/admin/templates", "/admin/actions", "/admin/suppressions"):
            assert pipeline.get(page).status_code == 403
        assert pipeline.get("/admin/deployments").status_code == 200
        assert billing.get("/admin/deployments").status_code == 403
