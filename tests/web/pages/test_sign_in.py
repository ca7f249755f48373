"""Signing in with a browser: tokens, sessions, and requests from other sites."""

from pathlib import Path

import pytest

from service.auth.wrong_tokens import FREE_ATTEMPTS
from service.models import Scope
from service.web.pages.request_context import local_path
from tests.support.pages import browser, form_token, sign_in
from tests.support.running import ADMIN_TOKEN, Running, plain_client, running, settings_for


def test_admin_token_opens_the_pages_until_signing_out(service: Running) -> None:
    with browser(service) as client:
        away = client.get("/admin")
        assert (away.status_code, away.headers["location"]) == (303, "/admin/sign-in")
        entered = sign_in(client)
        assert (entered.status_code, entered.headers["location"]) == (303, "/admin")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=36000" in cookie
        assert ADMIN_TOKEN not in cookie
        page = client.get("/admin")
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        kept = dict(client.cookies)
        client.post("/admin/sign-out", data={"form_token": form_token(page)})
        assert client.get("/admin").status_code == 303
    with browser(service) as thief:  # a copy of the cookie is worth nothing after that
        assert (
            thief.get("/admin", headers={"Cookie": "; ".join(f"{k}={v}" for k, v in kept.items())}).status_code == 303
        )


def test_key_opens_the_pages_only_with_the_scope_admin_and_only_while_it_holds(service: Running) -> None:
    access, now = service.services.api_keys, service.services.clock()
    _, reader = access.create("reader", [Scope.READ], now)
    made, boss = access.create("boss", [Scope.ADMIN], now)
    with browser(service) as client:
        assert sign_in(client, reader).status_code == 403
        assert sign_in(client, boss).status_code == 303
        assert client.get("/admin").status_code == 200
        access.revoke(made.id, now)
        assert client.get("/admin").status_code == 303


def test_token_that_is_wrong_is_told_so_and_may_be_mended(service: Running) -> None:
    with browser(service) as client:
        answer = sign_in(client, "wrong")
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text


def test_bearer_token_opens_the_pages_for_programs(service: Running) -> None:
    assert service.admin.get("/admin").status_code == 200
    with service.key("reader", "read") as reader:
        assert reader.get("/admin").status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}]
)
def test_form_from_another_site_is_refused(service: Running, headers: dict[str, str]) -> None:
    with browser(service) as client:
        assert sign_in(client).status_code == 303
        token = form_token(client.get("/admin"))
        assert client.post("/admin/sign-out", data={"form_token": token}, headers=headers).status_code == 403
        assert client.get("/admin").status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("null", 403), ("http://localhost:8000", 303)]
)
def test_browser_without_fetch_metadata_is_known_by_its_origin(service: Running, origin: str, status: int) -> None:
    with browser(service) as client:
        del client.headers["Sec-Fetch-Site"]
        client.headers["Origin"] = origin
        assert sign_in(client).status_code == status


def test_form_without_the_token_of_its_session_is_refused(service: Running) -> None:
    with browser(service) as client, browser(service) as other:
        sign_in(client)
        sign_in(other)
        for token in ("", "wrong", form_token(other.get("/admin"))):
            assert client.post("/admin/sign-out", data={"form_token": token}).status_code == 403
        assert client.post("/admin/sign-in", data={"token": ADMIN_TOKEN}).status_code == 403


def test_program_signs_in_without_a_form(service: Running) -> None:
    with plain_client(service.url) as client:
        assert client.post("/admin/sign-in", data={"token": ADMIN_TOKEN}).status_code == 303
        assert client.get("/admin").status_code == 200


def test_signing_in_leads_back_but_never_away(service: Running) -> None:
    with browser(service) as client:
        assert client.get("/admin?a=1").headers["location"] == "/admin/sign-in?next=%2Fadmin%3Fa%3D1"
        assert sign_in(client, next="/admin?a=1").headers["location"] == "/admin?a=1"
        for away in (
            "https://evil.example",
            "//evil.example",
            "//[",
            "/\\evil.example",
            "javascript:alert(1)",
            "/api/v1/x",
        ):
            assert local_path(away) == "/admin"


def test_sign_in_takes_the_right_token_at_once_after_many_wrong_ones(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), works=False) as service, browser(service) as client:
        found = [sign_in(client, f"wrong-{number}").status_code for number in range(FREE_ATTEMPTS + 5)]
        assert found[-1] == 429
        again = sign_in(client, "wrong")
        assert int(again.headers["retry-after"]) > 1
        assert 'role="alert"' in again.text
        assert sign_in(client).status_code == 303


def test_sign_in_takes_the_right_token_when_the_address_has_sent_too_much(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, email_rate_limit_address="5/hour", email_anonymous_scopes="")
    with running(settings, works=False) as service, browser(service) as client:
        found = [service.client.get("/api/v1/email/templates").status_code for _ in range(7)]
        assert found == [401] * 5 + [429] * 2
        assert sign_in(client).status_code == 303
        assert client.get("/admin").status_code == 200
        assert service.admin.get("/api/v1/email/messages").status_code == 200
