"""Rates of requests: by key and by address, in memory that does not grow without end."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.config.settings import Settings
from service.errors import TooManyRequests
from service.web.request_rates import MAX_REMEMBERED, RequestRates
from tests.support.running import ADMIN_TOKEN, Running, running, settings_for
from tests.support.samples import WELCOME


class Seconds:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def rates(clock: Seconds, api: str, address: str = "unlimited") -> RequestRates:
    settings = Settings().with_changes(email_rate_limit_api=api, email_rate_limit_address=address)
    return RequestRates(settings, clock)


def taken(made: RequestRates, key: str, most: int = 100) -> int:
    """How many requests in a row are let through."""
    for count in range(most):
        try:
            made.take_for_key(key)
        except TooManyRequests:
            return count
    return most


def test_rate_lets_its_number_through_at_once_and_then_one_after_the_other() -> None:
    clock = Seconds()
    made = rates(clock, "6/minute")
    assert taken(made, "a") == 6
    with pytest.raises(TooManyRequests) as refused:
        made.take_for_key("a")
    assert refused.value.retry_after_s == 10
    clock.now += refused.value.retry_after_s
    assert taken(made, "a") == 1
    clock.now += 30
    assert taken(made, "a") == 3
    clock.now += 3_600
    assert taken(made, "a") == 6


def test_rate_of_one_key_is_not_that_of_another() -> None:
    made = rates(Seconds(), "2/second")
    assert (taken(made, "a"), taken(made, "b")) == (2, 2)


def test_rate_that_is_unlimited_refuses_nothing() -> None:
    assert taken(rates(Seconds(), "unlimited"), "a") == 100


def test_rate_of_addresses_is_never_above_that_of_keys() -> None:
    made = rates(Seconds(), "1/minute", address="100/second")
    made.take_for_address("192.0.2.1")
    with pytest.raises(TooManyRequests):
        made.take_for_address("192.0.2.1")


def test_rates_remember_a_bounded_number_of_keys() -> None:
    made = rates(Seconds(), "1/hour")
    assert [taken(made, f"{n}") for n in range(MAX_REMEMBERED + 1)] == [1] * (MAX_REMEMBERED + 1)
    assert taken(made, "1") == 0
    assert taken(made, "0") == 1  # silent for longest, and forgotten


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Running]:
    settings = settings_for(
        tmp_path, email_rate_limit_api="3/hour", email_anonymous_scopes="", email_trusted_proxies="127.0.0.1"
    )
    with running(settings, works=False) as service:
        yield service


def assert_too_many(answer: httpx.Response) -> None:
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 3_600
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_key_that_asks_too_often_is_answered_with_429_and_no_other_key(slow: Running) -> None:
    with slow.key("busy", "send", "read") as busy, slow.key("calm", "read") as calm:
        for _ in range(3):
            assert busy.get("/api/v1/email/templates").status_code == 200
        assert_too_many(busy.get("/api/v1/email/templates"))
        body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
        assert_too_many(busy.post("/api/v1/email/send", json=body))
        assert calm.get("/api/v1/email/templates").status_code == 200
    assert slow.admin.get("/api/v1/email/messages").json()["total"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/email/templates", 401),
        ("POST", "/api/v1/email/send", 401),
        ("GET", "/api/v1/email/unsubscribe/nothing", 404),
        ("POST", "/api/v1/email/unsubscribe/nothing", 404),
        ("POST", "/api/v1/email/webhook", 400),
        ("POST", "/admin/look", 303),
        ("GET", "/openapi.json", 200),
        ("GET", "/metrics", 200),
    ],
)
def test_address_that_asks_too_often_is_answered_with_429_and_no_other_address(
    slow: Running, method: str, path: str, status: int
) -> None:
    def asked(address: str) -> httpx.Response:
        return httpx.request(method, f"{slow.url}{path}", headers={"X-Forwarded-For": address})

    assert [asked("192.0.2.1").status_code for _ in range(3)] == [status] * 3
    refused = asked("192.0.2.1")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert asked("192.0.2.2").status_code == status
    assert slow.admin.get("/api/v1/email/messages").status_code == 200


def test_health_is_never_too_often(slow: Running) -> None:
    for _ in range(10):
        assert slow.client.get("/healthz").status_code == 200
        assert slow.client.get("/readyz").status_code == 200


def test_page_that_is_asked_too_often_says_so_in_words(slow: Running) -> None:
    asked = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Accept": "text/html"}
    for _ in range(3):
        assert slow.client.get("/admin/messages", headers=asked).status_code == 200
    refused = slow.client.get("/admin/messages", headers=asked)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "<html" in refused.text


def test_document_tells_of_429_at_every_route_but_health(slow: Running) -> None:
    paths = slow.client.get("/openapi.json").json()["paths"]
    told = {path for path, item in paths.items() if all("429" in operation["responses"] for operation in item.values())}
    assert set(paths) - told == {"/healthz", "/readyz"}
