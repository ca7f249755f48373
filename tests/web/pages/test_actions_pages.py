"""The pages of what admins did and of open sessions."""

import re
from pathlib import Path

import pytest

from service.models import ActionKind, Scope
from service.web.pages.i18n import read_phrases
from service.web.pages.sessions import browser_name
from tests.support.pages import browser, form_token, sign_in, signed_in
from tests.support.running import Running, running, settings_for


def test_actions_page_lists_filters_and_pages(service: Running) -> None:
    with signed_in(service, **{"Accept-Language": "fr"}) as client:
        for number in range(55):
            client.get(f"/admin/recipients/person{number}@example.com").raise_for_status()
        page = client.get("/admin/actions")
        assert "Données personnelles consultées" in page.text
        assert "@example.com" not in page.text
        [older] = re.findall(r'href="(/admin/actions\?cursor=[^"]+)" rel="next"', page.text)
        assert client.get(older).status_code == 200
        person = client.get("/admin/actions", params={"person": "Person7@example.com"})
        assert "1 action<" in person.text
        assert (
            "1 action<" in client.get("/admin/actions", params={"person": "person8@example.com", "actor": "admin"}).text
        )
        kind = client.get("/admin/actions", params={"kind": "sign_in", "since": "2026-01-01T00:00"})
        assert "Connexion" in kind.text
        assert "Aucun résultat" in client.get("/admin/actions", params={"until": "2020-01-01T00:00"}).text


@pytest.mark.parametrize("query", ["kind=x", "person=x", "since=yesterday", "cursor=x"])
def test_actions_page_names_a_wrong_filter(service: Running, query: str) -> None:
    with signed_in(service) as client:
        answer = client.get(f"/admin/actions?{query}")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("at", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_actions_page_is_no_failure_at_the_ends_of_the_calendar(service: Running, at: str) -> None:
    with signed_in(service) as client:
        for name in ("since", "until"):
            assert client.get("/admin/actions", params={name: at}).status_code in (200, 422)


def test_actions_page_has_a_phrase_for_each_kind_and_way_in() -> None:
    phrases = read_phrases()
    assert {f"action.{kind}" for kind in ActionKind} | {"via.api", "via.page", "via.cli"} <= phrases.keys()


def test_actions_page_exports_what_it_filters(service: Running) -> None:
    with signed_in(service) as client:
        client.get("/admin/recipients/exported@example.com/export/csv").raise_for_status()
        page = client.get("/admin/actions", params={"person": "exported@example.com"})
        [link] = re.findall(r'href="(/admin/actions/export/csv[^"]*)"', page.text)
        answer = client.get(link.replace("&amp;", "&"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.count("person_exported") == 1
    assert len(answer.text.splitlines()) == 2


def test_sessions_page_ends_one_session_of_anybody(service: Running) -> None:
    services = service.services
    _, text = services.api_keys.create("helpdesk", [Scope.ADMIN], services.clock())
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    with browser(service, **{"User-Agent": firefox}) as other, signed_in(service) as client:
        assert sign_in(other, text).status_code == 303
        page = client.get("/admin/sessions")
        assert "Firefox 140, Linux" in page.text
        assert "this session" in page.text
        theirs = next(one for one in services.sessions.list_open() if one.caller.name == "helpdesk")
        fields = {"form_token": form_token(page)}
        for done in ("ended", "gone"):
            answer = client.post(f"/admin/sessions/{theirs.id}/end", data=fields)
            assert answer.headers["location"] == f"/admin/sessions?done={done}"
            assert client.get(answer.headers["location"]).status_code == 200
        assert other.get("/admin").status_code == 303
        assert client.get("/admin").status_code == 200


def test_sessions_page_ends_all_sessions_of_one_and_of_everybody(tmp_path: Path) -> None:
    with (
        running(settings_for(tmp_path), works=False) as service,
        signed_in(service) as here,
        signed_in(service) as there,
    ):
        fields = {"form_token": form_token(here.get("/admin/sessions"))}
        assert here.post("/admin/sessions/end", data=fields).status_code == 422
        assert here.post("/admin/sessions/end", data={**fields, "whose": "mine"}).status_code == 303
        assert there.get("/admin").status_code == 303
        assert here.get("/admin").status_code == 200
        assert here.post("/admin/sessions/end", data={**fields, "whose": "all"}).status_code == 303
        assert here.get("/admin").status_code == 303


def test_sessions_page_refuses_a_form_of_another_site(service: Running) -> None:
    with signed_in(service) as client:
        fields = {"form_token": form_token(client.get("/admin/sessions")), "whose": "all"}
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert client.post("/admin/sessions/end", data=fields, headers=elsewhere).status_code == 403
        assert client.post("/admin/sessions/end", data={"whose": "all"}).status_code == 403
        assert client.get("/admin").status_code == 200


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0 Safari/537.36", "Chrome 141, Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/141.0 Safari/537.36 Edg/141.0", "Edge 141, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari 18, iPhone"),
        ("python-httpx/0.28", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_browser_is_named_by_its_user_agent(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name
