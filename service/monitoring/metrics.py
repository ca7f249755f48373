"""Prometheus counters of this process. What the database knows, such as the queue's length, is in `prometheus`.

No label holds an address, a subject or anything else from a request.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

#: An SMTP transaction on an open connection takes a millisecond in a data centre, seconds with a slow server.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters of one process, in a registry of their own. Thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._accepted = self._counter("accepted", "Accepted messages, by their first status.", "status")
        self._refused = self._counter("refused", "Requests answered with 503, by reason.", "reason")
        self._attempts = self._counter("attempts", "Delivery attempts, by outcome.", "outcome")
        self._retries = self._counter("retries", "Delivery attempts that were not a message's first.")
        self._reported = self._counter(
            "reported",
            "Feedback events, by kind and by effect on the message.",
            "kind",
            "effect",
        )
        self._inbox_mails = self._counter("inbox_mails", "Mails read from the bounce mailbox, by outcome.", "outcome")
        self._inbox_looks = self._counter(
            "inbox_looks", "Polls of the bounce mailbox, by result: read or failed.", "result"
        )
        self._swept = self._counter("leases_swept", "Lapsed leases of dead workers, taken back.")
        self._expired = self._counter("expired", "Messages that expired before they were sent.")
        self._paused = Gauge(
            "rgz_email_server_paused_seconds",
            "Seconds until the relay is tried again; 0 when it is not paused.",
            registry=self._registry,
        )
        self._seconds = Histogram(
            "rgz_email_send_seconds",
            "Duration of one SMTP transaction, seconds.",
            registry=self._registry,
            buckets=_SECONDS,
        )

    def accepted(self, statuses: Mapping[str, int]) -> None:
        """Count accepted messages, by their first status."""
        for status, count in statuses.items():
            self._accepted.labels(status).inc(count)

    def refused(self, reason: str) -> None:
        """Count a response 503; `reason` is its code."""
        self._refused.labels(reason).inc()

    def tried(self, outcomes: Mapping[str, int], *, retries: int) -> None:
        """Count delivery attempts, by outcome; `retries` of them were not their message's first."""
        for outcome, count in outcomes.items():
            self._attempts.labels(outcome).inc(count)
        self._retries.inc(retries)

    def observe_send(self, seconds: float) -> None:
        """Observe the duration of one SMTP transaction."""
        self._seconds.observe(seconds)

    def reported(self, effects: Mapping[tuple[str, str], int]) -> None:
        """Count feedback events, by kind and effect."""
        for (kind, effect), count in effects.items():
            self._reported.labels(kind, effect).inc(count)

    def inbox_mail(self, outcome: str) -> None:
        """Count a mail of the bounce mailbox, by outcome."""
        self._inbox_mails.labels(outcome).inc()

    def inbox_read(self) -> None:
        """Count a successful poll of the bounce mailbox."""
        self._inbox_looks.labels("read").inc()

    def inbox_failed(self) -> None:
        """Count a failed poll of the bounce mailbox."""
        self._inbox_looks.labels("failed").inc()

    def rescued(self, *, swept: int, expired: int) -> None:
        """Count lapsed leases taken back, and expired messages."""
        self._swept.inc(swept)
        self._expired.inc(expired)

    def paused(self, seconds: float) -> None:
        """Set for how long the relay is still paused; 0: it is not."""
        self._paused.set(max(seconds, 0.0))

    def families(self) -> list[Metric]:
        """All metrics with their present values."""
        return list(self._registry.collect())

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"rgz_email_{name}", help_text, labels, registry=self._registry)
