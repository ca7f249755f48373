"""The interface of a database and its transactions, the same for SQLite and PostgreSQL.

SQL is the subset that both know: `ON CONFLICT`, `RETURNING`, partial indexes, row values, types TEXT, BIGINT, INTEGER,
BOOLEAN, BYTEA, TIMESTAMPTZ; parameters are written `:name`.

The type of a value follows from its column's name, in tables and results alike: `..._at` and `..._until` are times
(aware UTC datetimes, microseconds), `is_...` and `..._allowed` are booleans. Everything else is str, int, bytes or
None. JSON is TEXT. A text holds no U+0000 (PostgreSQL has none) and no lone surrogate: writing one is a ValueError, and
asking for one finds nothing.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, Protocol, TypeVar

from service.errors import StoreError

T = TypeVar("T")
#: SQLite takes 32,766 parameters in a statement; the widest table has less than 40 columns to be filled.
_MAX_ROWS_A_STATEMENT = 64
#: Tables of up to this size are rewritten within about a second.
REWRITE_UP_TO_BYTES = 128 * 1024 * 1024
Row = dict[str, Any]
Parameters = Mapping[str, Any]
Dialect = Literal["sqlite", "postgresql"]


class ConstraintBroken(StoreError):
    """A row would break a rule of its table (CHECK, UNIQUE, FOREIGN KEY, NOT NULL)."""


class Reader(Protocol):
    """A source of rows: the database (committed rows) or a transaction (its own writes too)."""

    @property
    def dialect(self) -> Dialect:
        """The SQL dialect of `read`."""

    def read(self, sql: str, params: Parameters | None = None) -> list[Row]:
        """The rows of a SELECT."""


class Transaction(ABC):
    """A transaction under way. A failed statement undoes all of it, and no further statement is executed."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Dialect = dialect
        self._failure: BaseException | None = None

    def execute(self, sql: str, params: Parameters | None = None) -> list[Row]:
        """Execute one statement; returns the rows of SELECT or RETURNING, [] where there are none.

        Raises StoreBusy (locked, full, away), ConstraintBroken, StoreError (anything else that the database refuses),
        ValueError for a value that can't be stored. Each of them undoes the whole work.
        """
        with self._guard():
            return self._execute(sql, params or {})

    def read(self, sql: str, params: Parameters | None = None) -> list[Row]:
        """Execute a SELECT, as `execute` does: a Transaction is a Reader."""
        return self.execute(sql, params)

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        """Execute one statement for each of `rows`. Raises like `execute`."""
        with self._guard():
            if rows:
                self._execute_many(sql, rows)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert all `rows`, each with a value for each of `columns`, in as few statements as possible.

        Raises like `execute`, and ValueError where a row is too short or too long.
        """
        with self._guard():
            for values, _ in _portions(columns, rows):
                self._insert(table, columns, values)

    def execute_values(self, sql: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Row]:
        """Execute a statement whose `{values}` stands for `rows`, as few times as possible; returns the rows of all.

        It has no other parameters. `columns` name the values of a row. Raises like `insert`.
        """
        found: list[Row] = []
        with self._guard():
            for values, count in _portions(columns, rows):
                found += self._execute_values(sql, count, values)
        return found

    def check(self) -> None:
        """Raise the error of a failed statement, so that work which swallowed it is not committed by half."""
        if self._failure is not None:
            raise self._failure

    def _guard(self) -> "_Guard":
        self.check()
        return _Guard(self)

    def failed(self, error: BaseException) -> None:
        """Remember the error of a failed statement; nothing more is executed."""
        self._failure = error

    @abstractmethod
    def _execute(self, sql: str, params: Parameters) -> list[Row]: ...

    @abstractmethod
    def _execute_many(self, sql: str, rows: Sequence[Parameters]) -> None: ...

    @abstractmethod
    def _execute_values(self, sql: str, count: int, values: Sequence[Any]) -> list[Row]:
        """`values` of `count` rows, one row after the other, storable."""

    @abstractmethod
    def _insert(self, table: str, columns: Sequence[str], values: Sequence[Any]) -> None:
        """`values` of all rows, one row after the other, storable."""


def _portions(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[tuple[list[Any], int]]:
    """Chunks of rows with their length: powers of two, so that there are few different statements."""
    done = 0
    while done < len(rows):
        size = min(1 << ((len(rows) - done).bit_length() - 1), _MAX_ROWS_A_STATEMENT)
        values: list[Any] = []
        for row in rows[done : done + size]:
            values += _storable_values(columns, row)
        yield values, size
        done += size


class _Guard:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._tx.failed(error)


class Database(ABC):
    """A database; thread-safe.

    `is_local`: reading a row takes microseconds and waits for nothing, so it may be done in an event loop.
    """

    dialect: Dialect
    is_local: bool

    @abstractmethod
    def read(self, sql: str, params: Parameters | None = None) -> list[Row]:
        """Rows of a SELECT over what is committed, as dictionaries.

        Raises ValueError for a statement that isn't SELECT or WITH, RuntimeError inside a `write` (use the
        transaction: it sees its own rows), StoreBusy, StoreError.
        """

    @abstractmethod
    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction; returns its result once it is durable.

        All or nothing: an exception of `work` undoes it and is raised here, and here only. `work` may run in another
        thread; it must be short, must not wait for anything, and must not call `read` or `write` of this database
        (RuntimeError). Raises StoreBusy where it can't be done now (locked, full, read-only, away, too many waiting):
        nothing was stored. (With PostgreSQL there is one exception: a connection that breaks during COMMIT. The row
        may then be there; idempotency keys and compare-and-set make a second try harmless.)
        """

    @abstractmethod
    def scrub(
        self, tables: Sequence[str], *, rewrites: bool = False, rewrites_up_to_bytes: int = REWRITE_UP_TO_BYTES
    ) -> bool:
        """Make deleted and overwritten rows of these tables unreadable on the disk; False: not all of them.

        Only writing tables anew (VACUUM, VACUUM FULL) takes out the last of it: what either database leaves in the gaps
        of its pages, `secure_delete` or not. They are locked meanwhile, so it is done up to `rewrites_up_to_bytes`,
        about a second's worth, and beyond with `rewrites`. Otherwise SQLite's log is emptied, and PostgreSQL vacuumed.
        (PostgreSQL's own log of changes is the server's business.) Never inside of `write`. Raises StoreBusy.
        """

    @abstractmethod
    def listen(self, channel: str, stopping: threading.Event, notify: Callable[[], None]) -> None:
        """Call `notify` after each notification on this channel until `stopping` is set; blocks.

        It returns at once where the database has no notifications: SQLite. A lost connection is made again, and
        `notify` is called then, as something may have been missed.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the work under way, end threads and connections. May be called twice."""


