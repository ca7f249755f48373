"""Connections whose clients keep the service waiting: each is closed, and none keeps others out."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import sleep

import httpx
import pytest

from service.web.connection_limits import MAX_HEAD_BYTES, RESERVE
from tests.support.pages import signed_in
from tests.support.running import Running, eventually, running, settings_for

WEBHOOK = b"POST /api/v1/email/webhook HTTP/1.1\r\nHost: x\r\n"
#: What every answer carries, also one that no route gives.
HEADERS = ("x-content-type-options: nosniff", "cache-control: no-store", "content-security-policy: default-src 'none'")
MAX_CONNECTIONS = 10


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with little patience and few places."""
    settings = settings_for(
        tmp_path_factory.mktemp("hasty"),
        email_http_head_timeout_seconds=0.4,
        email_http_body_timeout_seconds=0.4,
        email_http_max_connections=MAX_CONNECTIONS,
    )
    with running(settings, works=False) as service:
        yield service


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that waits for its clients, but has few places."""
    settings = settings_for(
        tmp_path_factory.mktemp("patient"),
        email_http_head_timeout_seconds=60,
        email_http_body_timeout_seconds=60,
        email_http_max_connections=MAX_CONNECTIONS,
    )
    with running(settings, works=False) as service:
        yield service


@contextmanager
def connected(service: Running, said: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port or 0), timeout=20) as connection:
        connection.sendall(said)
        yield connection


def rest_of(connection: socket.socket) -> str:
    """All that comes until the service closes; a reset closes, too."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except ConnectionError:
        pass
    return heard.decode("latin-1")


def assert_refused(answer: str, status: int) -> None:
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} "), answer
    assert "content-type: application/problem+json" in head
    assert "connection: close" in head
    for header in HEADERS:
        assert header in head
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n"],
    ids=["nothing", "half a line", "half a head", "empty lines"],
)
def test_head_that_does_not_end_is_answered_with_408(hasty: Running, said: bytes) -> None:
    with connected(hasty, said) as connection:
        assert_refused(rest_of(connection), 408)


def test_head_that_comes_in_drops_is_answered_with_408(hasty: Running) -> None:
    with connected(hasty, b"GET /healthz HTTP/1.1\r\nX: ") as connection:
        try:
            while True:
                connection.sendall(b"x")
                sleep(0.05)
        except ConnectionError:
            pass


def test_line_breaks_after_an_answer_keep_no_connection(hasty: Running) -> None:
    with connected(hasty, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\r\n")
        assert_refused(rest_of(connection), 408)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1000\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"Content-Length: 1000\r\n\r\n",
    ],
    ids=["length", "chunks", "no byte"],
)
def test_bodies_that_stall_are_answered_with_408_and_let_go(hasty: Running, head: bytes) -> None:
    with ExitStack() as stack:
        stalled = [stack.enter_context(connected(hasty, WEBHOOK + head)) for _ in range(MAX_CONNECTIONS)]
        for connection in stalled:
            assert_refused(rest_of(connection), 408)
    assert hasty.client.get("/healthz").status_code == 200


def test_body_that_is_slow_but_comes_is_taken(hasty: Running) -> None:
    body = json.dumps({"Type": "x" * 3_000}).encode()
    with connected(hasty, WEBHOOK + b"Content-Length: %d\r\n\r\n" % len(body)) as connection:
        for start in range(0, len(body), 150):
            connection.sendall(body[start : start + 150])
            sleep(0.05)
        assert connection.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_body_that_nobody_reads_ends_with_its_answer(hasty: Running) -> None:
    with connected(hasty, b"GET /healthz HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{") as connection:
        assert rest_of(connection).startswith("HTTP/1.1 200 ")


def test_answers_that_nobody_reads_are_dropped(hasty: Running) -> None:
    with connected(hasty) as connection:
        connection.settimeout(0.2)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
        with pytest.raises(OSError):  # the service stops reading, and then the connection is reset
            while True:
                try:
                    connection.sendall(asked * 50)
                except TimeoutError:
                    sleep(0.1)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA b: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 201 + b"\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * (2 * MAX_HEAD_BYTES), 431),
        (b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", 414),
        (b"GET /healthz?" + b"x" * 40_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", 414),
        (b"GET /healthz?" + b"&" * 600 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", 414),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_request_that_the_server_itself_refuses_is_a_problem(patient: Running, said: bytes, status: int) -> None:
    with connected(patient, said) as connection:
        assert_refused(rest_of(connection), status)


def test_trailers_and_extensions_of_chunks_are_bounded(patient: Running) -> None:
    for endless in (b"0\r\nX: ", b"1;x="):
        said = WEBHOOK + b"Transfer-Encoding: chunked\r\n\r\n" + endless
        with connected(patient, said) as connection, pytest.raises(ConnectionError):
            for _ in range(100):
                connection.sendall(b"x" * MAX_HEAD_BYTES)


def test_requests_that_are_sent_ahead_are_bounded(patient: Running) -> None:
    with connected(patient, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000) as connection:
        assert rest_of(connection).count("HTTP/1.1 200 ") < 2_000


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=["nothing", "half a head", "idle after an answer"],
)
def test_connections_that_wait_for_their_client_make_room(patient: Running, said: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(5 * MAX_CONNECTIONS):
            stack.enter_context(connected(patient, said))
        assert _asked(patient, "/api/v1/email/templates") == 200


def test_bodies_that_come_slowly_make_room(patient: Running) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(connected(patient, WEBHOOK + b"Content-Length: 1000\r\n\r\n{"))
        eventually(lambda: _asked(patient, "/api/v1/email/templates"), lambda status: status == 200)


def test_health_is_answered_while_all_places_are_taken(patient: Running) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stream = stack.enter_context(signed_in(patient)).stream("GET", "/admin/templates/_live")
            assert stack.enter_context(stream).status_code == 200
        for path in ("/healthz", "/readyz"):
            assert _asked(patient, path) == 200
        refused = httpx.get(f"{patient.url}/api/v1/email/templates")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        # The reserve is displaced, too, so that it can't be held.
        for _ in range(2 * RESERVE):
            stack.enter_context(connected(patient))
        assert _asked(patient, "/healthz") == 200
    eventually(lambda: _asked(patient, "/api/v1/email/templates"), lambda status: status == 200)


def _asked(service: Running, path: str) -> int:
    """The status of a request over a connection of its own; 0 where that was closed."""
    try:
        return httpx.get(f"{service.url}{path}", timeout=20).status_code
    except httpx.TransportError:
        return 0
