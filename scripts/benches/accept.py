"""Accepting over HTTP: the rate of `POST /send`, rendered and stored durably, beside an empty handler.

Both are Litestar under uvicorn as the service runs it, each in a process of its own, and get the same requests over 64
connections. They take turns; the best round of each counts.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from litestar import Litestar, post

from benches import invoice
from benches.http_load import Load, LoadResult, measured
from benches.processes import RGZ_EMAIL, Process, environment_with, started
from benches.queued_invoices import LINES
from benches.report import Options, Row, Unmeasured
from benches.services import ADMIN_TOKEN

CONNECTIONS = 64
#: Of the rate at which an empty handler answers.
TARGET_RATIO = 0.40
TARGET_P99_MS = 50.0
ROUNDS = 3
ROUND_S = 5.0
_REQUESTS = 2_000


def rows(options: Options) -> tuple[Row, ...]:
    """The empty handler, and accepting with SQLite, by the admin token and by a key; ratios to the empty handler."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rgz-bench-")))
        fsyncs_ms = _fsyncs_ms(directory)
        empty = stack.enter_context(empty_handler())
        service, key = stack.enter_context(_service(directory))
        subjects = {
            "empty Litestar handler": (empty, _requests(ADMIN_TOKEN, LINES)),
            "accept, 25 KB": (service, _requests(ADMIN_TOKEN, LINES)),
            "accept, 25 KB, by a key": (service, _requests(key, LINES)),
            "accept, 37 KB": (service, _requests(ADMIN_TOKEN, invoice.ROWS)),
        }
        results: dict[str, list[LoadResult]] = {name: [] for name in subjects}
        cpu_s = dict.fromkeys(subjects, 0.0)
        for _ in range(max(round(ROUNDS * min(options.effort, 1)), 1)):
            for name, (server, requests) in subjects.items():
                seconds = ROUND_S * options.effort
                cpu_before_s = server.cpu_s()
                results[name].append(measured(Load(server.port, requests, CONNECTIONS, min(1.0, seconds), seconds)))
                cpu_s[name] += server.cpu_s() - cpu_before_s
                fsyncs_ms += _fsyncs_ms(directory)
    if refused := sum(result.refused for of_one in results.values() for result in of_one):
        raise Unmeasured(f"{refused} requests were not answered with 201")
    notes = {
        name: f"CPU {cpu_s[name] / sum(result.answered for result in of_one) * 1e6:.0f} us a request"
        for name, of_one in results.items()
    }
    (base_name, base), *others = [(name, _best(of_one)) for name, of_one in results.items()]
    return (
        Row(base_name, base.per_second, "requests/s", note=f"{_latencies(base)}, {notes[base_name]}"),
        *(_row(name, result, base, notes[name]) for name, result in others),
        Row(
            "write and fsync of 4 KB on this disk",
            statistics.median(fsyncs_ms),
            "ms",
            note="median, between the rounds",
        ),
    )


def _fsyncs_ms(directory: Path) -> list[float]:
    """Durations of 20 writes with fdatasync: an accepted send is on disk, so the disk's speed is part of the result."""
    durations_ms = []
    with (directory / "fsync").open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(bytes(4096))
            began_s = time.perf_counter()
            os.fdatasync(file)
            durations_ms.append((time.perf_counter() - began_s) * 1e3)
    return durations_ms


def _row(name: str, result: LoadResult, base: LoadResult, note: str) -> Row:
    ratio = result.per_second / base.per_second
    return Row(
        name,
        result.per_second,
        "requests/s",
        ratio,
        "empty handler",
        f">= {TARGET_RATIO:.2f} x, p99 < {TARGET_P99_MS:.0f} ms",
        ratio >= TARGET_RATIO and result.p99_ms < TARGET_P99_MS,
        f"{_latencies(result)}, {note}",
    )


def _best(results: Sequence[LoadResult]) -> LoadResult:
    return max(results, key=lambda result: result.per_second)


def _latencies(result: LoadResult) -> str:
    return f"{CONNECTIONS} connections, p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms"


def _requests(token: str, lines_count: int) -> tuple[str, ...]:
    """Whole HTTP requests, each for another recipient and invoice number."""
    requests, variables = [], invoice.values()
    for number in range(_REQUESTS):
        own = variables | {"number": f"INV-2026-{number:04}", "lines": variables["lines"][:lines_count]}
        body = json.dumps({"to": f"customer{number}@example.com", "template_key": invoice.KEY, "variables": own})
        requests.append(
            "POST /api/v1/email/send HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
    return tuple(requests)


@contextmanager
def _service(directory: Path) -> Iterator[tuple[Process, str]]:
    """`rgz-email api` with a database of its own, and the text of a key with the scope `send`."""
    environment: Mapping[str, str] = {
        "EMAIL_DATA_DIR": str(directory / "state"),
        "EMAIL_TEMPLATES_DIR": str(invoice.MAILS),
        "EMAIL_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    key = subprocess.run(
        [*RGZ_EMAIL, "keys", "create", "bench", "--scopes", "send", "--json"],
        env=environment_with(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    with started([*RGZ_EMAIL, "api", "--port", "0"], environment) as server:
        yield server, json.loads(key.stdout)["key"]


@contextmanager
def empty_handler() -> Iterator[Process]:
    """A process whose handler of sends and webhooks does nothing: the most that HTTP itself allows."""
    with started([sys.executable, "-m", "benches.accept"], {}) as server:
        yield server


@post(["/api/v1/email/send", "/api/v1/email/webhook"])
async def empty() -> None:
    """Do nothing; answer 201."""


def _serve_empty() -> None:
    from service.config.settings import Settings
    from service.web import server
    from service.web.connection_limits import ConnectionLimits

    listener = server.bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = Litestar([empty], openapi_config=None, logging_config=None)
    server.run(
        app,
        [listener],
        on_ready=lambda: print(f"http://127.0.0.1:{port}", file=sys.stderr, flush=True),
        limits=ConnectionLimits.of(Settings()),
    )


if __name__ == "__main__":
    _serve_empty()
