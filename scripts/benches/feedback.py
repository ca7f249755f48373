"""Taking in what comes back: signed events of Amazon SES over HTTP, verified, durable, counted once each.

API and worker are processes of their own, as an operator runs them, over one SQLite file. Every event is another one,
about a mail that was sent; one in ten comes twice, as SNS does it. They come while nothing is sent, and while a worker
delivers a heap of invoices to Postfix's smtp-sink; an empty handler gets the same requests.
"""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import uuid_utils

from benches import invoice
from benches.accept import Server, empty_handler, started
from benches.delivery_rows import queue_invoices
from benches.delivery_servers import smtp_sink
from benches.feedback_sns import Sns, sns
from benches.load import Answered, Load, environment_with, measured
from benches.report import Options, Report, Row, Unmeasured
from service.addresses import pseudonym
from service.models import Status
from service.services import Services, build
from service.settings import Settings
from service.store import history
from service.store.database import Transaction

CONNECTIONS = 64
EVENTS = 6_000
TARGET_PER_SECOND = 1_000.0
ROUNDS = 3
_SECRET = secrets.token_hex(16)
_COMMAND = (sys.executable, "-m", "service.cli")
_START_S = 30.0

T = TypeVar("T")


def run(options: Options) -> Report:
    """Unmeasured: there is no smtp-sink, an event was refused, or one was not counted exactly once."""
    count = max(int(EVENTS * options.effort), 50)
    rounds = max(round(ROUNDS * min(options.effort, 1)), 1)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rgz-bench-")))
        signer = stack.enter_context(sns(directory))
        sink = stack.enter_context(smtp_sink())
        environment = environment_of(directory, signer, sink)
        services = build(settings_of(directory), delivers=False)
        stack.callback(services.close)
        api = stack.enter_context(started([*_COMMAND, "api", "--port", "0"], environment))
        empty = stack.enter_context(empty_handler())
        bare, still, busy, paced = [], [], [], []
        for _ in range(rounds):
            bare.append(_post(empty.port, signer.deliveries([("name", "a@example.com")] * count), good=201))
            still.append(taken(services, signer, api, count))
            busy.append(_while_sending(services, signer, api, environment, count))
            paced.append(_while_sending(services, signer, api, environment, count, per_second=TARGET_PER_SECOND))
        alone = max(_sending(services, environment, count) for _ in range(rounds))
    per_second = {name: max(one.per_second for one in found) for name, found in (("bare", bare), ("still", still))}
    best, mails = max(busy, key=lambda found: found[0].per_second)
    note = f"{CONNECTIONS} connections, p50 {best.p50_ms:.0f} ms, p99 {best.p99_ms:.0f} ms; each counted once"
    offered, mails_then = min(paced, key=lambda found: found[0].p99_ms)
    rows = (
        Row("empty Litestar handler, same requests", per_second["bare"], "requests/s"),
        Row("signed events taken in", per_second["still"], "events/s", per_second["still"] / per_second["bare"],
            "empty handler", note="nothing is sent meanwhile; each counted once"),
        Row("signed events taken in while sending goes on", best.per_second, "events/s",
            best.per_second / per_second["bare"], "empty handler", f">= {TARGET_PER_SECOND:,.0f} a second",
            best.per_second >= TARGET_PER_SECOND, note),
        Row("mails that left meanwhile", mails, "mails/s", mails / alone, "sending alone"),
        Row(f"of {TARGET_PER_SECOND:,.0f} events a second", offered.per_second, "events/s",
            note=f"p50 {offered.p50_ms:.0f} ms, p99 {offered.p99_ms:.0f} ms; each counted once"),
        Row("mails that left meanwhile", mails_then, "mails/s", mails_then / alone, "sending alone"),
    )  # fmt: skip
    return Report("feedback", rows, {"service": version("rgz-email")})


def taken(services: Services, signer: Sns, api: Server, count: int, *, per_second: float | None = None) -> Answered:
    """Events about as many mails, and then the proof that each was counted once."""
    mails = _sent(services, count)
    requests = signer.deliveries(mails)
    answered = _post(api.port, requests + requests[::10], good=200, per_second=per_second)
    told = services.database.read(
        "SELECT COUNT(*) AS told, COUNT(DISTINCT event.message_id) AS mails FROM email_events AS event"
        " JOIN email_messages AS message ON message.id = event.message_id AND message.status = 'delivered'"
        " WHERE event.type = 'delivered' AND message.provider_id >= :first AND message.provider_id <= :last",
        {"first": mails[0][0], "last": mails[-1][0]},
    )
    if told != [{"told": count, "mails": count}]:
        raise Unmeasured(f"not every event was counted once: {told} of {count}")
    return answered


