"""The client's address: from the connection, or from a trusted proxy's X-Forwarded-For."""

from typing import Any

import pytest

from service.config import environment
from service.config.settings import Settings
from service.errors import ConfigurationError
from service.web.client_address import LOCAL_SOCKET, client_address, is_local_socket

PROXIES = Settings().with_changes(email_trusted_proxies="10.0.0.0/8, 127.0.0.1, fd00::/8, ::ffff:192.0.2.7")


def scope(client: str | None, *forwarded: str, server: Any = ("127.0.0.1", 8000)) -> dict[str, Any]:
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value.encode()) for value in forwarded)]
    return {"client": (client, 1) if client is not None else None, "server": server, "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # nobody that we trust says so
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # the first is the client's own invention
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.2.0.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.2.0.1, 10.2.0.2"], "10.2.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:5555"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::7]:5555"], "2001:db8::/64"),
        ("fd00::5", ["2001:db8:0:0:9::7"], "2001:db8::/64"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("192.0.2.7", ["198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("10.0.0.1", [" , ,198.51.100.1, "], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1" + ",10.0.0.2" * 100_000], "10.0.0.2"),
        ("testclient", ["198.51.100.1"], ""),
        (None, ["198.51.100.1"], ""),
    ],
)  # fmt: skip
def test_client_address_is_the_last_one_that_no_trusted_proxy_has(
    client: str | None, forwarded: list[str], address: str
) -> None:
    assert client_address(scope(client, *forwarded), PROXIES.trusted_proxies) == address


def test_client_address_without_trusted_proxies_is_the_connections() -> None:
    assert client_address(scope("127.0.0.1", "198.51.100.1"), Settings().trusted_proxies) == "127.0.0.1"


def test_client_address_names_the_local_socket() -> None:
    by_socket = scope(None, "198.51.100.1", server=("/run/rgz/local.sock", None))
    assert client_address(by_socket, PROXIES.trusted_proxies) == LOCAL_SOCKET
    assert is_local_socket(by_socket)


@pytest.mark.parametrize("server", [("127.0.0.1", 8000), None])
def test_connection_that_lost_its_client_is_no_local_socket(server: Any) -> None:
    assert not is_local_socket(scope(None, server=server))


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.0/40", "10.0.0.1;10.0.0.2"])
def test_trusted_proxy_that_is_no_network_is_a_mistake_of_the_settings(value: str) -> None:
    with pytest.raises(ConfigurationError, match="EMAIL_TRUSTED_PROXIES"):
        environment.load({"EMAIL_TRUSTED_PROXIES": value})
