"""Ends of streams, limits of sign-in attempts, and cookies over https."""

import threading
from pathlib import Path

import httpx

from service.auth.wrong_tokens import FREE_ATTEMPTS
from service.models import Scope
from tests.support.pages import browser, form_token, sign_in, signed_in
from tests.support.running import Running, eventually, running, settings_for


def test_page_that_is_open_does_not_keep_the_service_from_ending(tmp_path: Path) -> None:
    said: list[str] = []
    with running(settings_for(tmp_path), works=False) as service, signed_in(service) as client:
        listening = threading.Thread(target=_listen, args=(service, dict(client.cookies), said))
        listening.start()
        eventually(lambda: said, bool)
    listening.join(20)
    assert said[-1] == "event: closing"


def _listen(service: Running, cookies: dict[str, str], said: list[str]) -> None:
    with httpx.stream("GET", f"{service.url}/admin/live", cookies=cookies, timeout=30) as stream:
        said.extend(line for line in stream.iter_lines() if line.startswith("event:"))


def test_stream_ends_with_the_key_of_its_session(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), works=False) as service, browser(service) as client:
        made, boss = service.services.api_keys.create("boss", [Scope.ADMIN], service.services.clock())
        assert sign_in(client, boss).status_code == 303
        with client.stream("GET", "/admin/live") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: part"
            service.services.api_keys.revoke(made.id, service.services.clock())
            assert "event: closing" in list(lines)


def test_cookies_are_bound_to_https_and_attempts_are_limited(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, email_public_url="https://mail.rgz.bj")
    with running(settings, works=False) as service:
        # A browser would not send them over http: they are carried by hand.
        page = service.client.get("/admin/sign-in")
        visitor = page.headers["set-cookie"]
        assert visitor.startswith("__Host-rgz_visitor=")
        assert "Secure" in visitor
        headers = {"Cookie": visitor.partition(";")[0], "Origin": service.url, "Sec-Fetch-Site": "same-origin"}
        fields = {"form_token": form_token(page), "token": "wrong"}
        for _ in range(FREE_ATTEMPTS):
            assert service.client.post("/admin/sign-in", data=fields, headers=headers).status_code == 401
        refused = service.client.post("/admin/sign-in", data=fields, headers=headers)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
