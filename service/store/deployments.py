"""Deployments of templates: rows, files, activation, and what is served now. Exactly one deployment is live."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from service.errors import Finding
from service.models import Change, Commit, DeployedSnapshots, Deployment, DeploymentItem, DeploymentState, Trigger
from service.store import notifications
from service.store.database import Reader, Transaction
from service.store.database.contract import Row
from service.store.pages import Page, newest_first

_COLUMNS = (
    "id, source, ref, path, git_commit, parent_commit, author, committed_at, first_line, trigger, requested_by, why,"
    " state, reason, templates_count, changed_count, broken_count, compiler, site_values, tree, created_at,"
    " live_at, ended_at, snapshots"
)


@dataclass(frozen=True, slots=True)
class DeploymentQuery:
    """Filters of the list; None leaves one out. `key`: only deployments that changed this template."""

    key: str | None = None
    since: datetime | None = None
    state: DeploymentState | None = None
    commit: str | None = None


def add(tx: Transaction, deployment: Deployment, items: Sequence[DeploymentItem]) -> None:
    """Store a deployment that is not live yet; its tree and files were stored by `save_tree`."""
    commit = deployment.commit
    tx.execute(
        f"INSERT INTO deployments ({_COLUMNS}) VALUES (:id, :source, :ref, :path, :git_commit, :parent_commit,"
        " :author, :committed_at, :first_line, :trigger, :requested_by, :why, :state, :reason, :templates_count,"
        " :changed_count, :broken_count, :compiler, :site_values, :tree, :created_at, :live_at, :ended_at, :snapshots)",
        {
            "id": deployment.id,
            "source": deployment.source,
            "ref": deployment.ref,
            "path": deployment.path,
            "git_commit": commit.id if commit else None,
            "parent_commit": commit.parent if commit else None,
            "author": commit.author if commit else None,
            "committed_at": commit.committed_at if commit else None,
            "first_line": commit.first_line if commit else None,
            "trigger": deployment.trigger,
            "requested_by": deployment.requested_by,
            "why": deployment.why,
            "state": deployment.state,
            "reason": deployment.reason,
            "templates_count": deployment.templates_count,
            "changed_count": deployment.changed_count,
            "broken_count": deployment.broken_count,
            "compiler": deployment.compiler,
            "site_values": json.dumps(dict(deployment.site_values), ensure_ascii=False),
            "created_at": deployment.created_at,
            "live_at": None,
            "ended_at": None,
            "tree": deployment.tree,
            "snapshots": json.dumps(asdict(deployment.snapshots)) if deployment.snapshots else None,
        },
    )
    tx.insert(
        "deployment_items",
        ("deployment_id", "key", "revision", "wanted_revision", "change", "findings"),
        [
            (deployment.id, item.key, item.revision, item.wanted_revision, item.change.value, _written(item.findings))
            for item in items
        ],
    )


def activate(
    tx: Transaction, deployment_id: str, *, in_place_of: str | None, now: datetime, requested_by: str | None = None,
    why: str | None = None,
) -> bool:  # fmt: skip
    """Make a stored deployment the live one; False, and nothing changed, if another than `in_place_of` is live by now.

    Older ones that waited are over. `requested_by` and `why` are kept where somebody activates what was held or
    waiting.
    """
    if live_id(tx) != in_place_of:
        return False
    ended = tx.execute(
        "UPDATE deployments SET state = 'ended', ended_at = :now WHERE state = 'live' RETURNING id", {"now": now}
    )
    if in_place_of is not None and not ended:
        return False  # PostgreSQL: another transaction was quicker by a moment
    tx.execute(
        "UPDATE deployments SET state = 'live', live_at = COALESCE(live_at, :now), ended_at = NULL,"
        " requested_by = COALESCE(:by, requested_by), why = COALESCE(:why, why) WHERE id = :id",
        {"now": now, "id": deployment_id, "by": requested_by, "why": why},
    )
    tx.execute(
        "UPDATE deployments SET state = 'ended', ended_at = :now WHERE state = 'waiting' AND created_at <="
        " (SELECT created_at FROM deployments WHERE id = :id)",
        {"now": now, "id": deployment_id},
    )
    notifications.send(tx, notifications.DEPLOYMENTS)
    return True


def live_id(reader: Reader) -> str | None:
    """The id of the live deployment; None before the first."""
    rows = reader.read("SELECT id FROM deployments WHERE state = 'live'")
    return rows[0]["id"] if rows else None


def live(reader: Reader) -> Deployment | None:
    """The live deployment; None before the first."""
    rows = reader.read(f"SELECT {_COLUMNS} FROM deployments WHERE state = 'live'")
    return _deployment(rows[0]) if rows else None


def get(reader: Reader, deployment_id: str) -> Deployment | None:
    """A deployment by its id; None for an unknown one."""
    rows = reader.read(f"SELECT {_COLUMNS} FROM deployments WHERE id = :id", {"id": deployment_id})
    return _deployment(rows[0]) if rows else None


def newest_of(reader: Reader, commit: str) -> Deployment | None:
    """The newest deployment of a commit (full name or its beginning) that was prepared; None if none was."""
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM deployments WHERE git_commit >= :low AND git_commit < :high"
        " ORDER BY created_at DESC, id DESC LIMIT 1",
        {"low": commit, "high": commit + "g"},
    )
    return _deployment(rows[0]) if rows else None


def items(reader: Reader, deployment_id: str) -> list[DeploymentItem]:
    """The templates of a deployment, by key."""
    rows = reader.read(
        "SELECT key, revision, wanted_revision, change, findings FROM deployment_items WHERE deployment_id = :id"
        " ORDER BY key",
        {"id": deployment_id},
    )
    return [
        DeploymentItem(
            key=row["key"],
            revision=row["revision"],
            change=Change(row["change"]),
            wanted_revision=row["wanted_revision"],
            findings=[Finding(**one) for one in json.loads(row["findings"])],
        )
        for row in rows
    ]


def served_revisions(reader: Reader, key: str, *, limit: int = 100) -> list[tuple[str, str]]:
    """Revisions of a key that were served, newest first, as (revision, deployment id); one may come several times."""
    rows = reader.read(
        "SELECT item.revision, item.deployment_id FROM deployment_items AS item"
        " JOIN deployments AS deployment ON deployment.id = item.deployment_id"
        " WHERE item.key = :key AND item.revision IS NOT NULL AND deployment.live_at IS NOT NULL"
        " ORDER BY deployment.live_at DESC, deployment.id DESC LIMIT :limit",
        {"key": key, "limit": limit},
    )
    return [(row["revision"], row["deployment_id"]) for row in rows]


def served(reader: Reader, *, limit: int) -> list[Deployment]:
    """The deployments that are or were live, the last one first."""
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM deployments WHERE live_at IS NOT NULL ORDER BY live_at DESC, id DESC LIMIT :limit",
        {"limit": limit},
    )
    return [_deployment(row) for row in rows]


def served_before(reader: Reader, deployment: Deployment) -> Deployment | None:
    """The deployment that was live before this one; None if this was the first, or was never live."""
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM deployments WHERE live_at < :live_at ORDER BY live_at DESC, id DESC LIMIT 1",
        {"live_at": deployment.live_at},
    )
    return _deployment(rows[0]) if rows else None


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """A change of a template that was served: the commit that brought it, and the revision."""

    commit: Commit
    live_at: datetime
    revision: str


def changes_of(reader: Reader, key: str, *, limit: int) -> list[TemplateChange]:
    """The latest served changes of a template that came with a commit, newest first."""
    rows = reader.read(
        "SELECT item.revision, deployment.git_commit, deployment.parent_commit, deployment.author,"
        " deployment.committed_at, deployment.first_line, deployment.live_at FROM deployment_items AS item"
        " JOIN deployments AS deployment ON deployment.id = item.deployment_id"
        " WHERE item.key = :key AND item.change IN ('new', 'changed', 'by_shared_part') AND item.revision IS NOT NULL"
        " AND deployment.git_commit IS NOT NULL AND deployment.live_at IS NOT NULL"
        " ORDER BY deployment.live_at DESC, deployment.id DESC LIMIT :limit",
        {"key": key, "limit": limit},
    )
    return [TemplateChange(_commit(row), row["live_at"], row["revision"]) for row in rows]


def waiting(reader: Reader, *, since: datetime | None) -> Deployment | None:
    """The newest deployment that is held or waits and was prepared after `since` (None: ever)."""
    condition, params = ("", {}) if since is None else (" AND created_at > :since", {"since": since})
    rows = reader.read(
        f"SELECT {_COLUMNS} FROM deployments WHERE state IN ('held', 'waiting'){condition}"
        " ORDER BY created_at DESC, id DESC LIMIT 1",
        params,
    )
    return _deployment(rows[0]) if rows else None


def list_page(reader: Reader, query: DeploymentQuery, *, limit: int, cursor: str | None = None) -> Page[Deployment]:
    """A page of deployments, newest first. Raises ValueError for a bad cursor."""
    where, params = _where(query)
    sql = f"SELECT {_COLUMNS} FROM deployments WHERE {where}"
    return newest_first(reader, sql, params, limit=limit, cursor=cursor, read=_deployment)


def _where(query: DeploymentQuery) -> tuple[str, dict[str, object]]:
    conditions, params = ["1 = 1"], dict[str, object]()
    if query.key is not None:
        conditions.append(
            "EXISTS (SELECT 1 FROM deployment_items WHERE deployment_id = deployments.id AND key = :key"
            " AND change <> 'same')"
        )
        params["key"] = query.key
    if query.since is not None:
        conditions.append("created_at >= :since")
        params["since"] = query.since
    if query.state is not None:
        conditions.append("state = :state")
        params["state"] = query.state.value
    if query.commit is not None:
        conditions.append("git_commit >= :low AND git_commit < :high")
        params |= {"low": query.commit, "high": query.commit + "g"}
    return " AND ".join(conditions), params


def _commit(row: Row) -> Commit:
    return Commit(
        id=row["git_commit"],
        parent=row["parent_commit"],
        author=row["author"],
        committed_at=row["committed_at"],
        first_line=row["first_line"],
    )


def _deployment(row: Row) -> Deployment:
    return Deployment(
        id=row["id"],
        source=row["source"],
        ref=row["ref"],
        path=row["path"],
        commit=_commit(row) if row["git_commit"] is not None else None,
        trigger=Trigger(row["trigger"]),
        requested_by=row["requested_by"],
        why=row["why"],
        state=DeploymentState(row["state"]),
        reason=row["reason"],
        templates_count=row["templates_count"],
        changed_count=row["changed_count"],
        broken_count=row["broken_count"],
        compiler=row["compiler"],
        site_values=json.loads(row["site_values"]),
        tree=row["tree"],
        created_at=row["created_at"],
        live_at=row["live_at"],
        ended_at=row["ended_at"],
        snapshots=DeployedSnapshots(**json.loads(row["snapshots"])) if row["snapshots"] else None,
    )


def _written(findings: Sequence[Finding]) -> str:
    fields = ("file", "line", "column", "severity", "code", "message", "hint")
    return json.dumps([{name: getattr(one, name) for name in fields} for one in findings], ensure_ascii=False)
