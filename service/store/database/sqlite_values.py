"""How values and errors cross the border to SQLite, which has neither times nor booleans."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from service.errors import StoreBusy, StoreError
from service.store.database import contract
from service.store.database.contract import ConstraintBroken, Row

# https://sqlite.org/rescode.html: what passes by itself, or by somebody's making room.
_BUSY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


def rows(cursor: sqlite3.Cursor) -> list[Row]:
    if cursor.description is None:
        return []
    columns = [column[0] for column in cursor.description]
    found = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
    for column in columns:
        if contract.is_time(column):
            for row in found:
                if row[column] is not None:
                    row[column] = datetime.fromisoformat(row[column])
        elif contract.is_boolean(column):
            for row in found:
                if row[column] is not None:
                    row[column] = bool(row[column])
    return found


def bound(params: Row) -> Row:
    """Times as text of fixed width, so that they sort as they follow each other."""
    return {
        name: f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        if isinstance(value, datetime)
        else value
        for name, value in params.items()
    }


@contextmanager
def named_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ConstraintBroken(f"A row breaks a rule of its table: {error}.") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _BUSY:
            raise StoreBusy(f"The database can't be used now: {error}.") from error
        raise StoreError(f"The database refused: {error}.") from error
