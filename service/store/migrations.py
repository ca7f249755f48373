"""Migrations: numbered SQL scripts, `sql/NNNN_name.sql`, the same for both databases; applied ones never change.

A comment that names a database holds SQL for it alone: `/*SQLite: WITHOUT ROWID */`.

Each column has a comment that says what anonymising does to it; a test reads them.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from service.store.database import Database, Transaction
from service.store.database.contract import Dialect
from service.store.database.statements import split

_SCRIPTS = Path(__file__).parent / "sql"
# Any constant that nothing else locks in this database: "rgz-mail" in ASCII.
_ADVISORY_LOCK = 0x72677A2D6D61696C


def scripts() -> dict[str, str]:
    """Name and text of every migration, in order."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(_SCRIPTS.glob("[0-9]*.sql"))}


def migrate(database: Database) -> list[str]:
    """Apply the missing migrations; returns their names ([]: none was missing).

    All in one transaction under a lock, so that several processes may start at once. Raises StoreBusy, StoreError.
    """
    return database.write(_migrate)


def _migrate(tx: Transaction) -> list[str]:
    if tx.dialect == "postgresql":
        # CREATE TABLE IF NOT EXISTS alone can collide; SQLite's write lock is held already.
        tx.execute("SELECT pg_advisory_xact_lock(:key)", {"key": _ADVISORY_LOCK})
    tx.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)")
    applied = {row["name"] for row in tx.execute("SELECT name FROM schema_migrations")}
    missing = {name: script for name, script in scripts().items() if name not in applied}
    for name, script in missing.items():
        for statement in split(_for(tx.dialect, script)):
            tx.execute(statement)
        tx.execute(
            "INSERT INTO schema_migrations (name, applied_at) VALUES (:name, :applied_at)",
            {"name": name, "applied_at": datetime.now(UTC)},
        )
    return list(missing)


def _for(dialect: Dialect, script: str) -> str:
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[dialect]
    return re.sub(rf"/\*{name}: (.*?)\*/", r"\1", script)
