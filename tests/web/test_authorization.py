"""Authorization: keys, scopes, anonymous callers, and a guard on every route."""

from pathlib import Path

import httpx
import pytest
from litestar.routes import HTTPRoute

from service.auth.wrong_tokens import FREE_ATTEMPTS
from service.models import Scope
from service.web.app import create_app
from tests.support.running import ADMIN_TOKEN, Running, running, settings_for
from tests.support.samples import WELCOME
from tests.support.scopes import SCOPES

#: A route that is on no line here has no owner yet, and fails the test.
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/webhook"),  # the signature of Amazon SNS
    ("POST", "/source/webhook"),  # the signature of GitHub, GitLab or Gitea
    ("GET", "/metrics"),
    # The token in the path is what opens these.
    ("GET", "/unsubscribe/{token}"),
    ("POST", "/unsubscribe/{token}"),
    ("GET", "/previews/{token}"),
    ("GET", "/previews/{token}/frame/{key}"),
    ("GET", "/admin/assets/{digest}/{name}"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/admin/sign-in"),
    ("POST", "/admin/sign-in"),
    ("POST", "/admin/sign-out"),
    ("POST", "/admin/look"),
}
#: What sends mail from pages that those see who may deploy.
TESTS = {("POST", "/admin/previews/{name}/test")}


def test_routes_all_have_a_guard_with_their_scope(service: Running) -> None:
    app = create_app(service.services)
    seen: dict[tuple[str, str], set[Scope | None]] = {}
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for handler in route.route_handlers:
            path = route.path_format
            path = path.removeprefix("/api/v1/email")
            scopes = {guard.scope for guard in handler.resolve_guards() if hasattr(guard, "scope")}
            for method in handler.http_methods - {"OPTIONS", "HEAD"}:
                seen[(str(method), path)] = scopes
    for operation, found in seen.items():
        if operation in OPEN:
            assert found == set(), operation
        elif operation[1].startswith("/dev/mailbox"):
            assert found == {None}, operation  # its own guard: this machine, or the admin
        else:
            is_page = operation[1].startswith("/admin")
            may_deploy = operation[1].startswith(("/admin/deployments", "/admin/previews")) and operation not in TESTS
            expected = (Scope.DEPLOY if may_deploy else Scope.ADMIN) if is_page else SCOPES[operation]
            assert found == {expected}, operation
    assert SCOPES.keys() <= seen.keys()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Forwarded": "for=1.2.3.4"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"Host": "mail.rgz.bj"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.nip.example:8000"},
    ],
    ids=lambda headers: "-".join(f"{name}={value}" for name, value in headers.items()),
)
def test_anonymous_send_is_refused_when_a_browser_or_proxy_made_it(service: Running, headers: dict[str, str]) -> None:
    body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
    answer = service.client.post("/api/v1/email/send", json=body, headers=headers)
    assert answer.status_code == 401
    assert service.client.get("/dev/mailbox/messages", headers=headers).status_code == 404


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.1"])
def test_anonymous_send_from_this_machine_passes(service: Running, host: str) -> None:
    body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
    assert service.client.post("/api/v1/email/send", json=body, headers={"Host": host}).status_code == 201


def test_key_still_works_behind_a_proxy(service: Running) -> None:
    with service.key("billing", "send") as client:
        body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
        answer = client.post("/api/v1/email/send", json=body, headers={"X-Forwarded-For": "10.1.1.1"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "header", ["Bearer nobody", "Bearer rgz_0000_wrong", "Basic abc", "Bearer", f"Bearer {ADMIN_TOKEN}x", "Bearer \xe9"]
)
def test_token_that_is_unknown_is_refused_even_where_anonymous_callers_may_send(service: Running, header: str) -> None:
    answer = service.client.get("/api/v1/email/templates", headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_key_allows_only_what_its_scopes_say(service: Running) -> None:
    with service.key("reader", "read") as reader:
        assert reader.get("/api/v1/email/templates").status_code == 200
        body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
        assert reader.post("/api/v1/email/send", json=body).status_code == 403
        assert reader.get("/api/v1/email/messages").status_code == 403
    with service.key("boss", "admin") as boss:
        assert boss.get("/api/v1/email/messages").status_code == 200
        assert boss.post("/api/v1/email/send", json=body).status_code == 201


def test_key_reads_its_own_messages_and_no_others(service: Running) -> None:
    body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
    with service.key("mine", "send") as mine, service.key("theirs", "send") as theirs:
        message_id = mine.post("/api/v1/email/send", json=body).json()["messages"][0]["id"]
        assert mine.get(f"/api/v1/email/messages/{message_id}").json()["source_endpoint"] == "mine"
        assert theirs.get(f"/api/v1/email/messages/{message_id}").status_code == 404
        assert mine.get(f"/api/v1/email/messages/{message_id}/html").status_code == 403


def test_key_that_is_revoked_is_unknown(service: Running) -> None:
    access = service.services.api_keys
    made, text = access.create("short", [Scope.READ], service.services.clock())
    headers = {"Authorization": f"Bearer {text}"}
    assert service.client.get("/api/v1/email/templates", headers=headers).status_code == 200
    assert access.revoke(made.id, service.services.clock())
    assert service.client.get("/api/v1/email/templates", headers=headers).status_code == 401


def test_routes_are_closed_by_default(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, email_anonymous_scopes=""), works=False) as closed:
        assert closed.client.get("/api/v1/email/templates").status_code == 401
        assert closed.send("onboarding_welcome", "a@example.com", WELCOME).status_code == 401
        assert closed.client.get("/healthz").status_code == 200
        assert "details" not in closed.client.get("/readyz").json()
        assert closed.admin.get("/readyz").json()["details"]["broken_templates"] == {}


def test_key_is_taken_at_once_after_many_wrong_ones_from_the_same_address(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), works=False) as service:
        wrong = {"Authorization": "Bearer rgz_0123456789abcdef_wrong"}
        found = [service.client.get("/api/v1/email/templates", headers=wrong) for _ in range(FREE_ATTEMPTS + 2)]
        assert [one.status_code for one in found] == [401] * FREE_ATTEMPTS + [429, 429]
        assert [one.headers.get("retry-after") for one in found[-2:]] == ["1", "2"]
        assert found[-1].headers["content-type"] == "application/problem+json"
        for path in ("/readyz", "/metrics"):  # open, with or without a token
            assert service.client.get(path, headers=wrong).status_code == 200
        with service.key("reader", "read") as reader:
            assert reader.get("/api/v1/email/templates").status_code == 200
        assert service.admin.get("/api/v1/email/messages").status_code == 200


def test_client_address_that_is_forged_does_not_make_a_request_local(service: Running) -> None:
    headers = {"X-Real-IP": "127.0.0.1"}
    answer = httpx.get(f"{service.url}/api/v1/email/templates", headers=headers)
    assert answer.status_code == 401
