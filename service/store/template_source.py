"""The row of the templates' source: lease of the process that follows it, last fetch, requests to look, suspension."""

from datetime import datetime, timedelta

from service.models import Hold, ServiceProcess, SourceStatus, Suspension, Trigger
from service.store import notifications
from service.store.database import Reader, Transaction

_COLUMNS = (
    "lease_owner, lease_until, source, seen_commit, fetched_at, failed_at, failure, is_orphaned, judged, wanted_look,"
    " done_look, look_trigger, look_by, suspended_by, suspended_why, suspended_at, suspended_until"
)


def status(reader: Reader) -> SourceStatus:
    """What is known of the source."""
    rows = reader.read(f"SELECT {_COLUMNS} FROM template_source WHERE id = 1")
    if not rows:
        return SourceStatus()
    row = rows[0]
    by, why, since, until = (row.pop(f"suspended_{name}") for name in ("by", "why", "at", "until"))
    suspension = Suspension(by=by, why=why, since_at=since, until=until) if by is not None else None
    trigger = row.pop("look_trigger")
    return SourceStatus(**row, look_trigger=Trigger(trigger) if trigger else None, suspension=suspension)


def _ensure(tx: Transaction) -> None:
    """Make the row, where nothing was ever known of the source."""
    tx.execute(
        "INSERT INTO template_source (id, is_orphaned, wanted_look, done_look) VALUES (1, FALSE, 0, 0)"
        " ON CONFLICT (id) DO NOTHING"
    )


def acquire_lease(tx: Transaction, owner: str, *, now: datetime, lease_s: float) -> bool:
    """Take or renew the lease; False while another process holds it."""
    _ensure(tx)
    rows = tx.execute(
        "UPDATE template_source SET lease_owner = :owner, lease_until = :until WHERE id = 1"
        " AND (lease_owner IS NULL OR lease_owner = :owner OR lease_until < :now) RETURNING id",
        {"owner": owner, "until": now + timedelta(seconds=lease_s), "now": now},
    )
    return bool(rows)


def leave(tx: Transaction, process_id: str) -> None:
    """Forget a process that ends, and give back its lease, so that another need not wait for the end of it."""
    tx.execute(
        "UPDATE template_source SET lease_owner = NULL, lease_until = NULL WHERE id = 1 AND lease_owner = :owner",
        {"owner": process_id},
    )
    tx.execute("DELETE FROM service_processes WHERE id = :id", {"id": process_id})


def want_look(tx: Transaction, trigger: Trigger, by: str | None) -> int:
    """Ask the process that follows the source to look now; returns the number of the request."""
    _ensure(tx)
    rows = tx.execute(
        "UPDATE template_source SET wanted_look = wanted_look + 1, look_trigger = :trigger, look_by = :by WHERE id = 1"
        " RETURNING wanted_look",
        {"trigger": trigger, "by": by},
    )
    notifications.send(tx, notifications.DEPLOYMENTS)
    return int(rows[0]["wanted_look"])


def note_fetched(tx: Transaction, source: str, *, commit: str, is_orphaned: bool, now: datetime) -> None:
    """Note a fetch that worked: what the ref names now."""
    _ensure(tx)
    tx.execute(
        "UPDATE template_source SET source = :source, seen_commit = :seen_commit, fetched_at = :now, failed_at = NULL,"
        " failure = NULL, is_orphaned = :is_orphaned WHERE id = 1",
        {"source": source, "seen_commit": commit, "now": now, "is_orphaned": is_orphaned},
    )


def note_failed(tx: Transaction, source: str, failure: str, *, now: datetime) -> None:
    """Note a fetch that failed, with a sentence why."""
    _ensure(tx)
    tx.execute(
        "UPDATE template_source SET source = :source, failure = :failure, failed_at = COALESCE(failed_at, :now)"
        " WHERE id = 1",
        {"source": source, "failure": failure, "now": now},
    )


def note_judged(tx: Transaction, judged: str | None, *, look: int) -> None:
    """Note what was prepared last, and which request to look that answers."""
    _ensure(tx)
    tx.execute(
        "UPDATE template_source SET judged = :judged, done_look = :look WHERE id = 1",
        {"judged": judged, "look": look},
    )
    notifications.send(tx, notifications.DEPLOYMENTS)


def suspend(tx: Transaction, suspension: Suspension | None) -> None:
    """Let newer commits wait from now on; None: no longer."""
    _ensure(tx)
    tx.execute(
        "UPDATE template_source SET suspended_by = :by, suspended_why = :why, suspended_at = :since_at,"
        " suspended_until = :held_until WHERE id = 1",
        {
            "by": suspension.by if suspension else None,
            "why": suspension.why if suspension else None,
            "since_at": suspension.since_at if suspension else None,
            "held_until": suspension.until if suspension else None,
        },
    )
    notifications.send(tx, notifications.DEPLOYMENTS)


def holds(reader: Reader) -> list[Hold]:
    """All holds, also those whose end is past and was not seen yet."""
    rows = reader.read(
        "SELECT key, revision, held_by, why, since_at, held_until FROM template_holds ORDER BY since_at DESC, key"
    )
    return [Hold(**row) for row in rows]


def save_hold(tx: Transaction, hold: Hold) -> None:
    """Hold a revision; a hold of the same revision gets the new reason and end."""
    tx.execute(
        "INSERT INTO template_holds (key, revision, held_by, why, since_at, held_until)"
        " VALUES (:key, :revision, :held_by, :why, :since_at, :held_until) ON CONFLICT (key, revision)"
        " DO UPDATE SET held_by = excluded.held_by, why = excluded.why, held_until = excluded.held_until",
        {
            "key": hold.key,
            "revision": hold.revision,
            "held_by": hold.held_by,
            "why": hold.why,
            "since_at": hold.since_at,
            "held_until": hold.held_until,
        },
    )


def end_hold(tx: Transaction, key: str, revision: str) -> None:
    """Let a revision be served again."""
    tx.execute(
        "DELETE FROM template_holds WHERE key = :key AND revision = :revision", {"key": key, "revision": revision}
    )


def note_process(tx: Transaction, process: ServiceProcess) -> None:
    """Note that a process is alive, and what it serves; rows of processes that are gone for a day are deleted."""
    tx.execute(
        "INSERT INTO service_processes (id, role, deployment_id, seen_at) VALUES (:id, :role, :deployment_id, :seen_at)"
        " ON CONFLICT (id) DO UPDATE SET deployment_id = excluded.deployment_id, seen_at = excluded.seen_at",
        {
            "id": process.id,
            "role": process.role,
            "deployment_id": process.deployment_id,
            "seen_at": process.seen_at,
        },
    )
    tx.execute("DELETE FROM service_processes WHERE seen_at < :old_at", {"old_at": process.seen_at - timedelta(days=1)})


def processes(reader: Reader, *, since: datetime) -> list[ServiceProcess]:
    """The processes that were seen since then, by role and id."""
    rows = reader.read(
        "SELECT id, role, deployment_id, seen_at FROM service_processes WHERE seen_at >= :since ORDER BY role, id",
        {"since": since},
    )
    return [ServiceProcess(**row) for row in rows]
