"""Lists in pages, newest first: cursors, capped totals, and the query that all plain lists share."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from service.store.database import Reader
from service.store.database.contract import Row

T = TypeVar("T")

#: Totals stop here, except for one recipient's messages.
MAX_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first. `next` is the cursor of the following page, None on the last."""

    items: Sequence[T]
    total: int
    total_capped: bool
    next: str | None


def newest_first(
    reader: Reader,
    sql: str,
    params: Mapping[str, Any],
    *,
    limit: int,
    cursor: str | None,
    read: Callable[[Row], T],
) -> Page[T]:
    """A page of the rows of `sql`, which ends in a condition and has the columns `created_at` and `id`.

    Raises ValueError for a bad cursor.
    """
    counted = f"SELECT COUNT(*) AS n FROM ({sql} LIMIT :most) AS found"
    total = int(reader.read(counted, {**params, "most": MAX_COUNTED + 1})[0]["n"])
    values = {**params, "limit": limit + 1}
    if cursor is not None:
        sql += " AND (created_at, id) < (:cursor_at, :cursor_id)"
        values["cursor_at"], values["cursor_id"] = parse_cursor(cursor)
    rows = reader.read(f"{sql} ORDER BY created_at DESC, id DESC LIMIT :limit", values)
    shown = rows[:limit]
    cut = make_cursor(shown[-1]["created_at"], shown[-1]["id"]) if len(rows) > limit and shown else None
    return Page([read(row) for row in shown], min(total, MAX_COUNTED), total > MAX_COUNTED, cut)


def make_cursor(created_at: datetime, row_id: str) -> str:
    """An opaque cursor in a list that is ordered by (created_at, id)."""
    return base64.urlsafe_b64encode(json.dumps([created_at.isoformat(), row_id]).encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> tuple[datetime, str]:
    """Parse a cursor of `make_cursor`. Raises ValueError for any other text."""
    try:
        at, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        created_at = datetime.fromisoformat(at)
        is_ours = created_at.tzinfo is not None and isinstance(row_id, str)
        created_at = created_at.astimezone(UTC)
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError):
        raise ValueError("this cursor does not come from an earlier page") from None
    if not is_ours:
        raise ValueError("this cursor does not come from an earlier page")
    return created_at, row_id
