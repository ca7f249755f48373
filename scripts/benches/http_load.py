"""HTTP load generator in a process of its own: persistent connections, each with one request in flight.

Run as a program it reads a `Load` as JSON from standard input and prints a `LoadResult` as JSON. It does little more
than send bytes and look for the length of a response, so one core for it is enough to keep another one busy.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle

from benches.processes import environment_with
from benches.report import Unmeasured

_LENGTH = b"content-length: "
_END_OF_HEAD = b"\r\n\r\n"
#: For all requests of a load that are sent once, and for the first response of any other.
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Load:
    """`requests` are sent in turn, each a whole HTTP/1.1 request as Latin-1; responses in `warm_up_s` do not count.

    With `once` each is sent once, and the load ends with the last response. `per_second` limits how many are sent.
    `good` is the status that counts as success.
    """

    port: int
    requests: tuple[str, ...]
    connections: int = 64
    warm_up_s: float = 1.0
    measured_s: float = 5.0
    once: bool = False
    per_second: float | None = None
    good: int = 201


@dataclass(frozen=True)
class LoadResult:
    """Responses a second, latencies, how many responses came, and how many of them had another status than `good`.

    A latency is the time from the request's first byte to the response's last one.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    refused: int


def measured(load: Load) -> LoadResult:
    """Run the load in another process. Raises Unmeasured where that ends with an error."""
    command = (sys.executable, "-m", "benches.http_load")
    finished = subprocess.run(
        command,
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=environment_with({}),
    )
    if finished.returncode:
        raise Unmeasured("the load generator failed; its message is above")
    return LoadResult(**json.loads(finished.stdout))


class _Connection:
    """A connection with one request in flight; `sent_at` is when its first byte was sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._received = b""

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The status line and headers, once the whole response has come; None before."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self._received += chunk
        end = self._received.find(_END_OF_HEAD)
        if end < 0:
            return None
        head = self._received[:end]
        at = head.lower().find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].partition(b"\r")[0]) if at >= 0 else 0
        if len(self._received) < end + len(_END_OF_HEAD) + length:
            return None
        self._received = b""
        return head


def generate(load: Load) -> LoadResult:
    """Send requests until the time is over, or all were sent once. Raises Unmeasured where no response came."""
    encoded = [request.encode("latin-1") for request in load.requests]
    requests: Iterator[bytes] = iter(encoded) if load.once else cycle(encoded)
    good = f"HTTP/1.1 {load.good}".encode()
    selector = selectors.DefaultSelector()
    idle = [_Connection(load.port) for _ in range(load.connections)]
    for connection in idle:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    started = time.perf_counter()
    begin = started + load.warm_up_s
    deadline = begin + _TIMEOUT_S
    end = deadline if load.once else begin + load.measured_s
    last_response_at = begin
    interval_s = 1 / load.per_second if load.per_second else 0.0
    latencies_s: list[float] = []
    sent = answered = refused = 0
    while (now := time.perf_counter()) < (end if latencies_s else deadline):
        while idle and now >= started + sent * interval_s:
            connection = idle.pop()
            if (request := next(requests, None)) is None:
                selector.unregister(connection.socket)
                connection.socket.close()
            else:
                connection.send(request)
                sent += 1
        if not selector.get_map():
            break
        wait_s = max(started + sent * interval_s - now, 0.0) if idle else 1.0
        for key, _ in selector.select(timeout=min(wait_s, 1.0)):
            connection = key.data
            head = connection.receive()
            if head is None:
                continue
            now = time.perf_counter()
            if now >= begin:
                latencies_s.append(now - connection.sent_at)
                last_response_at = now
            answered += 1
            refused += not head.startswith(good)
            idle.append(connection)
    if not latencies_s:
        raise Unmeasured("no request was answered")
    latencies_s.sort()
    # On a busy machine the first response may come after `measured_s`.
    duration_s = now - begin if load.once else max(load.measured_s, last_response_at - begin)
    return LoadResult(
        per_second=len(latencies_s) / duration_s,
        p50_ms=latencies_s[len(latencies_s) // 2] * 1e3,
        p99_ms=latencies_s[len(latencies_s) * 99 // 100] * 1e3,
        answered=answered,
        refused=refused,
    )


if __name__ == "__main__":
    json.dump(asdict(generate(Load(**json.load(sys.stdin)))), sys.stdout)
