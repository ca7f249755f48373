"""Delivery rates: a worker that delivers due messages, beside a bare loop of smtplib, to the same sink."""

import os
import smtplib
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlite_utils

from benches.processes import resident_bytes
from benches.queued_invoices import queue_invoices
from benches.report import Unmeasured
from benches.services import SENDER
from service.bootstrap import Services
from service.delivery.context import COMMIT_AT, WorkerContext
from service.delivery.deliverer import Deliverer
from service.delivery.throttle import Throttle
from service.store import queue_stats
from service.store.database import listed
from service.store.database.sqlite import SqliteDatabase

#: The share of a run after which memory is sampled: before it a worker's caches fill.
WARM_UP_SHARE = 0.2


@dataclass(frozen=True)
class Rate:
    """Mails a second of elapsed time, and processor time of this process for each mail."""

    per_second: float
    cpu_us: float


class SlowConnection:
    """An SQLite connection whose COMMIT takes `commit_s` longer, as on a disk with a slow fsync."""

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


class SlowDiskDatabase(SqliteDatabase):
    """SQLite on a simulated disk whose fsync takes 2 ms."""

    def _connect(self) -> sqlite_utils.Database:
        slow: Any = SlowConnection(super()._connect(), 0.002)
        connection: sqlite_utils.Database = slow
        return connection


def encoded_mails(services: Services, count: int) -> list[tuple[str, bytes]]:
    """(recipient, bytes as SMTP carries them) of up to `count` stored messages."""
    rows = services.database.read("SELECT id, recipient_email FROM email_messages LIMIT :count", {"count": count})
    return [(row["recipient_email"], services.messages.message_search.raw(row["id"])) for row in rows]


def smtplib_loop(port: int, mails: Sequence[tuple[str, bytes]], count: int) -> Rate:
    """Send `count` mails by smtplib on one connection; nothing is looked up, built or stored."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        for number in range(count):
            recipient, content = mails[number % len(mails)]
            client.sendmail(SENDER, [recipient], content, mail_options=["BODY=8BITMIME"])
        return _rate(count, began_s, began_cpu_s)


def deliver(services: Services, count: int, *, commit_at: int = COMMIT_AT, slow_disk: bool = False) -> Rate:
    """Queue `count` invoices and deliver them by one worker in this process, `commit_at` outcomes a transaction.

    Raises Unmeasured where one of them is not `sent` in the database afterwards.
    """
    queue_invoices(services, count)
    database = services.database
    if slow_disk:
        database = SlowDiskDatabase(services.settings.email_data_dir / "rgz-email.db")
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
    claimed = 0
    while claimed < count:
        claimed += deliverer.drain(threading.Event())
    rate = _rate(count, began_s, began_cpu_s)
    if database is not services.database:
        database.close()
    if unsent := _unsent(services):
        raise Unmeasured(f"{unsent} of {count} messages were not sent")
    return rate


def growth_bytes(services: Services, count: int) -> float:
    """This process's growth in memory for 100,000 mails, from delivering `count`; the first fifth warms up."""
    queue_invoices(services, count)
    ended, samples = threading.Event(), list[tuple[int, int]]()

    def sample() -> None:
        while not ended.wait(0.5):
            sent = count - _unsent(services)
            if sent > count * WARM_UP_SHARE:
                samples.append((sent, resident_bytes(os.getpid())))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    while services.delivery.deliverer.drain(threading.Event()):
        pass
    ended.set()
    sampler.join()
    return slope(samples) * 100_000


def slope(points: Sequence[tuple[int, int]]) -> float:
    """Slope of the regression line through (x, y) points: single samples of memory vary by some MiB."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    xs, ys = zip(*points, strict=True)
    return statistics.linear_regression(xs, ys).slope


def body_sizes_bytes(services: Services, ids: Sequence[str]) -> tuple[float, float]:
    """Averages over these messages: HTML and text uncompressed, and as stored."""
    names, params = listed("id", ids)
    sizes = "AVG(size_bytes) AS whole, AVG(LENGTH(content)) AS stored"
    (row,) = services.database.read(f"SELECT {sizes} FROM email_bodies WHERE message_id IN ({names})", params)
    return float(row["whole"]), float(row["stored"])


def _unsent(services: Services) -> int:
    database = services.database
    return sum(waiting.count for waiting in queue_stats.queued(database)) + queue_stats.sending(database)


def _rate(count: int, began_s: float, began_cpu_s: float) -> Rate:
    cpu_us = (time.process_time() - began_cpu_s) / count * 1e6
    return Rate(count / (time.perf_counter() - began_s), cpu_us)
