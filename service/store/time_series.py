"""Message counts per period, for charts, by ranges of an index: the cost depends on the period, not the table."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from service.models import Status
from service.store.database import Reader
from service.store.message_queries import MessageQuery, conditions_of, status_is, those_in

#: The states of messages that did not reach their recipient.
TROUBLE = (Status.BOUNCED, Status.COMPLAINT, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many messages were accepted from `begins_at` until `ends_at`, and how many of them are in TROUBLE."""

    begins_at: datetime
    ends_at: datetime
    total: int
    trouble: int


class CountCache:
    """Cached totals of past periods, to which no message is added any more. Thread-safe.

    Entries expire after some minutes, because retention deletes messages.
    """

    KEPT_FOR = timedelta(minutes=10)
    #: A request may be stored a little after its created_at.
    SETTLED_AFTER = timedelta(minutes=2)
    _MAX_KEPT = 5_000

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._kept: OrderedDict[tuple[MessageQuery, datetime, datetime], tuple[datetime, int]] = OrderedDict()

    def find(self, query: MessageQuery, begin: datetime, end: datetime, *, now: datetime) -> int | None:
        """The cached total of a period; None if there is none or it is too old."""
        with self._gate:
            at, total = self._kept.get((query, begin, end), (None, 0))
        return total if at is not None and now - self.KEPT_FOR < at <= now else None

    def keep(self, query: MessageQuery, bucket: Bucket, *, now: datetime) -> None:
        """Cache the total of a bucket that no longer changes."""
        if query.status is None and bucket.ends_at < now - self.SETTLED_AFTER:
            with self._gate:
                self._kept[query, bucket.begins_at, bucket.ends_at] = (now, bucket.total)
                self._kept.move_to_end((query, bucket.begins_at, bucket.ends_at))
                if len(self._kept) > self._MAX_KEPT:
                    self._kept.popitem(last=False)


def between(
    reader: Reader, query: MessageQuery, edges: Sequence[datetime], *, now: datetime, cache: CountCache
) -> list[Bucket]:
    """Counts between each edge and the next; `edges` ascend. The query's own `since` and `until` are ignored."""
    periods = list(pairwise(edges))
    known = [cache.find(query, begin, end, now=now) for begin, end in periods]
    conditions, params = conditions_of(query)
    table = those_in(query, conditions)
    parts = []
    for n, total in enumerate(known):
        within = [*conditions, f"created_at >= :edge_{n}", f"created_at < :edge_{n + 1}"]
        if total is None:
            parts.append(f"SELECT {n} AS n, 'total' AS kind, COUNT(*) AS found FROM {table} WHERE {_all(within)}")
        if query.status is None:
            for status in TROUBLE:  # one by one, so that the partial index is used
                condition = _all([*within, *status_is(status)])
                parts.append(f"SELECT {n} AS n, 'trouble' AS kind, COUNT(*) AS found FROM {table} WHERE {condition}")
    counts = {(n, "total"): total or 0 for n, total in enumerate(known)}
    params |= {f"edge_{n}": edge for n, edge in enumerate(edges)}
    for row in reader.read(" UNION ALL ".join(parts), params) if parts else []:
        counts[row["n"], row["kind"]] = counts.get((row["n"], row["kind"]), 0) + row["found"]
    all_of_them = query.status in TROUBLE
    buckets = [
        Bucket(begin, end, counts[n, "total"], counts.get((n, "total" if all_of_them else "trouble"), 0))
        for n, (begin, end) in enumerate(periods)
    ]
    for bucket in buckets:
        cache.keep(query, bucket, now=now)
    return buckets


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions)
