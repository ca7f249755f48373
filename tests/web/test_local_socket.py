"""Requests without a key: at the Unix socket alone with SMTP_HOST, at a loopback port too without it."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from service.cli.main import main
from service.errors import ConfigurationError
from service.web.app import create_app
from service.web.local_socket import local_socket
from tests.support.running import Running, running, settings_for
from tests.support.samples import WELCOME

SEND = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
PRODUCTION: dict[str, Any] = {"smtp_host": "mail.example", "email_secret_key": "Rk2vX9hQeT7bNw4sLc8mZp1uYd6gJf3a"}


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("production")
    settings = settings_for(folder, email_local_socket=folder / "local.sock", **PRODUCTION)
    with running(settings, works=False) as service:
        yield service


def by_socket(service: Running) -> httpx.Client:
    path = service.services.settings.email_local_socket
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=30)


def test_request_without_a_key_at_the_port_is_refused_when_smtp_host_is_set(behind_a_proxy: Running) -> None:
    # What nginx's plain proxy_pass makes of any client's request: from loopback, to loopback, no header of its own.
    client = behind_a_proxy.client
    assert client.post("/api/v1/email/send", json=SEND).status_code == 401
    assert client.get("/api/v1/email/templates").status_code == 401
    assert client.get("/dev/mailbox/messages").status_code == 404


def test_request_without_a_key_at_the_socket_is_accepted_when_smtp_host_is_set(behind_a_proxy: Running) -> None:
    with by_socket(behind_a_proxy) as local:
        assert local.post("/api/v1/email/send", json=SEND).status_code == 201
        assert local.get("/api/v1/email/messages").status_code == 401  # needs admin, which nobody has without a key


@pytest.mark.parametrize("header", ["Origin", "X-Forwarded-For", "Forwarded", "Via"])
def test_request_at_the_socket_is_refused_when_a_browser_or_proxy_made_it(behind_a_proxy: Running, header: str) -> None:
    with by_socket(behind_a_proxy) as local:
        assert local.post("/api/v1/email/send", json=SEND, headers={header: "x"}).status_code == 401


def test_socket_is_for_its_user_alone_and_goes_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "local.sock"
    with local_socket(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == []


def test_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "local.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with local_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_socket_of_a_later_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "local.sock"
    with local_socket(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as later:
            later.bind(str(path))
    assert path.exists()


def test_socket_where_another_process_listens_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "local.sock"
    with local_socket(path):
        with pytest.raises(ConfigurationError, match="another process"), local_socket(path):
            pass
        assert path.exists()


@pytest.mark.parametrize(
    ("name", "reason"), [("there", "is no socket"), ("missing/local.sock", "No such file"), ("x" * 120, "too long")]
)
def test_socket_that_cannot_be_made_is_a_mistake_of_the_settings(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "there").write_text("data")
    with pytest.raises(ConfigurationError, match=reason), local_socket(tmp_path / name):
        pass
    assert (tmp_path / "there").read_text() == "data"
    assert [file.name for file in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("command", ["serve", "api"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mail.example"])
def test_serve_refuses_a_port_open_to_others_while_anonymous_scopes_are_on(
    tmp_path: Path, command: str, host: str
) -> None:
    environment = {"EMAIL_ANONYMOUS_SCOPES": "send", "EMAIL_DATA_DIR": str(tmp_path / "state"), "SMTP_HOST": ""}
    done = CliRunner().invoke(main, [command, "--host", host, "--port", "0"], env=environment)
    assert done.exit_code == 2
    assert "EMAIL_ANONYMOUS_SCOPES" in done.output
    assert not (tmp_path / "state").exists()


def test_port_open_to_others_has_no_local_programs(service: Running) -> None:
    # Without SMTP_HOST and without anonymous scopes it may listen everywhere; the development mailbox is the admin's.
    assert not create_app(service.services, is_port_local=False).state.is_port_local
    assert create_app(service.services).state.is_port_local
