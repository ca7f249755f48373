"""Requests that wait for a mail in the development mailbox hold no thread."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.cli.serve import REQUEST_THREADS
from service.delivery.dev_mailbox import MAX_LISTENERS
from tests.support.running import Running, eventually, running, settings_for


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with running(settings_for(tmp_path), works=False) as started:
        yield started


def waiting(service: Running, stack: ExitStack, to: str) -> socket.socket:
    url = httpx.URL(service.url)
    connection = stack.enter_context(socket.create_connection((url.host, url.port or 0), timeout=20))
    said = f"GET /dev/mailbox/messages?wait_s=60&to={to} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connection.sendall(said.encode())
    return connection


def answers(service: Running) -> int:
    """The status of one more request that waits, if only for a moment."""
    return service.client.get("/dev/mailbox/messages?wait_s=0.01&to=nobody@example.com").status_code


def test_requests_that_wait_for_mail_keep_nothing_from_being_answered(service: Running) -> None:
    mailbox = service.services.require_mailbox()
    with ExitStack() as stack:
        others = [waiting(service, stack, "other@example.com") for _ in range(REQUEST_THREADS + 10)]
        one = waiting(service, stack, "one@example.com")
        assert service.admin.get("/api/v1/email/messages").status_code == 200
        assert service.client.get("/readyz").status_code == 200
        eventually(lambda: mailbox.keep("a@rgz.bj", ["one@example.com"], b"Subject: x\r\n\r\n"), bool)
        assert b'"total":' in one.recv(65536)
        for connection in others:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
    # Those that still wait do not keep the service from ending: `running` sees to it.


def test_requests_that_wait_for_mail_are_bounded(service: Running) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_LISTENERS):
            waiting(service, stack, "other@example.com")
        eventually(lambda: answers(service), lambda status: status == 503)
    eventually(lambda: answers(service), lambda status: status == 200)
