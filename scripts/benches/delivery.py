"""The bench `delivery`: accepting over HTTP into durable rows, and delivering due rows until the relay's 250.

All mails go to one sink written in C; each is an invoice of 25 KB of HTML, 33 KB as SMTP carries it. What is compared
takes turns, and the best round of each counts: a busy machine makes things slower and never faster.
"""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from benches import accept, delivery_alerts, delivery_peers
from benches.delivery_rates import Rate, body_sizes_bytes, deliver, encoded_mails, growth_bytes, smtplib_loop
from benches.delivery_servers import delayed, smtp_sink
from benches.invoice import ROWS
from benches.queued_invoices import accept_invoices
from benches.report import Options, Report, Row
from benches.services import temporary_services
from service.config import logs
from service.store import message_queries

ROUNDS = 3
MAILS = 3_000
QUEUED = 50_000
#: Mails during which a worker's growth in memory is measured.
GROWTH_MAILS = 10_000
#: Of the delayed connection, in each direction.
DELAY_MS = 50.0
_SMTPLIB = "a bare smtplib loop"
_BATCHES = "worker, committed in batches"
_EACH = "worker, each committed alone"
TARGET_BATCHES, TARGET_EACH, TARGET_DELAYED = 2.5, 1.0, 25.0
TARGET_PEERS = {"django-post-office": 8.0, "nodemailer's pool": 4.0, "Celery with Valkey": 10.0}
TARGET_ALERT_MS = 200.0
TARGET_ARCHIVED_BYTES = 1_500
#: For 100,000 mails; an interpreter's heap varies by this much.
TARGET_GROWTH_MIB = 16.0


def run(options: Options) -> Report:
    """Takes about eight minutes. Raises Unmeasured without smtp-sink, or where a peer can't be installed."""
    # JSON lines as in production: the format for people costs more for each attempt. Nobody reads them here.
    with Path(os.devnull).open("w", encoding="utf-8") as devnull:
        logs.configure("info", for_people=False, to=devnull)
        rows = [*accept.rows(options), *deliveries(options), *alerts(options)]
        logs.configure("warning", for_people=True)
    return Report("delivery", tuple(rows), {"service": version("rgz-email")})


