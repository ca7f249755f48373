"""HEAD answers as GET does, without content, on every route (RFC 9110, 9.1)."""

import re
from collections.abc import Iterator, Mapping

import pytest
from litestar.routes import HTTPRoute

from service.web.app import create_app
from tests.support.running import Running
from tests.support.samples import WELCOME

#: Routes that answer with a stream which does not end: GET would wait for events.
STREAMS = {"/admin/live", "/admin/templates/_live", "/admin/mailbox/live", "/admin/deployments/live"}
#: Answers that count themselves, or show how long ago something was.
CHANGING = {"/metrics", "/admin"}


def get_paths(service: Running) -> Iterator[tuple[str, str]]:
    """The path template of every GET route, and an address of it."""
    values = {
        "message_id": _message(service),
        "key": "onboarding_welcome",
        "number": "1",
        "n": "0",
        "mail_id": service.mails("head@example.com")[0]["id"],
        "address": "head@example.com",
    }
    for route in create_app(service.services).routes:
        assert isinstance(route, HTTPRoute)
        if "GET" in route.methods:
            template = re.sub(r":\w+\}", "}", route.path_format)
            yield template, re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "nothing"), template)


def _message(service: Running) -> str:
    answer = service.send("onboarding_welcome", "head@example.com", WELCOME).raise_for_status()
    message_id: str = answer.json()["messages"][0]["id"]
    service.until(message_id, "sent")
    return message_id


def test_head_answers_as_get_does_on_every_route(service: Running) -> None:
    paths = dict(get_paths(service))
    assert {"/healthz", "/api/v1/email/unsubscribe/{token}", *STREAMS} <= paths.keys()
    for template, path in paths.items():
        head = service.admin.head(path)
        assert head.content == b""
        if template in STREAMS:
            assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            continue
        get = service.admin.get(path)
        assert head.status_code == get.status_code, template
        left_out = {"date", "set-cookie"} | ({"content-length"} if template in CHANGING else set())
        assert _without(head.headers, left_out) == _without(get.headers, left_out), template
    assert service.admin.get("/healthz").json() == {"status": "ok"}  # the connection is not out of step


def _without(headers: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """The other headers; a nonce in the policy is another one in each answer."""
    return {name: re.sub(r"nonce-[^']+", "nonce", value) for name, value in headers.items() if name not in names}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/email/messages", 401), ("/api/v1/email/templates/nothing", 404), ("/api/v1/email/send", 405)],
)
def test_head_is_refused_where_get_is(service: Running, path: str, status: int) -> None:
    head, get = service.client.head(path), service.client.get(path)
    assert (head.status_code, head.content) == (status, b"")
    assert get.status_code == status
    assert head.headers["content-length"] == get.headers["content-length"]


def test_allow_names_head_where_there_is_get(service: Running) -> None:
    assert service.client.post("/healthz").headers["allow"] == "GET, HEAD, OPTIONS"
    assert service.client.options("/api/v1/email/messages").headers["allow"] == "GET, HEAD, OPTIONS"
    assert service.client.options("/api/v1/email/send").headers["allow"] == "OPTIONS, POST"
