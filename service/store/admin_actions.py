"""The append-only record of what admins did. Rows are added here and read; only retention deletes old ones."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog
import uuid_utils

from service.models import ActionKind, AdminAction, Caller
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row
from service.store.pages import Page, newest_first

_COLUMNS = (
    "id, created_at, kind, actor_id, actor_name, via, subject, recipient_hash, client, detail, count"  # of AdminAction
)

_log = structlog.get_logger("admin_actions")


@dataclass(frozen=True, slots=True)
class ActionQuery:
    """Filters of the list; None leaves one out."""

    kinds: Collection[ActionKind] | None = None
    actor: str | None = None
    recipient_hash: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def note(
    tx: Transaction,
    kind: ActionKind,
    caller: Caller,
    now: datetime,
    *,
    subject: str | None = None,
    recipient_hash: str | None = None,
    detail: str | None = None,
) -> None:
    """Add what a caller does, in the transaction that does it, and log it."""
    action = AdminAction(
        str(uuid_utils.uuid7()),
        now,
        kind,
        caller.via,
        actor_id=caller.id,
        actor_name=caller.name,
        subject=subject,
        recipient_hash=recipient_hash,
        detail=detail,
    )
    append(tx, action)


def append(tx: Transaction, action: AdminAction) -> None:
    """Add a row, and log it; the log has no address, no token and no pseudonym of a person."""
    tx.execute(
        f"INSERT INTO admin_actions ({_COLUMNS}) VALUES (:id, :created_at, :kind, :actor_id, :actor_name, :via,"
        " :subject, :recipient_hash, :client, :detail, :count)",
        {**asdict(action), "kind": action.kind.value},
    )
    _log.info(
        "admin_action",
        kind=action.kind.value,
        actor_id=action.actor_id,
        via=action.via,
        subject=action.subject,
        client=action.client,
        detail=action.detail,
        count=action.count,
    )


def list_page(reader: Reader, query: ActionQuery, *, limit: int, cursor: str | None = None) -> Page[AdminAction]:
    """A page of actions, newest first. Raises ValueError for a bad cursor."""
    where, params = _where(query)
    sql = f"SELECT {_COLUMNS} FROM admin_actions WHERE {where}"
    return newest_first(reader, sql, params, limit=limit, cursor=cursor, read=_action)


def _action(row: Row) -> AdminAction:
    return AdminAction(**{**row, "kind": ActionKind(row["kind"])})


def count_since(reader: Reader, kinds: Collection[ActionKind], since: datetime) -> int:
    """How many rows of these kinds were added since then."""
    names, params = listed("kind", sorted(kinds))
    found = reader.read(
        f"SELECT COUNT(*) AS n FROM admin_actions WHERE kind IN ({names}) AND created_at >= :since",
        {**params, "since": since},
    )
    return int(found[0]["n"])


def _where(query: ActionQuery) -> tuple[str, dict[str, object]]:
    conditions, params = ["1 = 1"], dict[str, object]()
    if query.kinds is not None:
        names, values = listed("kind", sorted(query.kinds))
        conditions.append(f"kind IN ({names})")
        params |= values
    if query.actor is not None:
        conditions.append("(actor_id = :actor OR actor_name = :actor)")
        params["actor"] = query.actor
    if query.recipient_hash is not None:
        conditions.append("recipient_hash = :recipient_hash")
        params["recipient_hash"] = query.recipient_hash
    if query.since is not None:
        conditions.append("created_at >= :since")
        params["since"] = query.since
    if query.until is not None:
        conditions.append("created_at < :until")
        params["until"] = query.until
    return " AND ".join(conditions), params
