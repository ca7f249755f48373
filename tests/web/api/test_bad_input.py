"""Bad input is answered with 4xx and problem details, and nothing is stored or sent."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tests.support.running import Running, running, settings_for
from tests.support.samples import INVOICE, PDF, WELCOME, pdf_attachment

SEND = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}


def cursor(at: str, row_id: object) -> str:
    """A cursor as the service writes them."""
    return urlsafe_b64encode(json.dumps([at, row_id]).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service whose store must still be empty at the end."""
    with running(settings_for(tmp_path_factory.mktemp("quiet"), email_max_attachment_size_mb=1)) as service:
        yield service
        assert service.admin.get("/api/v1/email/messages").json()["total"] == 0
        assert service.client.get("/dev/mailbox/messages").json()["total"] == 0


def refused(service: Running, body: bytes | dict[str, Any], status: int) -> dict[str, list[str]]:
    """The problems of a refusal, as pointer -> messages."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = service.client.post("/api/v1/email/send", content=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance", "errors"} <= problem.keys()
    assert problem["status"] == status
    found: dict[str, list[str]] = {}
    for error in problem["errors"]:
        found.setdefault(error["pointer"], []).append(error["message"])
    return found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"to": "a@example.com"',
        b"nonsense",
        b'{"to": NaN}',
        b'{"to": Infinity}',
        b"\xff\xfe{}",
        b'{"to": "\xe9"}',
        b'{"variables": {"x": "\\ud800"}}',
        b"[" * 200_000,
        b'{"variables":' * 100_000,
        b"{} {}",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_body_that_is_not_json_is_400(quiet: Running, body: bytes) -> None:
    refused(quiet, body, 400)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"null", b"true"])
def test_json_that_is_no_object_is_422(quiet: Running, body: bytes) -> None:
    assert list(refused(quiet, body, 422)) == [""]


def test_mistakes_of_a_request_are_all_named_at_once(quiet: Running) -> None:
    body = {
        "to": ["a@example.com", "two@@example.com", 5],
        "variables": [],
        "attachments": [{"filename": 1}],
        "surprise": 1,
        "send_at": "tomorrow",
    }
    assert set(refused(quiet, body, 422)) == {
        "/to/2",
        "/template_key",
        "/variables",
        "/attachments/0/filename",
        "/attachments/0/content_type",
        "/attachments/0/data_base64",
        "/surprise",
        "/send_at",
    }


def test_mistakes_against_the_rules_of_the_template_are_all_named_at_once(quiet: Running) -> None:
    body = {
        "to": "no-address, b@example.com",
        "template_key": "billing_invoice_monthly",
        "variables": {"month": 5, "surprise": 1, "link_portal": "javascript:alert(1)"},
        "reply_to": "a@b@c",
    }
    problems = refused(quiet, body, 422)
    assert {"/to", "/reply_to", "/attachments", "/variables/surprise"} <= set(problems)
    missing = {"reseller_name", "year", "amount_fcfa", "invoice_number"}
    assert {f"/variables/{name}" for name in missing} <= set(problems)


def test_name_that_is_given_twice_is_refused_at_its_place(quiet: Running) -> None:
    body = json.dumps(SEND | {"metadata": {"a": 1}}).encode()
    twice = body.replace(b'"a": 1', b'"a": 1, "b": 2, "\\u0061": 3').replace(b"{", b'{"to": "b@example.com", ', 1)
    assert list(refused(quiet, twice, 422)) == ["/metadata/a", "/to"]


def test_template_that_is_unknown_is_404(quiet: Running) -> None:
    assert list(refused(quiet, SEND | {"template_key": "nothing"}, 404)) == ["/template_key"]


@pytest.mark.parametrize(
    "to",
    [
        "a\r\nBcc: evil@example.com",
        "a@example.com\nBcc: evil@example.com",
        "a b@example.com",
        "a@b@example.com",
        "@example.com",
        "a@",
        "",
        ",",
        [],
        "x" * 65 + "@example.com",
        "a@" + "d" * 60 + ("." + "d" * 60) * 4 + ".com",
        "a@exa\u202emple.com",
        "a\x00@example.com",
        ["a@example.com, b@example.com"],
        [f"a{n}@example.com" for n in range(101)],
    ],
    ids=lambda to: repr(to)[:40],
)
def test_recipient_that_is_no_address_is_refused(quiet: Running, to: object) -> None:
    assert any(pointer.startswith("/to") for pointer in refused(quiet, SEND | {"to": to}, 422))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reply_to", "a@example.com\r\nBcc: evil@example.com"),
        ("source_endpoint", "x\r\ny"),
        ("source_endpoint", "x" * 101),
        ("locale", "../../etc"),
        ("template_version", 0),
        ("template_version", "1"),
        ("template_version", 2**70),
        ("send_at", "2026-01-01T00:00:00"),
        ("send_at", 5),
        ("send_at", "20261224"),
        ("send_at", "-1"),
        ("send_at", "1798110400"),
        ("send_at", "2026"),
        ("send_at", "2026-12-24"),
        ("send_at", "\u0662026-12-24T00:00:00Z"),
        ("send_at", "2020-01-01T00:00:00Z"),
        ("send_at", "2999-01-01T00:00:00Z"),
        ("metadata", {"x": "y" * 5_000}),
        ("metadata", [1]),
        ("variables", WELCOME | {"reseller_name": "x" * 1_100_000}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_fields_out_of_their_range_are_refused_at_their_place(quiet: Running, field: str, value: object) -> None:
    assert any(pointer.startswith(f"/{field}") for pointer in refused(quiet, SEND | {field: value}, 422))


def attached(filename: str, content_type: str, data: bytes | str) -> dict[str, Any]:
    encoded = data if isinstance(data, str) else b64encode(data).decode()
    file = {"filename": filename, "content_type": content_type, "data_base64": encoded}
    return {
        "to": "a@example.com",
        "template_key": "billing_invoice_monthly",
        "variables": INVOICE,
        "attachments": [file],
    }


@pytest.mark.parametrize(
    ("filename", "content_type", "data", "field"),
    [
        ("a.pdf", "application/pdf", "not base64!", "data_base64"),
        ("a.pdf", "application/pdf", "JVBERi0xLjQKJeLjz9MNCi...", "data_base64"),
        ("a.pdf", "application/pdf", "", "data_base64"),
        ("a.pdf", "application/pdf", b"MZ\x90\x00 a program", "data_base64"),
        ("a.pdf", "application/pdf", b"\x7fELF a program", "data_base64"),
        ("a.pdf", "image/png", PDF, "content_type"),
        ("a.exe", "application/pdf", PDF, "filename"),
        ("a.png", "image/png", b"\x89PNG\r\n\x1a\n", "filename"),
        ("../a.pdf", "application/pdf", PDF, "filename"),
        ("/etc/a.pdf", "application/pdf", PDF, "filename"),
        ("c:\\a.pdf", "application/pdf", PDF, "filename"),
        ("a\r\nX: y.pdf", "application/pdf", PDF, "filename"),
        ("invoice_\u202efdp.pdf", "application/pdf", PDF, "filename"),
        ("", "application/pdf", PDF, "filename"),
        ("x" * 300 + ".pdf", "application/pdf", PDF, "filename"),
        ("x" * 100_000 + ".pdf", "application/pdf", PDF, "filename"),
        ("a.pdf", "a" + " " * 100_000 + "b", PDF, "content_type"),
    ],
)
def test_attachment_that_is_not_what_it_says_is_refused(
    quiet: Running, filename: str, content_type: str, data: bytes | str, field: str
) -> None:
    assert f"/attachments/0/{field}" in refused(quiet, attached(filename, content_type, data), 422)


def test_attachments_are_refused_by_a_template_without_any(quiet: Running) -> None:
    file = pdf_attachment("a.pdf")
    assert "/attachments" in refused(quiet, SEND | {"attachments": [file]}, 422)


def test_attachments_that_are_too_large_together_are_413(quiet: Running) -> None:
    refused(quiet, attached("a.pdf", "application/pdf", PDF + b"x" * 1_100_000), 413)


def test_body_that_is_too_large_is_413(quiet: Running) -> None:
    refused(quiet, b'{"to": "' + b"x" * 7_000_000 + b'"}', 413)


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
def test_idempotency_key_must_be_a_short_ascii_text(quiet: Running, key: str) -> None:
    answer = quiet.client.post("/api/v1/email/send", json=SEND, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/email/send", 405),
        ("DELETE", "/api/v1/email/templates", 405),
        ("GET", "/api/v1/email/templates/..%2F..%2Fetc", 404),
        ("GET", "/api/v1/email/templates/%00", 404),
        ("GET", "/api/v1/email/messages/%00", 404),
        ("GET", "/api/v1/email/messages/nothing", 404),
        ("GET", "/api/v1/email/messages/nothing/html", 404),
        ("GET", "/api/v1/email/messages/nothing/attachments/99999999999999999999", 404),
        ("POST", "/api/v1/email/messages/nothing/resend", 404),
        ("POST", "/api/v1/email/templates/nothing/test", 404),
        ("GET", "/api/v1/email/messages?limit=0", 422),
        ("GET", "/api/v1/email/messages?limit=1001", 422),
        ("GET", "/api/v1/email/messages?limit=x", 422),
        ("GET", "/api/v1/email/messages?limit=%D9%A3", 422),
        ("GET", "/api/v1/email/messages?cursor=nonsense", 422),
        ("GET", "/api/v1/email/messages?since=yesterday", 422),
        ("GET", "/api/v1/email/messages?since=0001-01-01T00:00:00%2B14:00", 422),
        ("GET", "/api/v1/email/messages?until=9999-12-31T23:59:59-14:00", 422),
        ("GET", "/api/v1/email/messages?since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", 200),
        ("GET", f"/api/v1/email/messages?cursor={cursor('0001-01-01T00:00:00+14:00', 'x')}", 422),
        ("GET", f"/api/v1/email/messages?cursor={cursor('9999-12-31T23:59:59-14:00', 'x')}", 422),
        ("GET", f"/api/v1/email/messages?text=word&cursor={cursor('0001-01-01T00:00:00+14:00', 'x')}", 422),
        ("GET", f"/api/v1/email/messages?cursor={cursor('2026-01-01T00:00:00Z', chr(0))}", 200),
        ("GET", f"/api/v1/email/messages?cursor={cursor('2026-01-01T00:00:00Z', chr(0xD800))}", 200),
        ("GET", f"/api/v1/email/messages?cursor={cursor('2026-01-01T00:00:00Z', None)}", 422),
        ("GET", f"/api/v1/email/suppressions?cursor={cursor('9999-12-31T23:59:59-14:00', 'x')}", 422),
        ("GET", "/api/v1/email/messages?source_endpoint=%00&text=%00%00ab", 200),
        ("GET", "/api/v1/email/suppressions?address=%00@example.com", 422),
        ("GET", "/api/v1/email/recipients/%00@example.com", 422),
        ("DELETE", "/api/v1/email/suppressions/%00?reason=%00", 404),
        ("POST", "/api/v1/email/unsubscribe/%00", 404),
        ("GET", "/api/v1/email/messages/nothing/attachments/-99999999999999999999", 404),
        ("GET", "/api/v1/email/templates/onboarding_welcome/versions/99999999999999999999", 404),
        ("GET", "/api/v1/email/messages?status=lost", 422),
        ("GET", "/api/v1/email/messages?to=nobody", 422),
        ("GET", "/api/v1/email/messages?surprise=1", 422),
        ("GET", "/api/v1/email/messages?template_key=%00", 200),
        ("GET", "/dev/mailbox/messages?wait_s=nan", 422),
        ("GET", "/dev/mailbox/messages?wait_s=100000", 422),
        ("GET", "/dev/mailbox/messages/nothing/raw", 404),
    ],
)
def test_refusals_are_all_problem_details(quiet: Running, method: str, path: str, status: int) -> None:
    answer = quiet.admin.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if status != 200 and not path.startswith("/api/v1/email/unsubscribe/"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*SEND, "attachments", "metadata", "reply_to", "send_at"]), json_values))
def test_json_of_any_shape_makes_no_5xx(quiet: Running, body: dict[str, Any]) -> None:
    answer = quiet.client.post("/api/v1/email/send", content=json.dumps(body).encode())
    assert 400 <= answer.status_code < 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({name: st.text(max_size=60) | json_values for name in WELCOME}))
def test_variable_of_any_value_makes_no_5xx(quiet: Running, variables: dict[str, Any]) -> None:
    url = "/api/v1/email/templates/onboarding_welcome/test"
    answer = quiet.admin.post(url, content=json.dumps({"variables": variables}).encode())
    assert answer.status_code < 500


def test_answers_never_tell_of_paths_or_stacks(quiet: Running) -> None:
    answer = quiet.admin.get("/api/v1/email/templates/..%2f..%2fetc")
    assert "Traceback" not in answer.text
    assert str(ROOT) not in answer.text
