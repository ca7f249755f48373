"""The processes `serve`, `api` and `worker`: they start and end cleanly, and a kill loses nothing."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Process, started
from tests.support.running import NO_TLS, data_directory
from tests.support.samples import WELCOME

pytestmark = pytest.mark.slow

TOKEN = "admin-token-of-the-tests-0123"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "EMAIL_DATA_DIR": str(data_directory(tmp_path)),
        "EMAIL_ADMIN_TOKEN": TOKEN,
        "EMAIL_ANONYMOUS_SCOPES": "send,read",
    }


def send(process: Process, to: str) -> str:
    body = {"to": to, "template_key": "onboarding_welcome", "variables": WELCOME}
    answer = httpx.post(f"{process.url}/api/v1/email/send", json=body, headers=ADMIN, timeout=30)
    assert answer.status_code == 201, answer.text
    message_id: str = answer.json()["messages"][0]["id"]
    return message_id


def arrived(process: Process, to: str) -> list[dict[str, str]]:
    answer = httpx.get(f"{process.url}/dev/mailbox/messages", params={"to": to, "wait_s": 30}, timeout=60)
    items: list[dict[str, str]] = answer.json()["items"]
    return items


def test_serve_says_where_everything_is_and_that_mail_goes_nowhere_else(environment: dict[str, str]) -> None:
    with started("serve", "--port", "0", environment=environment) as process:
        process.said("NOWHERE ELSE")
        assert httpx.get(f"{process.url}/healthz").json() == {"status": "ok"}
        process.said(r"curl -X POST http://127\.0\.0\.1:\d+/api/v1/email/send")
        assert process.terminate() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly_when_it_is_told_to(environment: dict[str, str], number: signal.Signals) -> None:
    with started("serve", "--port", "0", environment=environment) as process:
        assert process.url
        os.kill(process.pid, number)
        assert process.wait(10) == 0


def test_mail_accepted_before_a_kill_arrives_after_the_next_start(environment: dict[str, str]) -> None:
    with started("api", "--port", "0", environment=environment) as process:
        message_id = send(process, "survivor@example.com")
        process.kill()
    with started("serve", "--port", "0", environment=environment) as process:
        [mail] = arrived(process, "survivor@example.com")
        assert mail["subject"] == "Bienvenue sur RGZ Access!"
        url = f"{process.url}/api/v1/email/messages/{message_id}"
        events = [event["type"] for event in httpx.get(url, headers=ADMIN, verify=NO_TLS).json()["events"]]
        assert events[0] == "accepted"


def test_mail_under_way_when_its_worker_is_killed_is_sent_by_the_next_one(
    environment: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(silent.getsockname()[1]), "SMTP_TLS": "none"}
        with started("serve", "--port", "0", environment=environment | mute) as process:
            message_id = send(process, "claimed@example.com")
            url = f"{process.url}/api/v1/email/messages/{message_id}"
            until(lambda: httpx.get(url, headers=ADMIN, verify=NO_TLS).json()["status"] == "sending")
            process.kill()
    with started("serve", "--port", "0", environment=environment) as process:
        # The lease of the dead worker lapses first.
        deadline = time.monotonic() + 60
        while not (found := arrived(process, "claimed@example.com")):
            assert time.monotonic() < deadline
        assert len(found) == 1


def test_relay_that_hangs_does_not_keep_the_process_from_ending(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(silent.getsockname()[1]), "SMTP_TLS": "none"}
        with started("serve", "--port", "0", environment=environment | mute) as process:
            message_id = send(process, "hanging@example.com")
            url = f"{process.url}/api/v1/email/messages/{message_id}"
            until(lambda: httpx.get(url, headers=ADMIN, verify=NO_TLS).json()["status"] == "sending")
            assert httpx.get(f"{process.url}/healthz").status_code == 200
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(10) == 0


def test_api_and_worker_processes_share_the_work(environment: dict[str, str], tmp_path: Path) -> None:
    from aiosmtpd.controller import Controller
    from aiosmtpd.handlers import Mailbox

    controller = Controller(Mailbox(tmp_path / "maildir"), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(controller.port), "SMTP_TLS": "none"}
        with (
            started("api", "--port", "0", environment=environment | smtp) as api,
            started("worker", environment=environment | smtp) as worker,
        ):
            worker.said("The worker is up")
            message_id = send(api, "shared@example.com")
            url = f"{api.url}/api/v1/email/messages/{message_id}"
            until(lambda: httpx.get(url, headers=ADMIN, verify=NO_TLS).json()["status"] == "sent")
            assert worker.terminate() == 0
            assert api.terminate() == 0
    finally:
        controller.stop()
    assert len(list((tmp_path / "maildir" / "new").iterdir())) == 1


def test_logs_hold_no_address_and_no_token(environment: dict[str, str]) -> None:
    with started("serve", "--port", "0", environment=environment | {"EMAIL_LOG_LEVEL": "debug"}) as process:
        send(process, "secret.person@example.com")
        assert arrived(process, "secret.person@example.com")
        process.said('"event": "attempt"')
        process.terminate()
        assert "secret.person" not in process.log
        assert TOKEN not in process.log


def test_port_that_is_taken_is_said_in_a_sentence(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with started("serve", "--port", port, environment=environment) as process:
            process.said(f"Can't listen on 127.0.0.1 port {port}")
            assert process.wait(10) == 2


def test_settings_that_are_wrong_are_all_told_at_once(environment: dict[str, str]) -> None:
    wrong = {"SMTP_PORT": "many", "EMAIL_RATE_LIMIT_MARKETING": "some"}
    with started("serve", environment=environment | wrong) as process:
        process.said("EMAIL_RATE_LIMIT_MARKETING: ")
        assert "SMTP_PORT: " in process.log
        assert process.wait(10) == 2


def until(good: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
