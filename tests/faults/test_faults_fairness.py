"""Fairness of claims: new mail before retries, retries beside new mail, bulk beside urgent mail."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service.bootstrap import Services, build
from service.delivery.deliverer import Deliverer
from service.delivery.outcome import OutcomeKind, Phase
from service.delivery.throttle import Throttle
from service.models import Priority
from service.store.database import Transaction
from tests.support.faults.rows import NOW, add_messages
from tests.support.running import settings_for
from tests.support.scripted import Clock, ScriptedTransport, outcome


class CountingTransport(ScriptedTransport):
    """Greylists everybody for ever; stops the drain after so many conversations."""

    stop: threading.Event
    conversations: int

    def paused_for_s(self) -> float:
        if len(self.sent) >= self.conversations:
            self.stop.set()
        return super().paused_for_s()


@pytest.fixture
def transport() -> CountingTransport:
    grey = outcome(
        OutcomeKind.DEFERRED, phase=Phase.RCPT, code=451, reply="4.7.1 greylisted", greylisted=True, retry_after_s=300.0
    )
    transport = CountingTransport([grey])
    transport.stop = threading.Event()
    return transport


@pytest.fixture(params=[None, "postgresql_url"], ids=["sqlite", "postgresql"])
def services(request: pytest.FixtureRequest, tmp_path: Path, transport: CountingTransport) -> Iterator[Services]:
    clock = Clock()
    url = request.getfixturevalue(request.param) if request.param else None
    built = build(settings_for(tmp_path, database_url=url), transport=transport, clock=clock, boottime=clock.boottime)
    yield built
    built.close()


def tried(services: Services, count: int) -> None:
    """So many that were greylisted once, and are due again for a while: copies of one, which the database makes."""
    add_messages(services.database, 1, attempts_max=100, next_attempt_at=NOW - timedelta(seconds=60))

    def multiply(tx: Transaction, table: str, key: str) -> None:
        columns = list(tx.read(f"SELECT * FROM {table} LIMIT 1")[0])
        copied = [f"{key} || '-' || n" if column == key else column for column in columns]
        tx.execute(
            f"WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {count - 1})"
            f" INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(copied)} FROM {table}, counted"
        )

    def work(tx: Transaction) -> None:
        tx.execute("UPDATE email_messages SET attempts = 1")
        multiply(tx, "email_messages", "id")
        multiply(tx, "email_bodies", "message_id")

    services.database.write(work)


def drained(services: Services, transport: CountingTransport, conversations: int) -> list[str]:
    transport.conversations = conversations
    services.delivery.deliverer.drain(transport.stop)
    return [recipient for _, recipient, _ in transport.sent]


def test_new_mail_leaves_in_the_first_claims_before_twenty_thousand_retries(
    services: Services, transport: CountingTransport
) -> None:
    tried(services, 20_000)
    add_messages(services.database, 1, recipient="new@example.com")
    order = drained(services, transport, 300)
    assert "new@example.com" in order[:30]
    assert len(order) >= 300  # and the retries move


def test_retries_move_while_new_mail_keeps_coming(services: Services, transport: CountingTransport) -> None:
    tried(services, 500)
    new = {f"new{n}@example.com" for n in range(8)}
    for recipient in sorted(new):
        add_messages(services.database, 100, recipient=recipient)
    order = drained(services, transport, 400)
    retried = [recipient for recipient in order if recipient not in new]
    assert len(order) / 20 <= len(retried) <= len(order) / 2


def test_worker_leases_no_more_than_it_can_commit(services: Services, transport: CountingTransport) -> None:
    """Where few outcomes share a commit, sending is faster than writing: claims wait for what was sent."""
    add_messages(services.database, 600, attempts_max=100)
    held: list[int] = []

    def look() -> None:
        if len(transport.sent) % 50 == 0:
            counted = "SELECT COUNT(*) AS n FROM email_messages WHERE status = 'sending'"
            held.append(services.database.read(counted)[0]["n"])

    transport.before_answer = look
    transport.conversations = 10_000
    throttle = Throttle(connections_max=20, per_second_max=None)
    slow = Deliverer(
        replace(services.delivery.deliverer.context, transport=transport, owner="slow", throttle=throttle, commit_at=2)
    )
    assert slow.drain(transport.stop) == 600
    assert max(held) < 100


def test_bulk_mail_moves_while_urgent_mail_keeps_coming(services: Services, transport: CountingTransport) -> None:
    add_messages(services.database, 600, priority=Priority.CRITICAL)
    add_messages(services.database, 600, priority=Priority.BULK, recipient="bulk@example.com")
    order = drained(services, transport, 500)
    assert len(order) / 50 <= order.count("bulk@example.com") <= len(order) / 3
