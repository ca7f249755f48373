"""Statistics per template and revision over 30 days, counted in a background thread and cached.

Counting a million rows takes a second, and a page must not wait for it: it gets the last count while a thread makes the
next one. A count that took long is cached long, so that counting never takes more than a small part of a core.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from service.errors import EmailServiceError
from service.monitoring.template_refusals import TemplateRefusals
from service.store import template_stats
from service.store.database import Database
from service.store.template_stats import RevisionFigures, TemplateFigures

__all__ = ["PERIOD", "Counted", "RevisionFigures", "TemplateFigures", "TemplateStats"]

PERIOD = timedelta(days=30)
#: A count is cached for this many times the time it took.
_KEPT_TIMES = 20.0
_KEPT_LEAST_S = 0.2
#: A caller waits this long for a new count before it gets the last one.
_PATIENCE_FOR_NEWS_S = 0.03

_log = structlog.get_logger("figures")


@dataclass(frozen=True, slots=True)
class Counted:
    """The figures by template key and by revision, and when they were counted."""

    by_key: Mapping[str, TemplateFigures]
    by_revision: Mapping[str, RevisionFigures]
    at: datetime


class TemplateStats:
    """Counts on demand, in a background thread, one count at a time. Thread-safe."""

    def __init__(
        self,
        database: Database,
        refusals: TemplateRefusals,
        clock: Callable[[], datetime],
        *,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._refusals = refusals
        self._clock = clock
        self._stopwatch = stopwatch
        self._gate = threading.Lock()
        self._counting: threading.Thread | None = None
        self._counted: Counted | None = None
        self._good_until = 0.0

    def get(self, *, patience_s: float = 0.25) -> Counted | None:
        """The figures, perhaps a little old; None where the first count takes longer than `patience_s`."""
        with self._gate:
            counting = self._counting
            if counting is None and (self._counted is None or self._stopwatch() >= self._good_until):
                counting = self._counting = threading.Thread(target=self._count, name="figures", daemon=True)
                counting.start()
        if counting is not None:
            counting.join(patience_s if self._counted is None else _PATIENCE_FOR_NEWS_S)
        return self._counted

    def close(self) -> None:
        """Wait for a count under way, before the database closes."""
        counting = self._counting
        if counting is not None:
            counting.join()

    def _count(self) -> None:
        began, now = self._stopwatch(), self._clock()
        try:
            self._refusals.flush()  # this process's own are not late
            found = template_stats.since(self._database, since=now - PERIOD, now=now)
        except EmailServiceError as error:
            _log.warning("figures_not_counted", exc_info=error)
        else:
            by_key = {
                key: TemplateFigures.of(key, list(some))
                for key, some in groupby(found, key=lambda one: one.template_key)
            }
            self._counted = Counted(by_key, {one.revision: one for one in found}, now)
        took = self._stopwatch() - began
        with self._gate:
            self._good_until = self._stopwatch() + max(took * _KEPT_TIMES, _KEPT_LEAST_S)
            self._counting = None
