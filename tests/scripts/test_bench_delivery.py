"""The parts of the bench of delivery work; no test measures time."""

import math
import smtplib
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.paths import SCRIPTS

pytestmark = pytest.mark.slow


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import benches.delivery
    import benches.delivery_alerts
    import benches.delivery_rates
    import benches.delivery_servers
    import benches.queued_invoices
    import benches.report

    return benches


def test_invoices_leave_in_batches_and_one_by_one_on_a_slow_disk_too(benches: Any) -> None:
    drains, servers = benches.delivery_rates, benches.delivery_servers
    with servers.telling_sink() as (_, port), drains.service(port) as services:
        rates = [drains.drain(services, 60), drains.drain(services, 7, commit_at=1, slow_disk=True)]
        mails = drains.wires(services, 50)
        rates.append(drains.bare(port, mails, 5))
        (row,) = services.database.read("SELECT COUNT(*) AS total FROM email_events WHERE type = 'sent'")
    assert row["total"] == 67
    assert len({recipient for recipient, _ in mails}) == len({wire for _, wire in mails}) == 50
    assert all(rate.per_second > 0 and math.isfinite(rate.cpu_us) for rate in rates)


def test_slow_line_delays_each_direction_and_changes_nothing(benches: Any) -> None:
    servers = benches.delivery_servers
    with servers.telling_sink() as (sink, port), servers.line(port, 30) as far:
        with smtplib.SMTP("127.0.0.1", far) as client:
            began_s = time.monotonic()
            client.sendmail("a@example.com", ["alert1@example.com"], "Subject: x\r\n\r\nText\r\n")
        recipient, taken_at = sink.stdout.readline().split()
    assert recipient == "alert1@example.com"
    # EHLO, MAIL, RCPT, DATA both ways, and the mail one way: a lower bound, which no load can break.
    assert float(taken_at) - began_s >= 0.03 * 9


def test_alert_is_followed_from_its_request_to_the_sink(benches: Any) -> None:
    found = benches.delivery_alerts.measured(300, alerts_max=2)
    assert len(found.ms) == 2
    assert 0 < found.p50_ms <= found.quantile(0.99)


def test_sizes_of_an_archived_invoice_are_each_told(benches: Any) -> None:
    drains, rows = benches.delivery_rates, benches.queued_invoices
    with drains.service(1) as services:
        whole, kept = drains.archived(services, rows.accept_invoices(services, 5, lines_count=12))
    assert 30_000 < whole < 60_000
    assert kept < 1_500  # bytes, not time: what is promised of the archive


def test_sink_that_is_missing_is_told_with_where_it_comes_from(benches: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(benches.report.Unmeasured, match="apt-get install postfix"),
        benches.delivery_servers.smtp_sink(Path("/no-such-sink")),
    ):
        pass
