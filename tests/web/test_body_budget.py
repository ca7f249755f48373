"""All request bodies together are bounded; what has no room is refused before it is read."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from litestar.exceptions import ClientException
from litestar.types import Receive, Scope

from service.errors import TryLater
from service.models import Caller
from service.models import Scope as KeyScope
from service.web.body_budget import FREE_BYTES, BodyBudget
from tests.support.running import ADMIN_TOKEN, Running, eventually, running, settings_for
from tests.support.samples import WELCOME

SEND = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
MIB = 1024 * 1024
CHUNKED = (b"transfer-encoding", b"chunked")


def asked(key: str, header: tuple[bytes, bytes]) -> Scope:
    caller = Caller(id=key, name=key, scopes=frozenset({KeyScope.SEND})) if key else None
    return cast(Scope, {"type": "http", "headers": [header], "state": {"caller": caller}})


def announced(size_bytes: int, key: str = "a") -> Scope:
    return asked(key, (b"content-length", str(size_bytes).encode()))


def pieces(*sizes: int, ends: bool = True) -> Receive:
    """A client that sends pieces of these sizes, and then ends or leaves."""
    left: list[dict[str, Any]] = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in sizes]
    left.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})

    async def receive() -> Any:
        return left.pop(0)

    return receive


async def read(receive: Receive) -> int:
    """Read a whole body; its size."""
    size = 0
    while True:
        message: Any = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            return size


def test_budget_is_taken_by_what_is_announced_and_given_back_at_the_end() -> None:
    budget = BodyBudget(10 * MIB, MIB)
    with budget.taken(announced(4 * MIB), pieces(10)) as receive:
        assert budget.held_bytes == 0  # nobody has begun to read
        assert asyncio.run(read(receive)) == 10
        assert budget.held_bytes == 4 * MIB - FREE_BYTES
    assert budget.held_bytes == 0


def test_budget_is_taken_by_what_comes_in_chunks() -> None:
    budget = BodyBudget(10 * MIB, MIB)
    with budget.taken(asked("a", CHUNKED), pieces(MIB, MIB)) as receive:
        assert asyncio.run(read(receive)) == 2 * MIB
        assert budget.held_bytes == 2 * MIB - FREE_BYTES
    with budget.taken(asked("a", CHUNKED), pieces(*[MIB] * 6)) as receive, pytest.raises(TryLater):
        asyncio.run(read(receive))
    assert budget.held_bytes == 0


def test_budget_has_room_for_small_bodies_and_other_callers_while_one_has_its_share() -> None:
    budget = BodyBudget(10 * MIB, MIB)
    with budget.taken(announced(5 * MIB), pieces(1)) as first:
        asyncio.run(read(first))
        # Refused before anything is read: these clients would send nothing.
        with budget.taken(announced(MIB), pieces(ends=False)) as second, pytest.raises(TryLater):
            asyncio.run(read(second))
        with budget.taken(announced(FREE_BYTES), pieces(FREE_BYTES)) as small:
            assert asyncio.run(read(small)) == FREE_BYTES
        with budget.taken(announced(5 * MIB, "b"), pieces(1)) as other:
            assert asyncio.run(read(other)) == 1
            with budget.taken(announced(MIB, ""), pieces(ends=False)) as third, pytest.raises(TryLater):
                asyncio.run(read(third))


def test_budget_has_room_for_the_largest_body_however_small_it_is() -> None:
    budget = BodyBudget(MIB, 60 * MIB)
    with budget.taken(announced(60 * MIB), pieces(1)) as receive:
        assert asyncio.run(read(receive)) == 1


def test_body_whose_client_leaves_is_refused() -> None:
    budget = BodyBudget(MIB, MIB)
    with budget.taken(announced(10), pieces(5, ends=False)) as receive, pytest.raises(ClientException):
        asyncio.run(read(receive))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    settings = settings_for(tmp_path, email_max_batch_size_mb=40, email_http_max_bodies_mb=80)
    with running(settings, works=False) as started:
        yield started


def begun(service: Running, stack: ExitStack, key: str, header: str) -> socket.socket:
    """A batch that is never finished."""
    url = httpx.URL(service.url)
    connection = stack.enter_context(socket.create_connection((url.host, url.port or 0), timeout=20))
    head = f"POST /api/v1/email/send/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{header}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def test_batches_that_are_never_finished_take_no_more_than_their_share(service: Running) -> None:
    _, key = service.services.api_keys.create("batches", [KeyScope.SEND], service.services.clock())
    large = f"Content-Length: {38 * MIB}"
    with ExitStack() as stack:
        opened = [begun(service, stack, key, large) for _ in range(16)]
        refused = 0
        for connection in opened[1:]:
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503 "), answer
            assert b"retry-after: " in answer
            refused += 1
        assert refused == 15
        begun(service, stack, ADMIN_TOKEN, large)
        with service.key("sends", "send") as sends:
            assert sends.post("/api/v1/email/send", json=SEND).status_code == 201

    def batch() -> int:
        asked = {"template_key": SEND["template_key"], "messages": [{"to": SEND["to"], "variables": WELCOME}]}
        body = json.dumps(asked).encode() + b" " * (38 * MIB)
        return service.admin.post("/api/v1/email/send/batch", content=body).status_code

    assert eventually(batch, lambda status: status != 503) == 201


@pytest.mark.parametrize("header", [f"Content-Length: {41 * MIB}", "Transfer-Encoding: chunked"])
def test_batch_without_a_key_is_refused_before_its_body_is_read(service: Running, header: str) -> None:
    with ExitStack() as stack:
        for key in ("wrong", ""):
            answer = begun(service, stack, key, header).recv(65536)
            assert answer.startswith(b"HTTP/1.1 401 "), answer
        _, key = service.services.api_keys.create("reads", [KeyScope.READ], service.services.clock())
        assert begun(service, stack, key, header).recv(65536).startswith(b"HTTP/1.1 403 ")
