"""Counts over time, for charts: by ranges of an index, so that they cost what the period costs, not the whole table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from service.models import Status
from service.store.database import Reader
from service.store.history import MessageQuery, conditions_of, status_is

#: What did not reach somebody.
TROUBLE = (Status.BOUNCED, Status.COMPLAINT, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many messages were accepted from `begins_at` until `ends_at`, and how many of them came to no good end."""

    begins_at: datetime
    ends_at: datetime
    total: int
    trouble: int


def between(reader: Reader, query: MessageQuery, edges: Sequence[datetime]) -> list[Tally]:
    """The counts between each edge and the next; `edges` go up. Periods of the query itself are not looked at."""
    conditions, params = conditions_of(query)
    parts = []
    for n, _ in enumerate(edges[1:]):
        within = [*conditions, f"created_at >= :edge_{n}", f"created_at < :edge_{n + 1}"]
        parts.append(f"SELECT {n} AS n, 'total' AS kind, COUNT(*) AS found FROM email_messages WHERE {_all(within)}")
        if query.status is None:
            for status in TROUBLE:  # one by one, so that the partial index serves
                troubled = [*within, *status_is(status)]
                parts.append(f"SELECT {n}, 'trouble', COUNT(*) FROM email_messages WHERE {_all(troubled)}")
    params |= {f"edge_{n}": edge for n, edge in enumerate(edges)}
    counts = dict.fromkeys(((n, kind) for n in range(len(edges) - 1) for kind in ("total", "trouble")), 0)
    for row in reader.read(" UNION ALL ".join(parts), params):
        counts[row["n"], row["kind"]] += row["found"]
    all_of_them = query.status in TROUBLE
    return [
        Tally(begin, end, counts[n, "total"], counts[n, "total" if all_of_them else "trouble"])
        for n, (begin, end) in enumerate(pairwise(edges))
    ]


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions)
