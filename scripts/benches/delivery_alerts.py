"""An alert behind 50,000 invoices: from the HTTP request to the next hop's 250, while the workers drain.

The service runs as in production: `rgz-email api` and `rgz-email worker`, processes of their own over one database.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benches.delivery_rates import resident_bytes, slope
from benches.delivery_servers import telling_sink
from benches.http_load import environment_with
from benches.invoice import KEY, MAILS
from benches.queued_invoices import queue_invoices
from benches.report import Unmeasured
from service.bootstrap import build
from service.config.settings import Settings
from service.store.database import Database, open_database

_TEMPLATES = Path(__file__).resolve().parents[2] / "email_templates"
_ALERT = "incident_alert_critical"
_TOKEN = "token-of-the-bench"  # noqa: S105  # opens nothing but a service of this bench
_EVERY_S = 0.1
_LOOK_EVERY_S = 1.0
_START_S = 60.0
#: When a worker has found its size: what it holds after so much of the queue.
_WARM = 0.2


@dataclass(frozen=True)
class Alerts:
    """Milliseconds of each alert; mails a second that left meanwhile; bytes that a worker grew by in 100,000 mails."""

    ms: tuple[float, ...]
    per_second: float
    growth_bytes: float

    def quantile(self, q: float) -> float:
        ordered = sorted(self.ms)
        return ordered[min(int(len(ordered) * q), len(ordered) - 1)]

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.ms)


def measured(queued: int, *, workers: int = 1, alerts_max: int = 400) -> Alerts:
    """Posts an alert ten times a second until the queue is empty. Unmeasured: it was empty before two had left."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rgz-bench-")))
        sink, smtp_port = stack.enter_context(telling_sink())
        environment = _environment(directory, smtp_port)
        _queue(directory, queued, smtp_port)
        _, port = stack.enter_context(_process("api", "--port", "0", environment=environment, directory=directory))
        started = [
            stack.enter_context(_process("worker", environment=environment, directory=directory))[0]
            for _ in range(workers)
        ]
        taken: dict[str, float] = {}
        listener = threading.Thread(target=_listen, args=(sink, taken), daemon=True)
        listener.start()
        return _post_and_wait(directory, port, queued, started, taken, alerts_max)


def _post_and_wait(
    directory: Path,
    port: int,
    queued: int,
    workers: list["subprocess.Popen[bytes]"],
    taken: dict[str, float],
    alerts_max: int,
) -> Alerts:
    posted: dict[str, float] = {}
    database = open_database(f"sqlite:///{directory / 'rgz-email.db'}")
    sizes: list[tuple[int, int]] = []
    began_s, left, look_at_s = time.monotonic(), queued, 0.0
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {_TOKEN}"}) as client:
            variables = client.get(f"/api/v1/email/templates/{_ALERT}").raise_for_status().json()["variables"]
            example = {
                name: said["examples"][0] for name, said in variables["properties"].items() if "examples" in said
            }
            while left:
                if time.monotonic() > look_at_s:  # counting is not free, and the machine is what is measured
                    look_at_s = time.monotonic() + _LOOK_EVERY_S
                    left = _left(database)
                    if left < queued * (1 - _WARM):
                        sizes.append((queued - left, sum(resident_bytes(worker.pid) for worker in workers)))
                if len(posted) < alerts_max:
                    recipient = f"alert{len(posted)}@example.com"
                    posted[recipient] = time.monotonic()
                    body = {"to": recipient, "template_key": _ALERT, "variables": example}
                    client.post("/api/v1/email/send", json=body).raise_for_status()
                time.sleep(_EVERY_S)
        per_second = queued / (time.monotonic() - began_s)
    finally:
        database.close()
    time.sleep(1.0)
    if missing := posted.keys() - taken.keys():
        raise Unmeasured(f"{len(missing)} of {len(posted)} alerts never left")
    if len(posted) < 2:
        raise Unmeasured("the queue was empty before an alert could be posted; queue more")
    ms = tuple((taken[recipient] - at) * 1_000 for recipient, at in posted.items())
    return Alerts(ms, per_second, slope(sizes) * 100_000)


def _left(database: Database) -> int:
    (row,) = database.read("SELECT COUNT(*) AS total FROM email_messages WHERE status IN ('queued', 'sending')")
    return int(row["total"])


def _listen(sink: "subprocess.Popen[str]", taken: dict[str, float]) -> None:
    for line in sink.stdout or ():
        recipient, at = line.split()
        taken[recipient] = float(at)


def _environment(directory: Path, smtp_port: int) -> Mapping[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("EMAIL_", "SMTP_"))}
    return (
        environment_with({})
        | ours
        | {
            "EMAIL_DATA_DIR": str(directory),
            "EMAIL_TEMPLATES_DIR": str(directory / "templates"),
            "EMAIL_ADMIN_TOKEN": _TOKEN,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "SMTP_TLS": "none",
            "EMAIL_LOG_LEVEL": "info",
        }
    )


def _queue(directory: Path, count: int, smtp_port: int) -> None:
    shutil.copytree(_TEMPLATES, directory / "templates")
    shutil.copytree(MAILS / KEY, directory / "templates" / KEY)
    settings = Settings().with_changes(
        email_data_dir=directory,
        email_templates_dir=directory / "templates",
        email_admin_token=_TOKEN,
        smtp_host="127.0.0.1",
        smtp_port=smtp_port,
        smtp_tls="none",
    )
    services = build(settings)
    try:
        queue_invoices(services, count)
    finally:
        services.close()


@contextmanager
def _process(
    *arguments: str, environment: Mapping[str, str], directory: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A process of the service that is up, and the port it tells (0 for a worker)."""
    log = directory / f"{arguments[0]}-{time.monotonic_ns()}.log"
    with log.open("wb") as opened:
        process = subprocess.Popen((sys.executable, "-m", "service.cli", *arguments), env=environment, stderr=opened)
    with process:
        try:
            yield process, _port_of(process, log)
        finally:
            process.terminate()


def _port_of(process: "subprocess.Popen[bytes]", log: Path) -> int:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        said = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", said):
            return int(found[1])
        if "The worker is up" in said:
            return 0
        time.sleep(0.05)
    raise Unmeasured(f"the service did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2_000:]}")
