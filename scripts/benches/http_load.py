"""A generator of HTTP requests in a process of its own: kept connections, each with one request under way.

Run as a program it reads a `Load` as JSON from standard input and prints what it found as JSON. It does little more
than send bytes and look for the length of an answer, so that a core of its own is enough to keep another one busy.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from benches.report import Unmeasured

_ROOTS = (Path(__file__).resolve().parents[1], Path(__file__).resolve().parents[2])
_LENGTH = b"content-length: "
_END = b"\r\n\r\n"
#: For all of what is asked once.
_PATIENCE_S = 600.0


@dataclass(frozen=True)
class Load:
    """`requests` take turns, each all of an HTTP/1.1 request as Latin-1; what happens in `warm_up_s` does not count.

    With `once` each is asked once, and it ends with the last answer. `per_second`: no more are asked, however fast the
    answers come. `good` is the status that they should be answered with.
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
class Answered:
    """The answers of one run: rate, latencies, how many came and how many of them were wrong.

    A latency is the time from the request's first byte to the answer's last one.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    refused: int


def measured(load: Load) -> Answered:
    """Runs the generator in another process. Unmeasured: it ended with an error."""
    command = (sys.executable, "-m", "benches.http_load")
    found = subprocess.run(
        command,
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=environment_with({}),
    )
    if found.returncode:
        raise Unmeasured("the generator of requests failed; its message is above")
    return Answered(**json.loads(found.stdout))


def environment_with(more: Mapping[str, str]) -> dict[str, str]:
    """For processes that run this code."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _ROOTS)), **more}


class _Connection:
    """One request at a time; `begun_at` is when its first byte was sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun_at = 0.0
        self._received = b""

    def ask(self, request: bytes) -> None:
        self.begun_at = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """The status line and headers, once all of the answer is here."""
        more = self.socket.recv(65_536)
        if not more:
            raise ConnectionError("the server closed a connection")
        self._received += more
        end = self._received.find(_END)
        if end < 0:
            return None
        head = self._received[:end]
        at = head.lower().find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].partition(b"\r")[0]) if at >= 0 else 0
        if len(self._received) < end + len(_END) + length:
            return None
        self._received = b""
        return head


def generate(load: Load) -> Answered:
    """Asks until the time is over."""
    whole = [request.encode("latin-1") for request in load.requests]
    requests: Iterator[bytes] = iter(whole) if load.once else cycle(whole)
    good = f"HTTP/1.1 {load.good}".encode()
    selector = selectors.DefaultSelector()
    idle = [_Connection(load.port) for _ in range(load.connections)]
    for connection in idle:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    started = time.perf_counter()
    begin = started + load.warm_up_s
    end = begin + (_PATIENCE_S if load.once else load.measured_s)
    pause_s = 1 / load.per_second if load.per_second else 0.0
    times: list[float] = []
    asked = answered = refused = 0
    while (now := time.perf_counter()) < end:
        while idle and now >= started + asked * pause_s:
            connection = idle.pop()
            if (request := next(requests, None)) is None:
                selector.unregister(connection.socket)
                connection.socket.close()
            else:
                connection.ask(request)
                asked += 1
        if not selector.get_map():
            break
        wait_s = max(started + asked * pause_s - now, 0.0) if idle else 1.0
        for key, _ in selector.select(timeout=min(wait_s, 1.0)):
            connection = key.data
            head = connection.answer()
            if head is None:
                continue
            now = time.perf_counter()
            if now >= begin:
                times.append(now - connection.begun_at)
            answered += 1
            refused += not head.startswith(good)
            idle.append(connection)
    if not times:
        raise Unmeasured("nothing was answered")
    times.sort()
    return Answered(
        per_second=len(times) / (now - begin if load.once else load.measured_s),
        p50_ms=times[len(times) // 2] * 1e3,
        p99_ms=times[len(times) * 99 // 100] * 1e3,
        answered=answered,
        refused=refused,
    )


if __name__ == "__main__":
    json.dump(asdict(generate(Load(**json.load(sys.stdin)))), sys.stdout)
