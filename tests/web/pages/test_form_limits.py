"""Forms of the pages: bounded in bytes and fields, and refused before they are read where that is possible."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from service.web.app import FORM_BYTES
from service.web.pages.editor_form import EDITOR_FORM_BYTES
from service.web.pages.request_context import FORM_FIELDS
from tests.support.pages import browser, form_token, signed_in
from tests.support.running import ADMIN_TOKEN, Running

OPEN_FORMS = ("/admin/look", "/admin/sign-in", "/admin/sign-out")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@contextmanager
def begun(service: Running, path: str, *headers: str) -> Iterator[socket.socket]:
    """A form whose fields never come."""
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        head = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/x-www-form-urlencoded", *headers]
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        yield connection


@pytest.mark.parametrize("path", OPEN_FORMS)
def test_form_that_is_too_large_is_refused_by_its_length(service: Running, path: str) -> None:
    with begun(service, path, f"Content-Length: {FORM_BYTES + 1}") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", OPEN_FORMS)
def test_form_that_is_too_large_in_chunks_is_refused(service: Running, path: str) -> None:
    with begun(service, path, "Transfer-Encoding: chunked") as connection:
        connection.sendall(b"%x\r\n%s\r\n" % (FORM_BYTES + 2, b"&a" * (FORM_BYTES // 2 + 1)))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", OPEN_FORMS)
def test_form_of_too_many_fields_is_refused(service: Running, path: str) -> None:
    assert service.client.post(path, content=b"&a" * FORM_FIELDS, headers=FORM).status_code == 413


@pytest.mark.parametrize("path", [*OPEN_FORMS, "/admin/messages/nothing/resend", "/admin/templates/x/edit"])
@pytest.mark.parametrize(
    "header",
    ["Origin: https://elsewhere.example", "Origin: http://[::1", "Sec-Fetch-Site: cross-site", "Cookie: rgz_visitor="],
)
def test_form_that_another_site_sends_is_refused_before_it_is_read(service: Running, path: str, header: str) -> None:
    admin = f"Authorization: Bearer {ADMIN_TOKEN}"
    with begun(service, path, "Content-Length: 1000", header, admin) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("path", ["/admin/messages/nothing/resend", "/admin/templates/x/edit", "/admin/suppressions"])
def test_form_of_somebody_who_is_not_signed_in_is_not_read(service: Running, path: str) -> None:
    with begun(service, path, "Content-Length: 1000") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 303 ")


def test_form_in_another_type_is_refused(service: Running) -> None:
    url = f"{service.url}/admin/look"
    assert httpx.post(url, files={"a": b"x"}).status_code == 400
    assert httpx.post(url).status_code == 303  # without a body there is nothing to parse


def test_form_may_hold_a_lost_character(service: Running) -> None:
    with signed_in(service) as person:
        token = form_token(person.get("/admin/suppressions"))
        fields = {"form_token": token, "address": "nul@example.com", "reason": "a\x00b"}
        assert person.post("/admin/suppressions", data=fields).status_code == 303
        assert "a\N{REPLACEMENT CHARACTER}b" in person.get("/admin/suppressions?address=nul@example.com").text
        (item,) = service.admin.get("/api/v1/email/suppressions?address=nul@example.com").json()["items"]
        lift = {"form_token": token, "reason": "\x00", "next": "/admin/suppressions?address=%00"}
        assert person.post(f"/admin/suppressions/{item['id']}/lift", data=lift).status_code == 303


@pytest.mark.parametrize("path", ["/admin/messages?since=0001-01-01T00:00", "/admin/messages?until=9999-12-31T23:59"])
def test_page_takes_times_at_the_ends_of_the_calendar(service: Running, path: str) -> None:
    with signed_in(service) as person:
        assert person.get(path).status_code in (200, 422)


def test_editor_takes_files_that_no_other_form_does(service: Running) -> None:
    with signed_in(service) as person:
        page = person.get("/admin/templates/onboarding_welcome/edit")
        text = "<mjml><mj-body></mj-body></mjml>"
        fields = {"form_token": form_token(page), "f.template.mjml": text, "b.template.mjml": "é" * 900_000}
        answer = person.post("/admin/templates/onboarding_welcome/check", data=fields)
        assert answer.status_code == 200
    large = b"f.template.mjml=" + b"x" * EDITOR_FORM_BYTES
    assert service.admin.post("/admin/templates/x/check", content=large, headers=FORM).status_code == 413


def test_visitor_without_a_cookie_is_told_to_reload_before_the_form_is_read(service: Running) -> None:
    with browser(service) as person:
        answer = person.post("/admin/look", data={"language": "fr"})
        assert answer.status_code == 403
