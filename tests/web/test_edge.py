"""Every answer has the headers that keep it from being sniffed, framed and cached."""

import re

import httpx
import pytest

from service.web.edge import HEADERS
from tests.support.pages import browser, signed_in
from tests.support.running import Running

ANSWERS = [
    ("GET", "/healthz", 200),
    ("GET", "/nothing", 404),
    ("GET", "/admin/nothing", 404),
    ("POST", "/healthz", 405),
    ("OPTIONS", "/healthz", 204),
    ("HEAD", "/nothing", 404),
    ("TRACE", "/healthz", 405),
    ("GET", "/api/v1/email/messages", 401),
    ("GET", "/api/v1/email/templates/nothing", 404),
    ("GET", "/api/v1/email/messages/nothing/attachments/x", 404),
    ("POST", "/api/v1/email/send", 400),
    ("POST", "/api/v1/email/webhook", 400),
    ("POST", "/admin/look", 303),
    ("GET", "/admin/assets/x/y", 404),
    ("GET", "/admin", 303),
    ("GET", "/api/v1/email/unsubscribe/nothing", 404),
    ("GET", f"/{'x' * 5_000}", 414),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_answer_of_any_kind_has_its_headers(service: Running, method: str, path: str, status: int, accept: str) -> None:
    answer = httpx.request(method, f"{service.url}{path}", headers={"Accept": accept})
    assert answer.status_code == status
    for name in HEADERS:
        assert len(answer.headers.get_list(name.decode())) == 1, name
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.search("default-src 'none'", answer.headers["content-security-policy"])


def test_answer_that_has_a_policy_of_its_own_keeps_it_alone(service: Running) -> None:
    with signed_in(service) as person:
        page = person.get("/admin/templates")
        assert page.headers.get_list("content-security-policy")[0].startswith("default-src 'none'; script-src 'self'")
        assert len(page.headers.get_list("content-security-policy")) == 1
        assert page.headers.get_list("referrer-policy") == ["same-origin"]
        asset = re.findall(r'href="(/admin/assets/[^"]+\.css)"', page.text)[0]
        assert "no-store" not in person.get(asset).headers["cache-control"]


def test_addresses_and_cookies_that_are_long_are_read(service: Running) -> None:
    long = "x" * 2_000
    with browser(service) as person:
        page = person.get(
            f"/admin/sign-in?next=/admin/messages?text={long}&a=1", headers={"Cookie": f"rgz_language=fr; a={long}"}
        )
        assert page.status_code == 200
        assert '<html lang="fr"' in page.text
        assert long in page.text
