"""Latency of an alert behind 50,000 invoices: from the HTTP request to the relay's 250, while a worker delivers.

The service runs as in production: `rgz-email api` and `rgz-email worker`, processes of their own over one database.
"""

import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from benches.delivery_rates import WARM_UP_SHARE, slope
from benches.delivery_servers import timing_sink
from benches.invoice import KEY, MAILS
from benches.processes import RGZ_EMAIL, WORKER_IS_UP, Process, started
from benches.queued_invoices import queue_invoices
from benches.report import Unmeasured
from benches.services import ADMIN_TOKEN, built_services, service_environment
from service.store.database import Database, open_database

_TEMPLATES = Path(__file__).resolve().parents[2] / "email_templates"
_ALERT = "incident_alert_critical"
_ALERT_INTERVAL_S = 0.1
_COUNT_INTERVAL_S = 1.0


@dataclass(frozen=True)
class AlertLatencies:
    """Milliseconds of each alert, mails a second sent meanwhile, the worker's growth in memory for 100,000 mails."""

    ms: tuple[float, ...]
    per_second: float
    growth_bytes: float

    def quantile(self, q: float) -> float:
        ordered = sorted(self.ms)
        return ordered[min(int(len(ordered) * q), len(ordered) - 1)]

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.ms)


def measured(queued: int, *, alerts_max: int = 400) -> AlertLatencies:
    """Post an alert ten times a second until the queue is empty. Raises Unmeasured where it empties before two."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rgz-bench-")))
        sink, relay_port = stack.enter_context(timing_sink())
        environment = _environment(directory, relay_port)
        with built_services(environment) as services:
            queue_invoices(services, queued)
        api = stack.enter_context(started((*RGZ_EMAIL, "api", "--port", "0"), environment))
        worker = stack.enter_context(started((*RGZ_EMAIL, "worker"), environment, up=WORKER_IS_UP))
        received_at_s: dict[str, float] = {}
        listener = threading.Thread(target=_listen, args=(sink, received_at_s), daemon=True)
        listener.start()
        posted_at_s, per_second, sizes = _post_until_empty(directory, api, worker, queued, alerts_max)
        time.sleep(1.0)
    if missing := posted_at_s.keys() - received_at_s.keys():
        raise Unmeasured(f"{len(missing)} of {len(posted_at_s)} alerts were not delivered")
    if len(posted_at_s) < 2:
        raise Unmeasured("the queue was empty before an alert could be posted; queue more")
    ms = tuple((received_at_s[recipient] - at_s) * 1_000 for recipient, at_s in posted_at_s.items())
    return AlertLatencies(ms, per_second, slope(sizes) * 100_000)


def _post_until_empty(
    directory: Path, api: Process, worker: Process, queued: int, alerts_max: int
) -> tuple[dict[str, float], float, list[tuple[int, int]]]:
    """Monotonic seconds of each alert by recipient, mails a second, and (mails sent, worker's bytes) over time."""
    posted_at_s: dict[str, float] = {}
    sizes: list[tuple[int, int]] = []
    database = open_database(f"sqlite:///{directory / 'state' / 'rgz-email.db'}")
    began_s, left, count_at_s = time.monotonic(), queued, 0.0
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", headers=headers) as client:
            schema = client.get(f"/api/v1/email/templates/{_ALERT}").raise_for_status().json()["variables"]
            example = {name: one["examples"][0] for name, one in schema["properties"].items() if "examples" in one}
            while left:
                if time.monotonic() > count_at_s:  # counting takes processor time that is measured
                    count_at_s = time.monotonic() + _COUNT_INTERVAL_S
                    left = _unsent(database)
                    if left < queued * (1 - WARM_UP_SHARE):
                        sizes.append((queued - left, worker.resident_bytes()))
                if len(posted_at_s) < alerts_max:
                    recipient = f"alert{len(posted_at_s)}@example.com"
                    posted_at_s[recipient] = time.monotonic()
                    body = {"to": recipient, "template_key": _ALERT, "variables": example}
                    client.post("/api/v1/email/send", json=body).raise_for_status()
                time.sleep(_ALERT_INTERVAL_S)
        return posted_at_s, queued / (time.monotonic() - began_s), sizes
    finally:
        database.close()


def _unsent(database: Database) -> int:
    (row,) = database.read("SELECT COUNT(*) AS total FROM email_messages WHERE status IN ('queued', 'sending')")
    return int(row["total"])


def _listen(sink: "subprocess.Popen[str]", received_at_s: dict[str, float]) -> None:
    for line in sink.stdout or ():
        recipient, at_s = line.split()
        received_at_s[recipient] = float(at_s)


def _environment(directory: Path, relay_port: int) -> Mapping[str, str]:
    """With the repository's templates and the bench's invoice beside them."""
    templates_dir = directory / "templates"
    shutil.copytree(_TEMPLATES, templates_dir)
    shutil.copytree(MAILS / KEY, templates_dir / KEY)
    return {**service_environment(directory, relay_port, templates_dir), "EMAIL_LOG_LEVEL": "info"}