def listed(name: str, values: Iterable[Any]) -> tuple[str, dict[str, Any]]:
    """Placeholders and parameters for `IN (...)`: ("id", ["x", "y"]) -> (":id_0, :id_1", {"id_0": "x", ...}).

    An empty list gives "NULL", which matches nothing. The last value is repeated until there are 1, 2, 4, 8 ...:
    hundreds of sizes would fill a connection's cache of prepared statements.
    """
    several = list(values)
    several += several[-1:] * (statement_size(len(several)) - len(several))
    params = {f"{name}_{n}": value for n, value in enumerate(several)}
    return ", ".join(f":{key}" for key in params) or "NULL", params


def statement_size(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length() if count else 0


_PLAIN = frozenset({type(None), bool, int, bytes})


def is_time(column: str) -> bool:
    """True if a column of this name holds a time."""
    return column.endswith(("_at", "_until"))


def is_boolean(column: str) -> bool:
    """True if a column of this name holds a boolean."""
    return column.startswith("is_") or column.endswith("_allowed")


def storable(params: Parameters) -> Row:
    """`params` with plain values: enumerations by value, times in UTC. Raises ValueError and TypeError as above."""
    plain = {}
    for name, value in params.items():
        kind = type(value)
        # A call per value would cost most here; nearly all are plain already.
        is_plain = kind in _PLAIN or (kind is str and "\x00" not in value) or (kind is datetime and value.tzinfo is UTC)
        plain[name] = value if is_plain else _storable(name, value)
    return plain


def _storable_values(columns: Sequence[str], row: Sequence[Any]) -> list[Any]:
    """As `storable`, without the names."""
    plain = list(row)
    for n, value in enumerate(plain):
        kind = type(value)
        if not (kind in _PLAIN or (kind is str and "\x00" not in value) or (kind is datetime and value.tzinfo is UTC)):
            plain[n] = _storable(columns[n], value)
    if len(plain) != len(columns):
        raise ValueError("a row has a value for each column")
    return plain


def searchable(params: Parameters) -> Row:
    """As `storable`, for reading: a text or number that can't be stored is changed into one that nothing equals."""
    return storable({name: _comparable(value) for name, value in params.items()})


def require_query(sql: str) -> None:
    """Raise ValueError unless the statement is a SELECT or begins with WITH."""
    if sql.lstrip()[:6].upper() != "SELECT" and sql.lstrip()[:4].upper() != "WITH":
        raise ValueError("read() takes SELECT or WITH; changes go through write()")


def _storable(name: str, value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError(f"{name} holds U+0000, which no text can")
        return str(value)
    if value is None or isinstance(value, (int, bytes)):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} is a time without a zone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    raise TypeError(f"{name} is a {type(value).__name__}; a column takes str, int, bool, bytes, datetime or None")


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if isinstance(value, int):
        return min(max(value, -(2**63)), 2**63 - 1)
    return value
