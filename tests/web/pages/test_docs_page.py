"""The OpenAPI document and its page: all operations are described, and no others."""

import html
import json
import re

import jsonschema_rs
import pytest

from tests.support.pages import signed_in
from tests.support.running import ADMIN_TOKEN, Running
from tests.support.scopes import SCOPES

#: Operations that are open, or have a guard of their own.
PROGRAMS = {
    ("POST", "/webhook"),
    ("POST", "/source/webhook"),
    ("GET", "/unsubscribe/{token}"),
    ("POST", "/unsubscribe/{token}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/dev/mailbox/messages"),
    ("DELETE", "/dev/mailbox/messages"),
    ("GET", "/dev/mailbox/messages/{mail_id}/raw"),
}


def test_openapi_document_describes_every_operation_and_its_scope(service: Running) -> None:
    document = service.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    served = {
        (method.upper(), path.removeprefix("/api/v1/email")): one
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }
    assert served.keys() == SCOPES.keys() | PROGRAMS
    assert {one["operationId"] for one in served.values()}.__len__() == len(served)
    assert served["POST", "/send"]["security"] == [{"key": ["send"]}]
    assert served["GET", "/healthz"]["security"] == []
    assert served["POST", "/suppressions"]["summary"] == "Suppress an `address` by hand."
    for place, one in served.items():
        assert one["summary"], place
        assert not re.search(r"\bself\b", json.dumps(one)), place


def test_openapi_examples_of_bodies_fit_their_schemas(service: Running) -> None:
    document = service.client.get("/openapi.json").json()
    checked = 0
    for methods in document["paths"].values():
        for one in methods.values():
            content = one.get("requestBody", {}).get("content", {}).get("application/json", {})
            if "example" in content:
                schema = {"components": document["components"], **content["schema"]}
                jsonschema_rs.validator_for(schema).validate(content["example"])
                checked += 1
    assert checked >= 4


def test_openapi_first_example_is_taken_as_it_is(service: Running) -> None:
    page = service.client.get("/docs", headers={"Accept-Language": "en"}).text
    [body] = re.findall(r"<textarea id=\"post_api_v1_email_send-body\"[^>]*>(.*?)</textarea>", page, re.DOTALL)
    answer = service.client.post("/api/v1/email/send", content=html.unescape(body))
    assert answer.status_code == 201


@pytest.mark.parametrize("language", ["en", "fr"])
def test_docs_page_is_open_and_shows_every_operation(service: Running, language: str) -> None:
    document = service.client.get("/openapi.json").json()
    page = service.client.get("/docs", headers={"Accept-Language": language})
    assert page.status_code == 200
    for methods in document["paths"].values():
        for one in methods.values():
            assert f'id="{one["operationId"]}"' in page.text
    assert ADMIN_TOKEN not in page.text


def test_session_is_no_key_for_the_api(service: Running) -> None:
    with signed_in(service) as browser:
        assert browser.get("/api/v1/email/messages").status_code == 401
