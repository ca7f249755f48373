"""Accepting over HTTP: what `POST /send` answers a second, rendered and durable, beside an empty handler.

Both are Litestar under uvicorn as the service runs it, each in a process of its own, and get the same requests over 64
connections. They take turns, and of each the best round counts.
"""

import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from litestar import Litestar, post

from benches import invoice
from benches.http_load import Answered, Load, environment_with, measured
from benches.queued_invoices import LINES
from benches.report import Options, Row, Unmeasured

CONNECTIONS = 64
#: Of what an empty handler answers.
TARGET_RATIO = 0.40
TARGET_P99_MS = 50.0
ROUNDS = 3
ROUND_S = 5.0
_REQUESTS = 2_000
_TOKEN = secrets.token_hex(16)
_START_S = 60.0


def rows(options: Options) -> tuple[Row, ...]:
    """The empty handler, and accepting with SQLite, by the admin token and by a key; ratios to the empty handler."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rgz-bench-")))
        syncs_ms = _syncs_ms(directory)
        empty = stack.enter_context(empty_handler())
        service, key = stack.enter_context(_service(directory))
        tried = {
            "empty Litestar handler": (empty, _requests(_TOKEN, LINES)),
            "accept, 25 KB": (service, _requests(_TOKEN, LINES)),
            "accept, 25 KB, by a key": (service, _requests(key, LINES)),
            "accept, 37 KB": (service, _requests(_TOKEN, invoice.ROWS)),
        }
        found: dict[str, list[Answered]] = {name: [] for name in tried}
        cpu_s = dict.fromkeys(tried, 0.0)
        for _ in range(max(round(ROUNDS * min(options.effort, 1)), 1)):
            for name, (server, requests) in tried.items():
                seconds = ROUND_S * options.effort
                before = server.cpu_s()
                found[name].append(measured(Load(server.port, requests, CONNECTIONS, min(1.0, seconds), seconds)))
                cpu_s[name] += server.cpu_s() - before
                syncs_ms += _syncs_ms(directory)
    if refused := sum(answer.refused for answers in found.values() for answer in answers):
        raise Unmeasured(f"{refused} requests were not answered with 201")
    notes = {
        name: f"CPU {cpu_s[name] / sum(answer.answered for answer in answers) * 1e6:.0f} us a request"
        for name, answers in found.items()
    }
    (base_name, base), *others = [(name, _best(answers)) for name, answers in found.items()]
    return (
        Row(base_name, base.per_second, "requests/s", note=f"{_times(base)}, {notes[base_name]}"),
        *(_row(name, answered, base, notes[name]) for name, answered in others),
        Row("what this disk takes to keep 4 KB", statistics.median(syncs_ms), "ms", note="median, between the rounds"),
    )


def _syncs_ms(directory: Path) -> list[float]:
    """Accepting is durable: what the disk takes is part of it, and others may use the disk."""
    found = []
    with (directory / "kept").open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(bytes(4096))
            begun = time.perf_counter()
            os.fdatasync(file)
            found.append((time.perf_counter() - begun) * 1e3)
    return found


def _row(name: str, answered: Answered, base: Answered, note: str) -> Row:
    ratio = answered.per_second / base.per_second
    return Row(
        name,
        answered.per_second,
        "requests/s",
        ratio,
        "empty handler",
        f">= {TARGET_RATIO:.2f} x, p99 < {TARGET_P99_MS:.0f} ms",
        ratio >= TARGET_RATIO and answered.p99_ms < TARGET_P99_MS,
        f"{_times(answered)}, {note}",
    )


def _best(answers: list[Answered]) -> Answered:
    return max(answers, key=lambda answered: answered.per_second)


def _times(answered: Answered) -> str:
    return f"{CONNECTIONS} connections, p50 {answered.p50_ms:.1f} ms, p99 {answered.p99_ms:.1f} ms"


def _requests(token: str, lines: int) -> tuple[str, ...]:
    """Whole requests, each to somebody else."""
    found, said = [], invoice.values()
    for number in range(_REQUESTS):
        values = said | {"number": f"INV-2026-{number:04}", "lines": said["lines"][:lines]}
        body = json.dumps({"to": f"customer{number}@example.com", "template_key": invoice.KEY, "variables": values})
        found.append(
            "POST /api/v1/email/send HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
    return tuple(found)


@dataclass(frozen=True)
class Server:
    port: int
    process_id: int

    def cpu_s(self) -> float:
        """What it has used so far; a machine that others use too makes it wait, and this hardly longer."""
        stat = Path(f"/proc/{self.process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _service(directory: Path) -> Iterator[tuple[Server, str]]:
    """`rgz-email api` with a database of its own: and a key that may send."""
    environment = {
        "EMAIL_DATA_DIR": str(directory / "state"),
        "EMAIL_TEMPLATES_DIR": str(invoice.MAILS),
        "EMAIL_ADMIN_TOKEN": _TOKEN,
    }
    key = subprocess.run(
        [*_COMMAND, "keys", "create", "bench", "--scopes", "send", "--json"],
        env=environment_with(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    with started([*_COMMAND, "api", "--port", "0"], environment) as server:
        yield server, json.loads(key.stdout)["key"]


_COMMAND = (sys.executable, "-m", "service.cli")


@contextmanager
def empty_handler() -> "Iterator[Server]":
    with started([sys.executable, "-m", "benches.accept"], {}) as server:
        yield server


@contextmanager
def started(command: list[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """A server in a process of its own, which says its port on standard error."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env=environment_with(environment), stderr=said)
        try:
            until = time.monotonic() + _START_S
            while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", _all_of(said))):
                if process.poll() is not None or time.monotonic() > until:
                    raise Unmeasured(f"{' '.join(command)} did not start:\n{_all_of(said)}")
                time.sleep(0.05)
            yield Server(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _all_of(file: TextIO) -> str:
    file.seek(0)
    return file.read()


@post(["/api/v1/email/send", "/api/v1/email/webhook"])
async def empty() -> None:
    """Does nothing, and answers 201."""


def _serve_empty() -> None:
    from service.web import server

    listener = server.bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = Litestar([empty], openapi_config=None, logging_config=None)
    server.run(app, listener, on_ready=lambda: print(f"http://127.0.0.1:{port}", file=sys.stderr, flush=True))


if __name__ == "__main__":
    _serve_empty()
