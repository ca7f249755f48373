"""Conversion of values and errors for SQLite, which has neither times nor booleans."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from service.errors import StoreBusy, StoreError
from service.store.database import contract
from service.store.database.contract import ConstraintBroken, Row

# https://sqlite.org/rescode.html: conditions that pass, or that an operator can mend by freeing space.
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

_TIME_LENGTH = len("2026-02-21T14:30:00.000000")


def rows(cursor: sqlite3.Cursor) -> list[Row]:
    """The cursor's rows as dictionaries, with times and booleans as Python values."""
    if cursor.description is None:
        return []
    columns = [column[0] for column in cursor.description]
    read_time = datetime.fromisoformat
    found = [dict(zip(columns, values)) for values in cursor]  # noqa: B905  # a row is as long as its description
    for column in columns:
        if contract.is_time(column):
            for row in found:
                if row[column] is not None:
                    row[column] = read_time(row[column])
        elif contract.is_boolean(column):
            for row in found:
                if row[column] is not None:
                    row[column] = bool(row[column])
    return found


def bound(params: Row) -> Row:
    """The parameters with times as UTC text of fixed width, which sorts in their order."""
    for name, value in params.items():
        if isinstance(value, datetime):
            params[name] = f"{value.isoformat(timespec='microseconds')[:_TIME_LENGTH]}Z"
    return params


def as_text(values: Sequence[Any]) -> list[Any]:
    """The positional values, converted as by `bound`."""
    return [
        f"{value.isoformat(timespec='microseconds')[:_TIME_LENGTH]}Z" if type(value) is datetime else value
        for value in values
    ]


@contextmanager
def named_errors() -> Iterator[None]:
    """Translate sqlite3 errors into the errors of the store."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ConstraintBroken(f"A row breaks a rule of its table: {error}.") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _BUSY:
            raise StoreBusy(f"The database can't be used now: {error}.") from error
        raise StoreError(f"The database refused: {error}.") from error
