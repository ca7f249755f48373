"""Accepting and delivering: over HTTP into durable rows, and from due rows to the next hop's 250.

Everything is delivered to one sink written in C, by an invoice of 25 KB of HTML, 33 KB on the wire. The things that are
compared take turns; of each the best round counts: a busy moment makes things slow, and nothing makes them fast.
"""

import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from benches import accept, delivery_alerts, delivery_peers
from benches.delivery_rates import Rate, archived, bare, drain, growth_bytes, service, wires
from benches.delivery_servers import line, smtp_sink
from benches.invoice import ROWS
from benches.queued_invoices import accept_invoices
from benches.report import Options, Report, Row
from service.config import logs
from service.store import message_queries

ROUNDS = 3
MAILS = 3_000
QUEUED = 50_000
#: Mails over which a worker's growth is measured.
GROWN_OVER = 10_000
#: Each way.
LINE_MS = 50.0
_BARE = "a bare smtplib loop"
TARGET_BATCHES, TARGET_EACH, TARGET_LINE = 2.5, 1.0, 25.0
TARGET_PEERS = {"django-post-office": 8.0, "nodemailer's pool": 4.0, "Celery with Valkey": 10.0}
TARGET_ALERT_MS = 200.0
TARGET_ARCHIVED_BYTES = 1_500
#: Of a worker, in 100,000 mails; what an interpreter's heap wanders by.
TARGET_GROWTH_MIB = 16.0


def run(options: Options) -> Report:
    """Unmeasured: there is no smtp-sink, or a peer can't be installed."""
    # As a worker logs: without it a line for people is drawn for each try. Nobody wants to read a line for each here.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        logs.configure("info", for_people=False, to=nowhere)
        rows = [*accept.rows(options), *drains(options), *alert(options)]
        logs.configure("warning", for_people=True)
    return Report("delivery", tuple(rows), {"service": version("rgz-email")})


def drains(options: Options) -> list[Row]:
    """A worker's drain and the peers, on a fast line and on a slow one."""
    count = max(int(MAILS * options.effort), 20)
    with smtp_sink() as port, service(port) as services:
        accept_invoices(services, 40)
        mails = wires(services, 40)
        few = max(count // 3, 10)
        tried: Mapping[str, Callable[[], Rate]] = {
            _BARE: lambda: bare(port, mails, few),
            "drain, committed in batches": lambda: drain(services, count),
            "drain, each committed by itself": lambda: drain(services, few, commit_at=1),
            "drain, in batches, fsync of 2 ms": lambda: drain(services, count, slow_disk=True),
            "drain, each by itself, fsync of 2 ms": lambda: drain(services, few, commit_at=1, slow_disk=True),
        }
        found: dict[str, list[Rate]] = {name: [] for name in tried}
        for _ in range(max(round(ROUNDS * min(options.effort, 1)), 1)):
            for name, measured in tried.items():
                found[name].append(measured())
        best = {name: max(rates, key=lambda rate: rate.per_second) for name, rates in found.items()}
        rows = [_row(name, rate, best[_BARE]) for name, rate in best.items()]
        if options.with_peers:
            rows += _peers(port, max(count // 6, 20), best["drain, committed in batches"].per_second)
        grown_mib = growth_bytes(services, max(int(GROWN_OVER * options.effort), 200)) / 2**20
        rows.append(
            Row("a worker's growth in 100,000 mails, over the sink", grown_mib, "MiB",
                target=f"< {TARGET_GROWTH_MIB:.0f} MiB", is_met=grown_mib < TARGET_GROWTH_MIB,
                note="slope of the last four fifths of 10,000")
        )  # fmt: skip
        rows += _far(port, mails, max(count // 3, 60))
        ids = accept_invoices(services, 40, ROWS)
        whole, kept = archived(services, ids)
        rows.append(
            Row(
                "archive of an invoice with random names",
                kept,
                "B",
                target=f"< {TARGET_ARCHIVED_BYTES:,} B",
                is_met=kept < TARGET_ARCHIVED_BYTES,
                note=f"{whole / 1_000:.0f} KB of HTML and text",
            )
        )
    return rows


def alert(options: Options) -> list[Row]:
    """The way of an alert behind a long queue, and what a worker grows by."""
    queued = max(int(QUEUED * options.effort), 200)
    found = delivery_alerts.measured(queued)
    p99_ms, grown_mib = found.quantile(0.99), found.growth_bytes / 2**20
    note = f"{len(found.ms)} alerts behind {queued:,} invoices, which left at {found.per_second:,.0f} a second"
    return [
        Row("alert, from HTTP request to 250, p50", found.p50_ms, "ms", note=note),
        Row("alert, p99", p99_ms, "ms", target=f"< {TARGET_ALERT_MS:.0f} ms", is_met=p99_ms < TARGET_ALERT_MS),
        Row("a worker's growth in 100,000 mails, behind alerts", grown_mib, "MiB",
            target=f"< {TARGET_GROWTH_MIB:.0f} MiB", is_met=grown_mib < TARGET_GROWTH_MIB,
            note="slope of the last four fifths of that queue"),
    ]  # fmt: skip


def _row(name: str, rate: Rate, against: Rate) -> Row:
    ratio = rate.per_second / against.per_second
    target = {"drain, committed in batches": TARGET_BATCHES, "drain, each committed by itself": TARGET_EACH}.get(name)
    note = f"{rate.cpu_us:,.0f} us of processor each"
    if name == _BARE:
        return Row(name, rate.per_second, "mails/s", note=note)
    return _judged(name, rate.per_second, ratio, _BARE, target, note)


def _judged(name: str, per_second: float, ratio: float, to: str, target: float | None, note: str = "") -> Row:
    wanted = "" if target is None else f">= {target:g} x"
    is_met = None if target is None else ratio >= target
    return Row(name, per_second, "mails/s", ratio, to, wanted, is_met, note)


def _peers(port: int, count: int, ours: float) -> list[Row]:
    mail = {"subject": "Facture INV-2026-0001", "html": "", "text": ""}
    with service(port) as services:
        (one,) = accept_invoices(services, 1)
        body = message_queries.body(services.database, one)
        if body is not None:
            mail |= {"html": body.html, "text": body.text}
    return [
        Row(
            name,
            rate,
            "mails/s",
            ours / rate,
            "as fast is our drain",
            f">= {TARGET_PEERS[name]:g} x",
            ours / rate >= TARGET_PEERS[name],
        )
        for name, rate in delivery_peers.measured(port, mail, count).items()
    ]


def _far(port: int, mails: list[tuple[str, bytes]], count: int) -> list[Row]:
    """Over a line that is long, and as wide as the other."""
    with line(port, LINE_MS) as far, service(far) as services:
        slow = bare(far, mails, max(count // 60, 2))
        rate = drain(services, count)
        to = "a bare smtplib loop over it"
        note = f"up to {services.settings.smtp_max_connections} connections"
        name = f"line of {LINE_MS:.0f} ms each way"
        return [
            Row(f"{name}: bare smtplib loop", slow.per_second, "mails/s"),
            _judged(f"{name}: drain", rate.per_second, rate.per_second / slow.per_second, to, TARGET_LINE, note),
        ]
