"""How fast due rows leave: a worker's drain beside a bare loop of smtplib, to the same sink with the same mails."""

import os
import smtplib
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlite_utils

from benches.invoice import MAILS
from benches.queued_invoices import queue_invoices
from benches.report import Unmeasured
from service.bootstrap import Services, build
from service.config.settings import Settings
from service.delivery.context import COMMIT_AT, WorkerContext
from service.delivery.deliverer import Deliverer
from service.delivery.throttle import Throttle
from service.store import queue_stats
from service.store.database import listed
from service.store.database.sqlite import SqliteDatabase

SENDER = "noreply@example.com"
_TOKEN = "token-of-the-bench"  # noqa: S105  # opens nothing but a service of this bench


@dataclass(frozen=True)
class Rate:
    """Mails a second by the clock on the wall, and what each cost this process of the processor."""

    per_second: float
    cpu_us: float


class SlowDisk:
    """A connection whose COMMIT takes so much longer, as on a disk that is slow to say it has it."""

    def __init__(self, connection: sqlite_utils.Database, commit_s: float) -> None:
        self._connection = connection
        self._commit_s = commit_s

    def execute(self, sql: str, *values: Any) -> Any:
        cursor = self._connection.execute(sql, *values)
        if sql == "COMMIT":
            time.sleep(self._commit_s)
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class SimulatedDisk(SqliteDatabase):
    """SQLite on a disk whose fsync takes 2 ms."""

    def _connect(self) -> sqlite_utils.Database:
        slow: Any = SlowDisk(super()._connect(), 0.002)
        connection: sqlite_utils.Database = slow
        return connection


@contextmanager
def service(port: int, **changes: Any) -> Iterator[Services]:
    """A service with an empty database of its own, whose mail goes to `port`."""
    with tempfile.TemporaryDirectory(prefix="rgz-bench-") as directory:
        settings = Settings().with_changes(
            email_data_dir=Path(directory),
            email_templates_dir=MAILS,
            email_admin_token=_TOKEN,
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_tls="none",
            smtp_from_email=SENDER,
            **changes,
        )
        services = build(settings)
        try:
            yield services
        finally:
            services.close()


def wires(services: Services, count: int) -> list[tuple[str, bytes]]:
    """Recipient and bytes of some of the mails, as they go over the wire."""
    found = services.database.read("SELECT id, recipient_email FROM email_messages LIMIT :count", {"count": count})
    return [(row["recipient_email"], services.messages.message_search.raw(row["id"])) for row in found]


def bare(port: int, mails: Sequence[tuple[str, bytes]], count: int) -> Rate:
    """A loop of smtplib on one connection: nothing is looked up, built or written down."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        for number in range(count):
            recipient, wire = mails[number % len(mails)]
            client.sendmail(SENDER, [recipient], wire, mail_options=["BODY=8BITMIME"])
        return _rate(count, began_s, began_cpu_s)


def drain(services: Services, count: int, *, commit_at: int = COMMIT_AT, slow_disk: bool = False) -> Rate:
    """`count` invoices that are due leave, by one worker; each is `sent` in the database when this returns."""
    queue_invoices(services, count)
    database = services.database
    if slow_disk:
        database = SimulatedDisk(services.settings.email_data_dir / "rgz-email.db")
    connections_max = services.settings.smtp_max_connections
    deliverer = Deliverer(
        WorkerContext(
            database=database,
            transport=services.delivery.transport,
            clock=services.clock,
            owner="bench",
            feedback=services.delivery.deliverer.context.feedback,
            metrics=services.delivery.deliverer.context.metrics,
            throttle=Throttle(connections_max=connections_max, per_second_max=None),
            commit_at=commit_at,
        )
    )
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    sent = 0
    while sent < count:
        sent += deliverer.drain(threading.Event())
    rate = _rate(count, began_s, began_cpu_s)
    if database is not services.database:
        database.close()
    if left := _left(services):
        raise Unmeasured(f"not everything was sent: {left} messages are left")
    return rate


def growth_bytes(services: Services, count: int) -> float:
    """What this process grows by in 100,000 mails while it drains `count`, of which the first fifth warms it up."""
    queue_invoices(services, count)
    ended, looks = threading.Event(), list[tuple[int, int]]()

    def look() -> None:
        while not ended.wait(0.5):
            done = count - _left(services)
            if done > count * 0.2:
                looks.append((done, resident_bytes(os.getpid())))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    while services.delivery.deliverer.drain(threading.Event()):
        pass
    ended.set()
    looking.join()
    return slope(looks) * 100_000


def slope(points: Sequence[tuple[int, int]]) -> float:
    """Of the straight line that is nearest to all of them: single looks wander by some MiB."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    xs, ys = zip(*points, strict=True)
    return statistics.linear_regression(xs, ys).slope


def archived(services: Services, ids: Sequence[str]) -> tuple[float, float]:
    """Bytes of these mails, on average: of HTML and text together, and as they are kept."""
    names, params = listed("id", ids)
    sizes = "AVG(size_bytes) AS whole, AVG(LENGTH(content)) AS kept"
    (row,) = services.database.read(f"SELECT {sizes} FROM email_bodies WHERE message_id IN ({names})", params)
    return float(row["whole"]), float(row["kept"])


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _left(services: Services) -> int:
    """How many messages are not sent yet."""
    database = services.database
    return sum(one.count for one in queue_stats.queued(database)) + queue_stats.sending(database)


def _rate(count: int, began_s: float, began_cpu_s: float) -> Rate:
    cpu_us = (time.process_time() - began_cpu_s) / count * 1e6
    return Rate(count / (time.perf_counter() - began_s), cpu_us)
