"""Counting of send requests that a template refused (422), by revision.

Refusals are added up in memory and stored some seconds later, so that a caller who repeats a wrong request does not
write a row each time. A process that dies loses the last seconds' counts.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from service.errors import StoreError
from service.store import template_stats
from service.store.database import Database
from service.store.template_stats import Refusal

#: How long counts stay in memory, seconds.
FLUSH_AFTER_S = 5.0

_log = structlog.get_logger("figures")


class TemplateRefusals:
    """Counts the refusals of this process, and stores them. Thread-safe."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], *, flush_after_s: float = FLUSH_AFTER_S
    ) -> None:
        self._database = database
        self._clock = clock
        self._flush_after_s = flush_after_s
        self._gate = threading.Lock()
        self._flushing = threading.Lock()
        self._counts: Counter[Refusal] = Counter()
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def add(self, key: str, revision: str, deployment_id: str | None) -> None:
        """Count a request that this revision refused, as it was served by this deployment."""
        day_at = self._clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        with self._gate:
            self._counts[Refusal(deployment_id or "", key, revision, day_at)] += 1
            self._start_timer()

    def flush(self) -> None:
        """Store what was counted; where the database can't take it now, it stays for the next time."""
        with self._flushing:
            with self._gate:
                counted, self._counts = self._counts, Counter()
                self._timer = None
            if not counted:
                return
            try:
                self._database.write(lambda tx: template_stats.add_refusals(tx, counted))
            except StoreError as error:
                _log.warning("refusals_not_stored", exc_info=error)
                with self._gate:
                    self._counts.update(counted)
                    self._start_timer()

    def close(self) -> None:
        """Store the rest, before the database closes."""
        with self._gate:
            self._is_closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.flush()

    def _start_timer(self) -> None:
        if self._timer is None and not self._is_closed:
            self._timer = threading.Timer(self._flush_after_s, self.flush)
            self._timer.daemon = True
            self._timer.start()