def deliveries(options: Options) -> list[Row]:
    """Rates of a worker, of smtplib and of the peers; a worker's growth, a delayed connection, the archive's size."""
    count = max(int(MAILS * options.effort), 20)
    with smtp_sink() as port, temporary_services(port) as services:
        accept_invoices(services, 40)
        mails = encoded_mails(services, 40)
        few = max(count // 3, 10)
        subjects: Mapping[str, Callable[[], Rate]] = {
            _SMTPLIB: lambda: smtplib_loop(port, mails, few),
            _BATCHES: lambda: deliver(services, count),
            _EACH: lambda: deliver(services, few, commit_at=1),
            "worker, in batches, fsync of 2 ms": lambda: deliver(services, count, slow_disk=True),
            "worker, each alone, fsync of 2 ms": lambda: deliver(services, few, commit_at=1, slow_disk=True),
        }
        rates: dict[str, list[Rate]] = {name: [] for name in subjects}
        for _ in range(max(round(ROUNDS * min(options.effort, 1)), 1)):
            for name, measure in subjects.items():
                rates[name].append(measure())
        best = {name: max(of_one, key=lambda rate: rate.per_second) for name, of_one in rates.items()}
        rows = [_row(name, rate, best[_SMTPLIB]) for name, rate in best.items()]
        if options.with_peers:
            rows += _peers(port, max(count // 6, 20), best[_BATCHES].per_second)
        growth = growth_bytes(services, max(int(GROWTH_MAILS * options.effort), 200))
        rows.append(_growth_row("the sink", growth, f"{GROWTH_MAILS:,}"))
        rows += _delayed(port, mails, max(count // 3, 60))
        uncompressed, stored = body_sizes_bytes(services, accept_invoices(services, 40, ROWS))
        rows.append(
            Row(
                "archive of an invoice with random names",
                stored,
                "B",
                target=f"< {TARGET_ARCHIVED_BYTES:,} B",
                is_met=stored < TARGET_ARCHIVED_BYTES,
                note=f"{uncompressed / 1_000:.0f} KB of HTML and text",
            )
        )
    return rows


def alerts(options: Options) -> list[Row]:
    """Latency of an alert behind a long queue, and the worker's growth in memory meanwhile."""
    queued = max(int(QUEUED * options.effort), 200)
    latencies = delivery_alerts.measured(queued)
    p99_ms = latencies.quantile(0.99)
    note = f"{len(latencies.ms)} alerts behind {queued:,} invoices, which left at {latencies.per_second:,.0f} a second"
    return [
        Row("alert, from HTTP request to 250, p50", latencies.p50_ms, "ms", note=note),
        Row("alert, p99", p99_ms, "ms", target=f"< {TARGET_ALERT_MS:.0f} ms", is_met=p99_ms < TARGET_ALERT_MS),
        _growth_row("alerts", latencies.growth_bytes, f"{queued:,}"),
    ]


def _growth_row(during: str, growth_bytes: float, mails: str) -> Row:
    growth_mib = growth_bytes / 2**20
    return Row(
        f"a worker's growth in memory for 100,000 mails, with {during}",
        growth_mib,
        "MiB",
        target=f"< {TARGET_GROWTH_MIB:.0f} MiB",
        is_met=growth_mib < TARGET_GROWTH_MIB,
        note=f"slope over the last four fifths of {mails} mails",
    )


def _row(name: str, rate: Rate, base: Rate) -> Row:
    ratio = rate.per_second / base.per_second
    target = {_BATCHES: TARGET_BATCHES, _EACH: TARGET_EACH}.get(name)
    note = f"{rate.cpu_us:,.0f} us of processor each"
    if name == _SMTPLIB:
        return Row(name, rate.per_second, "mails/s", note=note)
    return _ratio_row(name, rate.per_second, ratio, _SMTPLIB, target, note)


def _ratio_row(name: str, per_second: float, ratio: float, to: str, target: float | None, note: str = "") -> Row:
    target_text = "" if target is None else f">= {target:g} x"
    is_met = None if target is None else ratio >= target
    return Row(name, per_second, "mails/s", ratio, to, target_text, is_met, note)


def _peers(port: int, count: int, ours: float) -> list[Row]:
    mail = {"subject": "Facture INV-2026-0001", "html": "", "text": ""}
    with temporary_services(port) as services:
        (message_id,) = accept_invoices(services, 1)
        body = message_queries.body(services.database, message_id)
        if body is not None:
            mail |= {"html": body.html, "text": body.text}
    return [
        Row(
            name,
            rate,
            "mails/s",
            ours / rate,
            "as fast is our worker",
            f">= {TARGET_PEERS[name]:g} x",
            ours / rate >= TARGET_PEERS[name],
        )
        for name, rate in delivery_peers.measured(port, mail, count).items()
    ]


def _delayed(port: int, mails: list[tuple[str, bytes]], count: int) -> list[Row]:
    """Rates over a connection with latency and unlimited bandwidth."""
    with delayed(port, DELAY_MS) as delayed_port, temporary_services(delayed_port) as services:
        slow = smtplib_loop(delayed_port, mails, max(count // 60, 2))
        rate = deliver(services, count)
        to = "a bare smtplib loop over it"
        note = f"up to {services.settings.smtp_max_connections} connections"
        name = f"{DELAY_MS:.0f} ms each way"
        return [
            Row(f"{name}: bare smtplib loop", slow.per_second, "mails/s"),
            _ratio_row(f"{name}: worker", rate.per_second, rate.per_second / slow.per_second, to, TARGET_DELAYED, note),
        ]
