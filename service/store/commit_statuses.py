"""Which states of deployments the forge was told, as statuses of their commits."""

from datetime import datetime

from service.store.database import Reader, Transaction


def untold(reader: Reader, source: str, *, since: datetime, limit: int) -> list[str]:
    """The deployments of a source whose state the forge was not told, newest first.

    Only what was prepared or went live since then; of the deployments of one commit only the live or the newest one.
    """
    rows = reader.read(
        "SELECT id FROM deployments AS one WHERE state <> 'ended' AND source = :source AND git_commit IS NOT NULL"
        " AND (status_posted IS NULL OR status_posted <> state) AND (created_at >= :since OR live_at >= :since)"
        " AND (state = 'live' OR NOT EXISTS (SELECT 1 FROM deployments AS other WHERE other.git_commit = one.git_commit"
        " AND other.source = one.source AND (other.state = 'live'"
        " OR (other.created_at, other.id) > (one.created_at, one.id))))"
        " ORDER BY created_at DESC, id DESC LIMIT :limit",
        {"source": source, "since": since, "limit": limit},
    )
    return [row["id"] for row in rows]


def note_told(tx: Transaction, deployment_id: str, state: str) -> None:
    """Note the state that the forge was told."""
    tx.execute("UPDATE deployments SET status_posted = :state WHERE id = :id", {"id": deployment_id, "state": state})
