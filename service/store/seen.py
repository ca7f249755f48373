"""Notifications that were taken in, so that each has its effect once."""

from collections.abc import Sequence
from datetime import datetime

from service.store.database import Reader, Transaction
from service.store.database.contract import statement_size

#: In one statement; each has three parameters.
_MAX_AT_ONCE = 64


def mark_seen(tx: Transaction, names: Sequence[tuple[str, str]], *, now: datetime) -> list[int]:
    """Notes notifications, (id, source) each, in the same transaction as their effects.

    Returns the places in `names` of those that were never noted before; of equal ones the first place.
    """
    places: dict[str, int] = {}
    for n, (notification_id, source) in enumerate(names):
        places.setdefault(_name(notification_id, source), n)
    fresh: list[int] = []
    # In order, so that two transactions never wait for each other.
    in_order = sorted(places)
    for begin in range(0, len(in_order), _MAX_AT_ONCE):
        some = in_order[begin : begin + _MAX_AT_ONCE]
        some += some[-1:] * (statement_size(len(some)) - len(some))  # few statements are ever seen
        params: dict[str, object] = {"now": now}
        for n, name in enumerate(some):
            params |= {f"id_{n}": name, f"source_{n}": names[places[name]][1]}
        rows = tx.execute(
            "INSERT INTO feedback_seen (id, source, seen_at) VALUES "
            + ", ".join(f"(:id_{n}, :source_{n}, :now)" for n in range(len(some)))
            + " ON CONFLICT (id) DO NOTHING RETURNING id",
            params,
        )
        fresh += [places[row["id"]] for row in rows]
    return sorted(fresh)


def is_seen(reader: Reader, notification_id: str, source: str) -> bool:
    """Whether a notification was noted."""
    return bool(reader.read("SELECT id FROM feedback_seen WHERE id = :id", {"id": _name(notification_id, source)}))


def _name(notification_id: str, source: str) -> str:
    return f"{source}:{notification_id}"
