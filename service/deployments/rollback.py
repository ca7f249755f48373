"""The way back: which earlier revisions are to be served, and the deployment that serves them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import uuid_utils

from service.deployments.prepare import REMOVAL, counts_of
from service.errors import Conflict, NotFound
from service.models import Change, Deployment, DeploymentItem, DeploymentState, Hold, Trigger
from service.store import deployments, revisions, template_source
from service.store.database import Database

#: Served deployments that are looked through for the one to go back to.
_LOOKED_THROUGH = 200
_VERSION = re.compile(r"[0-9]{1,6}")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants it, why, since when, and until when the holds last (None: for good)."""

    by: str
    why: str
    now: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """A deployment that is ready to be stored, its templates, and the holds that come with it."""

    deployment: Deployment
    items: Sequence[DeploymentItem]
    holds: Sequence[Hold]


def held_revisions(database: Database) -> set[tuple[str, str]]:
    """Key and revision of each hold."""
    return {(hold.key, hold.revision) for hold in template_source.holds(database)}


def target_of(
    database: Database,
    live: Deployment,
    now_items: Mapping[str, DeploymentItem],
    keys: Sequence[str],
    to: str | None,
) -> tuple[Deployment | None, dict[str, str | None]]:
    """The deployment to go back to as a whole, or None, and the revision to serve of each key; None: none of it.

    `to` is a deployment, a commit, or with `keys` a version; None: what was served before. Raises NotFound, Conflict.
    """
    if to is not None and keys and _VERSION.fullmatch(to):
        return None, {key: _revision_of_version(database, key, int(to)) for key in keys}
    if to is None and keys:
        return None, {key: earlier_revision(database, key, now_items[key].revision or "") for key in keys}
    target = _deployment(database, to) if to is not None else _before(database, live, now_items)
    there = _served(deployments.items(database, target.id))
    considered = keys or sorted(there.keys() | now_items.keys())
    return (None if keys else target), {key: there.get(key) for key in considered}


def earlier_revision(database: Database, key: str, revision: str) -> str:
    """The last other revision of a key that was served and is not held. Raises Conflict if there is none."""
    held = held_revisions(database)
    for one, _ in deployments.served_revisions(database, key):
        if one != revision and (key, one) not in held:
            return one
    raise Conflict(f"No earlier revision of {key!r} was served.")


def replacement(
    base: Deployment,
    now_items: Mapping[str, DeploymentItem],
    wanted: Mapping[str, str | None],
    order: Order,
    *,
    is_back: bool,
) -> Replacement:
    """A deployment like `base` that serves `wanted`, and what is served now of all other keys.

    With `is_back` the revisions that it replaces are held; otherwise they were, and are served again. Raises Conflict
    where nothing would change, or nothing would be left.
    """
    changed = {
        key: revision
        for key, revision in wanted.items()
        if revision != (now_items[key].revision if key in now_items else None)
    }
    if not changed:
        raise Conflict("That is what is served already.")
    others = [
        replace(item, change=Change.SAME if item.wanted_revision is None else Change.KEPT)
        for key, item in now_items.items()
        if key not in changed and (item.revision is not None or item.findings)
    ]
    items = [*others, *(_changed(now_items.get(key), key, to, is_back=is_back) for key, to in changed.items())]
    count = counts_of(items)
    if not count.templates:
        raise Conflict("No template would be left; no mail could be sent.")
    deployment = replace(
        base,
        id=str(uuid_utils.uuid7()),
        trigger=Trigger.ROLLBACK if is_back else Trigger.COMMAND,
        requested_by=order.by,
        why=order.why,
        state=DeploymentState.WAITING,
        reason=None,
        templates_count=count.templates,
        changed_count=len(changed),
        broken_count=count.broken,
        created_at=order.now,
        live_at=None,
        ended_at=None,
    )
    holds = [
        Hold(
            key=key,
            revision=(now_items[key].revision if key in now_items else None) or REMOVAL,
            held_by=order.by,
            why=order.why,
            since_at=order.now,
            held_until=order.until,
        )
        for key in changed
    ]
    return Replacement(deployment, sorted(items, key=lambda item: item.key), holds if is_back else [])


def _changed(before: DeploymentItem | None, key: str, revision: str | None, *, is_back: bool) -> DeploymentItem:
    """The item of a template that goes back, or is let in again; what a hold keeps out from now on is `wanted`."""
    was = before.revision if before else None
    change = Change.NEW if was is None else Change.GONE if revision is None else Change.CHANGED
    kept_out = ((before.wanted_revision if before else None) or was or REMOVAL) if is_back else None
    return DeploymentItem(
        key=key, revision=revision, change=change, wanted_revision=kept_out if kept_out != revision else None
    )


def _deployment(database: Database, to: str) -> Deployment:
    found = deployments.get(database, to)
    if found is None and _COMMIT.fullmatch(to):
        found = deployments.newest_of(database, to.lower())
    if found is None:
        raise NotFound(f"{to!r} is no deployment and no commit that was deployed.")
    return found


def _before(database: Database, live: Deployment, now_items: Mapping[str, DeploymentItem]) -> Deployment:
    """The last deployment that served something else, and nothing of it that a hold keeps out by now."""
    served, held = _served(now_items.values()), held_revisions(database)
    for other in deployments.served(database, limit=_LOOKED_THROUGH):
        there = served if other.id == live.id else _served(deployments.items(database, other.id))
        differs = {key: there.get(key) for key in there.keys() | served.keys() if there.get(key) != served.get(key)}
        if differs and not any((key, revision) in held for key, revision in differs.items()):
            return other
    raise Conflict("No earlier deployment served something else.")


def _revision_of_version(database: Database, key: str, version: int) -> str:
    stored = revisions.latest_revision_of(database, key, version)
    if stored is None:
        raise NotFound(f"No revision of {key!r} with the version {version} was deployed.")
    return stored.revision


def _served(items: Iterable[DeploymentItem]) -> dict[str, str]:
    return {item.key: item.revision for item in items if item.revision is not None}
