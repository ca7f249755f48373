"""Counts over time, for charts: by ranges of an index, so that they cost what the period costs, not the whole table."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from service.models import Status
from service.store.database import Reader
from service.store.message_queries import MessageQuery, conditions_of, status_is, those_in

#: What did not reach somebody.
TROUBLE = (Status.BOUNCED, Status.COMPLAINT, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many messages were accepted from `begins_at` until `ends_at`, and how many of them came to no good end."""

    begins_at: datetime
    ends_at: datetime
    total: int
    trouble: int


class CountCache:
    """Totals of periods that are over: no message joins them any more. Thread-safe.

    Kept for some minutes, because messages leave by their retention.
    """

    KEPT_FOR = timedelta(minutes=10)
    #: A request may be accepted a little after the moment that it bears.
    SETTLED_AFTER = timedelta(minutes=2)
    _MAX_KEPT = 5_000

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._kept: OrderedDict[tuple[MessageQuery, datetime, datetime], tuple[datetime, int]] = OrderedDict()

    def find(self, query: MessageQuery, begin: datetime, end: datetime, *, now: datetime) -> int | None:
        """The remembered count of a bucket; None if there is none or it is too old."""
        with self._gate:
            at, total = self._kept.get((query, begin, end), (None, 0))
        return total if at is not None and now - self.KEPT_FOR < at <= now else None

    def keep(self, query: MessageQuery, tally: Bucket, *, now: datetime) -> None:
        """Remember the count of a bucket that no longer changes."""
        if query.status is None and tally.ends_at < now - self.SETTLED_AFTER:
            with self._gate:
                self._kept[query, tally.begins_at, tally.ends_at] = (now, tally.total)
                self._kept.move_to_end((query, tally.begins_at, tally.ends_at))
                if len(self._kept) > self._MAX_KEPT:
                    self._kept.popitem(last=False)


def between(
    reader: Reader, query: MessageQuery, edges: Sequence[datetime], *, now: datetime, memory: CountCache
) -> list[Bucket]:
    """The counts between each edge and the next; `edges` go up. Periods of the query itself are not looked at."""
    periods = list(pairwise(edges))
    known = [memory.find(query, begin, end, now=now) for begin, end in periods]
    conditions, params = conditions_of(query)
    table = those_in(query, conditions)
    parts = []
    for n, total in enumerate(known):
        within = [*conditions, f"created_at >= :edge_{n}", f"created_at < :edge_{n + 1}"]
        if total is None:
            parts.append(f"SELECT {n} AS n, 'total' AS kind, COUNT(*) AS found FROM {table} WHERE {_all(within)}")
        if query.status is None:
            for status in TROUBLE:  # one by one, so that the partial index serves
                condition = _all([*within, *status_is(status)])
                parts.append(f"SELECT {n} AS n, 'trouble' AS kind, COUNT(*) AS found FROM {table} WHERE {condition}")
    counts = {(n, "total"): total or 0 for n, total in enumerate(known)}
    params |= {f"edge_{n}": edge for n, edge in enumerate(edges)}
    for row in reader.read(" UNION ALL ".join(parts), params) if parts else []:
        counts[row["n"], row["kind"]] = counts.get((row["n"], row["kind"]), 0) + row["found"]
    all_of_them = query.status in TROUBLE
    tallies = [
        Bucket(begin, end, counts[n, "total"], counts.get((n, "total" if all_of_them else "trouble"), 0))
        for n, (begin, end) in enumerate(periods)
    ]
    for tally in tallies:
        memory.keep(query, tally, now=now)
    return tallies


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions)
