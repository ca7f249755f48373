"""Databases: SQLite and PostgreSQL behind one interface. Only this package imports their libraries."""

from service.errors import ConfigurationError
from service.store.database.contract import ConstraintBroken, Database, Reader, Transaction, listed

__all__ = ["ConstraintBroken", "Database", "Reader", "Transaction", "listed", "open_database"]


def open_database(url: str) -> Database:
    """The database at `sqlite:///ABSOLUTE_FILE` or `postgresql://USER@HOST/NAME` (postgres:// too).

    An SQLite file is created where it is missing, its directory is not. A PostgreSQL server may be away: its pool
    connects when it can. Close it when done. Raises ConfigurationError for any other URL, StoreBusy where the file
    can't be opened. A driver is imported when it is needed: libpq costs each start 60 ms.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        from service.store.database.sqlite import SqliteDatabase

        return SqliteDatabase(rest[1:] if rest.startswith("//") else rest)
    if separator and scheme in ("postgresql", "postgres"):
        from service.store.database.postgresql import PostgresqlDatabase

        return PostgresqlDatabase(url)
    raise ConfigurationError(["DATABASE_URL: write sqlite:///FILE or postgresql://USER@HOST/NAME"])