def _while_sending(
    services: Services,
    signer: Sns,
    api: Server,
    environment: Mapping[str, str],
    count: int,
    *,
    per_second: float | None = None,
) -> tuple[Answered, float]:
    """The same while a worker delivers, which has more than it can send meanwhile; and how many mails a second left."""
    with _worker(services, environment, count * 4):
        rate, answered = _rate(services, partial(taken, services, signer, api, count, per_second=per_second))
    return answered, rate


def _sending(services: Services, environment: Mapping[str, str], count: int) -> float:
    """Mails that a worker delivers in a second while nothing comes back."""
    with _worker(services, environment, count * 4):
        rate, _ = _rate(services, lambda: time.sleep(2.0))
    return rate


def _rate(services: Services, meanwhile: Callable[[], T]) -> tuple[float, T]:
    """Mails a second that became `sent` meanwhile. (What is told of is `delivered`, and does not count.)"""
    before, begun_s = history.count_by_status(services.database)[Status.QUEUED], time.perf_counter()
    done = meanwhile()
    after, ended_s = history.count_by_status(services.database)[Status.QUEUED], time.perf_counter()
    if after == 0:
        raise Unmeasured("all mails had left before the last event was taken in")
    return (before - after) / (ended_s - begun_s), done


@contextmanager
def _worker(services: Services, environment: Mapping[str, str], count: int) -> Iterator[None]:
    """A worker amid its work; what it has not sent when this ends is taken away."""
    queue_invoices(services, count)
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([*_COMMAND, "worker"], env=environment_with(environment), stderr=said)
        try:
            until = time.monotonic() + _START_S
            while not history.count_by_status(services.database)[Status.SENT]:
                if process.poll() is not None or time.monotonic() > until:
                    raise Unmeasured("the worker sends nothing")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)
            services.database.write(lambda tx: tx.execute("DELETE FROM email_messages WHERE status <> 'delivered'"))


def _sent(services: Services, count: int) -> list[tuple[str, str]]:
    """So many mails that SES has taken: its name and the recipient of each, in the order of the names."""
    queue_invoices(services, 1)
    (model,) = services.database.read("SELECT * FROM email_messages WHERE status = 'queued' LIMIT 1")
    key = _SECRET.encode()
    copies = []
    for number in range(count):
        own, to = str(uuid_utils.uuid7()), f"person{number}@example.com"
        copies.append(
            model | {
                "id": own, "provider_id": f"{own}-000000", "message_id": f"{own}@example.com", "status": "sent",
                "recipient_email": to, "recipient_hash": pseudonym(to, key=key), "next_attempt_at": None,
                "sent_at": model["created_at"],
            }
        )  # fmt: skip
    columns = tuple(copies[0])

    def insert(tx: Transaction) -> None:
        tx.execute("DELETE FROM email_messages WHERE id = :id", {"id": model["id"]})
        tx.insert("email_messages", columns, [tuple(copy.values()) for copy in copies])

    services.database.write(insert)
    return [(copy["provider_id"], copy["recipient_email"]) for copy in copies]


def _post(port: int, requests: list[str], *, good: int, per_second: float | None = None) -> Answered:
    load = Load(port, tuple(requests), CONNECTIONS, warm_up_s=0.0, once=True, good=good, per_second=per_second)
    answered = measured(load)
    if answered.refused or answered.answered != len(requests):
        raise Unmeasured(f"{answered.refused} of {len(requests)} requests were not answered with {good}")
    return answered


def settings_of(directory: Path) -> Settings:
    return Settings().with_changes(
        email_data_dir=directory / "state", email_templates_dir=invoice.MAILS, email_secret_key=_SECRET
    )


def environment_of(directory: Path, signer: Sns, sink_port: int) -> dict[str, str]:
    return {
        "EMAIL_DATA_DIR": str(directory / "state"),
        "EMAIL_TEMPLATES_DIR": str(invoice.MAILS),
        "EMAIL_SECRET_KEY": _SECRET,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(sink_port),
        "SMTP_TLS": "none",
        **signer.settings,
    }
