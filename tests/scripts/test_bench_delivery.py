"""The modules behind scripts/bench delivery work; rates are not tested."""

import math
import smtplib
import time
from pathlib import Path

import pytest

from benches.delivery_alerts import measured
from benches.delivery_rates import body_sizes_bytes, deliver, encoded_mails, smtplib_loop
from benches.delivery_servers import delayed, smtp_sink, timing_sink
from benches.queued_invoices import accept_invoices
from benches.report import Unmeasured
from benches.services import NO_RELAY_PORT, temporary_services

pytestmark = pytest.mark.slow


def test_worker_delivers_queued_invoices_in_batches_and_each_alone_on_a_slow_disk() -> None:
    with timing_sink() as (_, port), temporary_services(port) as services:
        rates = [deliver(services, 60), deliver(services, 7, commit_at=1, slow_disk=True)]
        mails = encoded_mails(services, 50)
        rates.append(smtplib_loop(port, mails, 5))
        (row,) = services.database.read("SELECT COUNT(*) AS total FROM email_events WHERE type = 'sent'")
    assert row["total"] == 67
    assert len({recipient for recipient, _ in mails}) == len({content for _, content in mails}) == 50
    assert all(rate.per_second > 0 and math.isfinite(rate.cpu_us) for rate in rates)


def test_delayed_connection_delays_each_direction_and_changes_nothing() -> None:
    with timing_sink() as (sink, port), delayed(port, 30) as delayed_port:
        with smtplib.SMTP("127.0.0.1", delayed_port) as client:
            began_s = time.monotonic()
            client.sendmail("a@example.com", ["alert1@example.com"], "Subject: x\r\n\r\nText\r\n")
        assert sink.stdout is not None
        recipient, received_at_s = sink.stdout.readline().split()
    assert recipient == "alert1@example.com"
    # EHLO, MAIL, RCPT, DATA both ways, and the mail one way: a lower bound, which no load can break.
    assert float(received_at_s) - began_s >= 0.03 * 9


def test_alert_is_measured_from_its_request_to_the_sink() -> None:
    latencies = measured(300, alerts_max=2)
    assert len(latencies.ms) == 2
    assert 0 < latencies.p50_ms <= latencies.quantile(0.99)


def test_body_sizes_are_those_of_the_stored_invoices() -> None:
    with temporary_services(NO_RELAY_PORT) as services:
        uncompressed, stored = body_sizes_bytes(services, accept_invoices(services, 5, lines_count=12))
    assert 30_000 < uncompressed < 60_000
    assert stored < 1_500  # the promise about the archive


def test_smtp_sink_that_is_missing_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(Unmeasured, match="apt-get install postfix"),
        smtp_sink(Path("/no-such-sink")),
    ):
        pass
