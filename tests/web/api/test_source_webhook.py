"""POST /source/webhook: a forge says that the repository has changed, and nobody else can."""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.errors import NotFound, NotVerified, StoreBusy
from service.web.api.source_webhook import LOOK_EVERY_S, MAX_BODY_BYTES, SourceWebhook
from tests.support.deployed import WEBHOOK_SECRET, DeployedService, deployed
from tests.support.running import Running, eventually

WEBHOOK = "/api/v1/email/source/webhook"
PUSH = b'{"ref": "refs/heads/main", "repository": {"clone_url": "https://evil.example/x.git"}}'


def signature(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


RIGHT = [
    {"X-Hub-Signature-256": f"sha256={signature(PUSH)}"},
    {"X-Gitlab-Token": WEBHOOK_SECRET},
    {"X-Gitea-Signature": signature(PUSH)},
    {"X-Gitea-Signature": signature(PUSH), "X-Hub-Signature-256": f"sha256={signature(PUSH)}"},
    {"X-Hub-Signature-256": f"sha256={signature(PUSH)}", "X-GitHub-Event": "ping"},
]
FORGED = [
    {},
    {"X-Hub-Signature-256": signature(PUSH)},
    {"X-Hub-Signature-256": f"sha1={signature(PUSH)}"},
    {"X-Hub-Signature-256": f"sha256={signature(PUSH).upper()}"},
    {"X-Hub-Signature-256": f"sha256={signature(PUSH + b' ')}"},
    {"X-Hub-Signature-256": f"sha256={signature(PUSH, 'another')}"},
    {"X-Hub-Signature-256": ""},
    {"X-Hub-Signature": f"sha256={signature(PUSH)}"},
    {"X-Gitlab-Token": ""},
    {"X-Gitlab-Token": WEBHOOK_SECRET[:-1]},
    {"X-Gitlab-Token": "é"},
    {"X-Gitea-Signature": f"sha256={signature(PUSH)}"},
    {"X-Gitea-Signature": signature(PUSH), "X-Hub-Signature-256": "sha256=0"},
    {"Authorization": f"Bearer {WEBHOOK_SECRET}"},
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedService]:
    with deployed(tmp_path_factory.mktemp("webhook"), email_rate_limit_api="unlimited") as started:
        yield started


def looks(here: DeployedService) -> int:
    wanted: int = here.current["source"]["requested_look"]
    return wanted


@pytest.mark.parametrize("headers", RIGHT, ids=lambda headers: "+".join(headers))
def test_webhook_of_a_forge_asks_for_a_look(here: DeployedService, headers: dict[str, str]) -> None:
    before = looks(here)
    answer = here.service.client.post(WEBHOOK, content=PUSH, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    eventually(lambda: looks(here), lambda seen: seen == before + 1)


@pytest.mark.parametrize("headers", FORGED, ids=lambda headers: "+".join(headers) or "none")
def test_webhook_that_is_forged_is_refused_and_asks_for_nothing(here: DeployedService, headers: dict[str, str]) -> None:
    webhook = SourceWebhook(WEBHOOK_SECRET, lambda: pytest.fail("it looked"))
    with pytest.raises(NotVerified):
        webhook.verify({name.lower(): value for name, value in headers.items()}, PUSH)
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if name != "Authorization"]
    answer = here.service.client.post(WEBHOOK, content=PUSH, headers=raw)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")


def test_webhook_that_is_repeated_or_forged_a_thousand_times_causes_few_looks(here: DeployedService) -> None:
    before = looks(here)
    actions = here.service.admin.get("/api/v1/email/admin-actions").json()["total"]
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(
                lambda n: (
                    here.service.client.post(WEBHOOK, content=PUSH, headers=(RIGHT[0], FORGED[5])[n % 2]).status_code
                ),
                range(1_000),
            )
        )
    assert (codes.count(202), codes.count(403)) == (500, 500)
    # One for each second that this took, however busy the machine is: far fewer than calls.
    assert 1 <= looks(here) - before < 100
    assert here.service.admin.get("/api/v1/email/admin-actions").json()["total"] == actions


def test_webhook_with_a_large_body_is_refused(here: DeployedService) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    answer = here.service.client.post(WEBHOOK, content=body, headers={"X-Gitlab-Token": WEBHOOK_SECRET})
    assert answer.status_code == 413


def test_webhook_is_not_found_when_templates_come_from_a_directory(service: Running) -> None:
    answer = service.client.post(WEBHOOK, content=PUSH, headers={"X-Gitlab-Token": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    with pytest.raises(NotFound):
        SourceWebhook(None, lambda: None).verify({"x-gitlab-token": ""}, PUSH)


def test_webhook_is_not_found_when_there_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        SourceWebhook("", lambda: None).verify({"x-gitlab-token": ""}, PUSH)


def test_calls_of_a_moment_share_one_look_that_begins_after_them() -> None:
    now, slept, begun = [100.0], list[float](), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)
        now[0] += seconds

    async def calls() -> None:
        webhook = SourceWebhook("s", lambda: begun.append(now[0]), clock=lambda: now[0], sleep=sleep)
        await webhook.look()
        await asyncio.gather(*(webhook.look() for _ in range(200)))
        while len(begun) < 2:  # they are answered before
            await asyncio.sleep(0.001)
        now[0] += 60
        await webhook.look()

    asyncio.run(calls())
    assert begun == [100.0, 100.0 + LOOK_EVERY_S, 100.0 + LOOK_EVERY_S + 60]
    assert slept == [LOOK_EVERY_S, 0.0]


def test_call_that_looks_at_once_is_told_when_that_could_not_be_stored() -> None:
    def busy() -> None:
        raise StoreBusy("locked")

    async def calls() -> list[object]:
        webhook = SourceWebhook("s", busy)
        return list(await asyncio.gather(webhook.look(), webhook.look(), return_exceptions=True))

    assert [type(error) for error in asyncio.run(calls())] == [StoreBusy, type(None)]
