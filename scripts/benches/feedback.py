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
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from importlib.metadata import version
from pathlib import Path

import uuid_utils
from typing_extensions import override

from benches import invoice
from benches.accept import Server, empty_handler, started
from benches.delivery_servers import smtp_sink
from benches.feedback_sns import Sns, sns
from benches.http_load import Answered, Load, environment_with, measured
from benches.queued_invoices import queue_invoices
from benches.report import Options, Report, Row, Unmeasured
from service.bootstrap import Services, build
from service.config.settings import Settings
from service.mail.addresses import pseudonym
from service.store.database import Transaction

#: SNS opens as many as it needs; each waits for its event to be on disk.
CONNECTIONS = 200
EVENTS = 3_000
#: Of the mails that wait to be sent, to one event: more than leave while those are taken in.
HEAP = 4
TARGET_PER_SECOND = 1_000.0
ROUNDS = 3
_SECRET = secrets.token_hex(16)
_COMMAND = (sys.executable, "-m", "service.cli")
_START_S = 30.0


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
        cpu_us = {"empty": float("inf"), "api": float("inf")}
        for _ in range(rounds):
            before = empty.cpu_s()
            bare.append(_post(empty.port, signer.deliveries([("name", "a@example.com")] * count), good=201))
            cpu_us["empty"] = min(cpu_us["empty"], (empty.cpu_s() - before) / bare[-1].answered * 1e6)
            before = api.cpu_s()
            still.append(taken(services, signer, api, count))
            cpu_us["api"] = min(cpu_us["api"], (api.cpu_s() - before) / still[-1].answered * 1e6)
            busy.append(_while_sending(services, signer, api, environment, count))
            paced.append(_while_sending(services, signer, api, environment, count, per_second=TARGET_PER_SECOND))
        alone = max(_sending(services, environment, count) for _ in range(rounds))
    per_second = {name: max(one.per_second for one in found) for name, found in (("bare", bare), ("still", still))}
    best, mails = max(busy, key=lambda found: found[0].per_second * found[1])  # one is won at the cost of the other
    note = f"{CONNECTIONS} connections, p50 {best.p50_ms:.0f} ms, p99 {best.p99_ms:.0f} ms; each counted once"
    offered, mails_then = max(paced, key=lambda found: found[0].per_second * found[1])
    rows = (
        Row("empty Litestar handler, same requests", per_second["bare"], "requests/s",
            note=f"CPU {cpu_us['empty']:.0f} us a request"),
        Row("signed events taken in", per_second["still"], "events/s", per_second["still"] / per_second["bare"],
            "empty handler", note=f"nothing is sent meanwhile; CPU {cpu_us['api']:.0f} us an event; each counted once"),
        Row("signed events taken in while sending goes on", best.per_second, "events/s",
            best.per_second / per_second["bare"], "empty handler", f">= {TARGET_PER_SECOND:,.0f} a second",
            best.per_second >= TARGET_PER_SECOND, note),
        Row("mails that left meanwhile", mails, "mails/s", mails / alone, "sending alone"),
        Row(f"of {TARGET_PER_SECOND:,.0f} events a second", offered.per_second, "events/s",
            note=f"p50 {offered.p50_ms:.0f} ms, p99 {offered.p99_ms:.0f} ms; each counted once"),
        Row("mails that left meanwhile", mails_then, "mails/s", mails_then / alone, "sending alone"),
    )  # fmt: skip
    return Report("feedback", rows, {"service": version("rgz-email")})


def taken(
    services: Services,
    signer: Sns,
    api: Server,
    count: int,
    *,
    per_second: float | None = None,
    meanwhile: AbstractContextManager[object] | None = None,
) -> Answered:
    """Events about as many mails, posted amid `meanwhile`, and then the proof that each was counted once."""
    mails = _sent(services, count)
    requests = signer.deliveries(mails)
    with meanwhile or nullcontext():
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
    sending = _Sending(services, environment, count * HEAP)
    answered = taken(services, signer, api, count, per_second=per_second, meanwhile=sending)
    return answered, sending.per_second


def _sending(services: Services, environment: Mapping[str, str], count: int) -> float:
    """Mails that a worker delivers in a second while nothing comes back."""
    with _Sending(services, environment, count * HEAP) as sending:
        time.sleep(2.0)
    return sending.per_second


class _Sending(AbstractContextManager["_Sending"]):
    """A worker amid a heap of mails; `per_second` of them began to leave. What it has not sent is taken away again."""

    def __init__(self, services: Services, environment: Mapping[str, str], count: int) -> None:
        self._services = services
        self._environment = environment
        self._count = count
        self._stack = ExitStack()
        self.per_second = 0.0

    @override
    def __enter__(self) -> "_Sending":
        queue_invoices(self._services, self._count)
        self._stack.callback(self._clear)
        command = [*_COMMAND, "worker"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, env=environment_with(self._environment), stderr=quiet, stdout=quiet)
        self._stack.callback(process.wait, 20)
        self._stack.callback(process.terminate)
        until = time.monotonic() + _START_S
        while self._waiting() > self._count * 0.98:
            if process.poll() is not None or time.monotonic() > until:
                self._stack.close()
                raise Unmeasured("the worker sends nothing")
            time.sleep(0.05)
        self._before, self._begun_s = self._waiting(), time.perf_counter()
        return self

    @override
    def __exit__(self, *error: object) -> None:
        waiting, ended_s = self._waiting(), time.perf_counter()
        self._stack.close()
        if waiting == 0:
            raise Unmeasured("all mails had left before the last event was taken in")
        self.per_second = (self._before - waiting) / (ended_s - self._begun_s)

    def _waiting(self) -> int:
        (row,) = self._services.database.read("SELECT COUNT(*) AS mails FROM email_messages WHERE status = 'queued'")
        return int(row["mails"])

    def _clear(self) -> None:
        self._services.database.write(
            lambda tx: tx.execute("DELETE FROM email_messages WHERE status IN ('queued', 'sending')")
        )


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
