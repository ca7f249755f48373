"""The pages of deployments: what they show, what their forms change, and who may see them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx
import pytest

from service.models import Change, DeploymentState, Scope, Trigger
from service.monitoring.deployment_details import State
from service.web.pages.i18n import read_phrases
from tests.support.deployed import BROKEN, STRICTER, DeployedService, changed, deployed, shared
from tests.support.pages import browser, form_token, sign_in, signed_in
from tests.support.running import Running

PAGE = "/admin/deployments"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[DeployedService]:
    with deployed(tmp_path) as started:
        yield started


@pytest.fixture
def client(here: DeployedService) -> Iterator[httpx.Client]:
    here.look()
    here.until("synced")
    with signed_in(here.service) as signed:
        yield signed


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return client.post(f"{PAGE}/{path}", data={"form_token": form_token(client.get(PAGE)), **fields})


def test_deployments_page_shows_what_is_live_waits_and_is_held(here: DeployedService, client: httpx.Client) -> None:
    here.push("A warmer welcome", hello=changed("Salut"))
    assert send(client, "holds", key="hello", why="not agreed").headers["location"] == f"{PAGE}?done=held"
    here.push("The amount is required", other=STRICTER)
    page = client.get(PAGE, params={"done": "held"}).text
    for words in ("The revision is held", "A hold keeps a revision out", "not agreed", "Two templates", "Ada Lovelace"):
        assert words in page
    assert "other/template.mjml:8" in page  # why the next one waits
    assert "Activate anyway" in page
    french = client.get(PAGE, headers={"Accept-Language": "fr"}).text
    assert "Une révision est retenue" in french


def test_deployment_page_names_the_mails_that_have_no_snapshot(here: DeployedService, client: httpx.Client) -> None:
    here.repository.keep_snapshots()
    here.push("A warmer welcome", hello=changed("Salut"))
    page = client.get(f"{PAGE}/{here.newest.id}").text
    assert "1 has no snapshot" in page
    assert "hello/fr.default" in page


def test_deployments_page_filters_its_history(here: DeployedService, client: httpx.Client) -> None:
    commit = here.push("A warmer welcome", hello=changed("Salut"))
    assert "A warmer welcome" in client.get(PAGE, params={"key": "hello", "commit": commit[:9]}).text
    assert "No results" in client.get(PAGE, params={"state": "waiting"}).text
    wrong = client.get(PAGE, params={"commit": "HEAD"})
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (422, True)


def test_forms_roll_back_suspend_resume_sync_and_lift(here: DeployedService, client: httpx.Client) -> None:
    here.push("Wrong words", hello=changed("Faux"))
    here.until("synced")
    assert send(client, "rollback", why="wrong").status_code == 422  # not confirmed
    assert send(client, "rollback", why="", sure="yes").status_code == 422
    assert send(client, "rollback", why="wrong", sure="yes", key="", to="").status_code == 303
    [hold] = here.until("rolled_back")["holds"]
    assert send(client, "holds/lift", key=hold["key"], revision=hold["revision"]).status_code == 303
    assert send(client, "suspend", why="invoices", until="2026-03-01T08:00").status_code == 303
    assert here.current["source"]["suspended"]["until"].startswith("2026-03-01T07:00")  # EMAIL_TIMEZONE
    assert send(client, "resume").status_code == 303
    assert send(client, "sync").headers["location"] == f"{PAGE}?done=requested"
    assert send(client, "suspend", why="x", until="soon").status_code == 422
    kinds = [one["kind"] for one in here.service.admin.get("/api/v1/email/admin-actions").json()["items"]]
    assert kinds[:5] == [
        "deployment_requested",
        "sync_resumed",
        "sync_suspended",
        "template_hold_lifted",
        "deployment_rolled_back",
    ]


def test_deployment_that_is_held_is_activated_from_its_page(here: DeployedService, client: httpx.Client) -> None:
    here.push("The amount is required", hello=STRICTER)
    held = here.newest.id
    page = client.get(f"{PAGE}/{held}")
    assert "hello/template.mjml:8" in page.text
    assert send(client, f"{held}/activate", why="billing is ready").status_code == 409
    assert send(client, f"{held}/activate", why="billing is ready", anyway="yes").status_code == 303
    assert here.current["id"] == held


def test_deployment_page_shows_source_pictures_findings_and_figures(
    here: DeployedService, client: httpx.Client
) -> None:
    before = here.current["id"]
    here.repository.write_shared("head.mjml", shared("Entête"))
    here.push("A warmer welcome", hello=changed("Salut <b>tous</b>"))
    after = here.until("synced")["id"]
    assert here.service.send("hello", "a@example.com", {"name": "Awa"}).status_code == 201
    page = client.get(f"{PAGE}/{after}").text
    assert "Salut &lt;b&gt;tous" in page  # source is text
    assert "_shared/head.mjml" in page
    assert f"/admin/messages?deployment={after}&amp;template_key=hello" in page
    frames = re.findall(rf'src="({PAGE}/[^"]+/frame/[^"]+)"', page)
    assert frames == [f"{PAGE}/{one}/frame/{key}" for key in ("hello", "other") for one in (before, after)]
    shown = [client.get(frame) for frame in frames[:2]]
    assert [word in one.text for one, word in zip(shown, ("Bonjour", "Salut"), strict=True)] == [True, True]
    assert all(one.headers["content-security-policy"].startswith("sandbox") for one in shown)
    assert client.get(f"{PAGE}/{after}/frame/nothing").status_code == 404
    here.push("Broken", hello=BROKEN)
    assert "hello/template.mjml:16:1" in client.get(f"{PAGE}/{here.newest.id}").text
    assert client.get(f"{PAGE}/nothing").status_code == 404


def test_key_that_may_deploy_signs_in_and_sees_deployments_alone(here: DeployedService) -> None:
    here.look()
    here.until("synced")
    services = here.service.services
    _, deployer = services.api_keys.create("pipeline", [Scope.DEPLOY], services.clock())
    _, sender = services.api_keys.create("billing", [Scope.SEND, Scope.READ], services.clock())
    with browser(here.service) as client:
        assert sign_in(client, sender).status_code == 403
        assert sign_in(client, deployer).headers["location"] == PAGE
        page = client.get(PAGE)
        assert page.status_code == 200
        navigation = re.findall(r'<li><a href="([^"]+)"', page.text.partition("</nav>")[0])
        assert navigation == [PAGE, "/docs"]
        for other in ("/admin", "/admin/messages", "/admin/templates", "/admin/recipients/a@example.com"):
            assert client.get(other).status_code == 403
        assert "/admin/messages" not in client.get(f"{PAGE}/{here.current['id']}").text
        assert send(client, "suspend", why="mine").status_code == 303
    assert here.current["source"]["suspended"]["by"] == "pipeline"


def test_deployments_page_refuses_forms_of_other_sites(here: DeployedService, client: httpx.Client) -> None:
    fields = {"form_token": form_token(client.get(PAGE)), "why": "x", "sure": "yes"}
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for path in ("sync", "rollback", "holds", "holds/lift", "suspend", "resume", "x/activate"):
        assert client.post(f"{PAGE}/{path}", data=fields, headers=elsewhere).status_code == 403
        assert client.post(f"{PAGE}/{path}", data={"why": "x"}).status_code == 403


def test_deployments_page_of_a_directory_shows_its_state_and_has_no_forms(service: Running) -> None:
    with signed_in(service) as client:
        page = client.get(PAGE).text
    assert "Templates are served from a directory" in page
    assert f'action="{PAGE}/' not in page


def test_pages_have_a_phrase_for_each_state_trigger_and_change() -> None:
    phrases = read_phrases()
    assert {f"deployment_state.{one}" for one in DeploymentState} <= phrases.keys()
    assert {f"trigger.{one}" for one in Trigger} <= phrases.keys()
    assert {f"change.{one}" for one in Change} <= phrases.keys()
    states = get_args(State)
    assert len(states) == 10
    assert {f"source_state.{one}" for one in states} | {f"source_says.{one}" for one in states} <= phrases.keys()
