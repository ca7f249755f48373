"""PostgreSQL, by psycopg and its pool. Each work is a transaction of its own, in the calling thread.

PostgreSQL groups commits itself. The isolation is READ COMMITTED: what must not happen twice rests on UNIQUE and on
conditions of the UPDATE, so nothing is retried for a serialisation failure.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg_pool import ConnectionPool
from typing_extensions import override

from service.errors import StoreBusy, StoreError
from service.store.database import contract, statements
from service.store.database.contract import ConstraintBroken, Database, Parameters, Row, Transaction

T = TypeVar("T")
_Connection = psycopg.Connection[tuple[Any, ...]]

_MAX_CONNECTIONS = 10
_MAX_WAITING = 2_000
#: How long a caller waits for a connection, and a statement for a lock, before StoreBusy.
_PATIENCE_S = 10.0
_CONNECT_TIMEOUT_S = 5
#: How often a listener looks whether it is to end, and pauses before it connects again, seconds.
_LISTEN_LOOK_S = 1.0
#: Queries queue behind a VACUUM FULL that waits for its lock, so it gives up soon and runs another night.
_SCRUB_PATIENCE_MS = 1_000


class PostgresqlDatabase(Database):
    """One server, with one pool per process. The server may restart."""

    dialect = "postgresql"
    is_local = False

    def __init__(self, url: str, *, max_connections: int = _MAX_CONNECTIONS, patience_s: float = _PATIENCE_S) -> None:
        self._url = url
        self._patience_s = patience_s
        self._translate = lru_cache(maxsize=1_000)(statements.pyformat)
        self._writing = threading.local()
        self._closed = False
        self._pool = ConnectionPool(
            url,
            kwargs={"autocommit": True, "connect_timeout": _CONNECT_TIMEOUT_S},
            configure=self._configure,
            min_size=1,
            max_size=max_connections,
            max_waiting=_MAX_WAITING,
            timeout=patience_s,
            open=False,
        )
        self._pool.open()

    @override
    def read(self, sql: str, params: Parameters | None = None) -> list[Row]:
        contract.require_query(sql)
        self._refuse_nesting()
        with _postgresql_errors(), self._begun(self._translate(sql), contract.searchable(params or {})) as begun:
            return _rows(begun.cursor)

    @override
    def write(self, work: Callable[[Transaction], T]) -> T:
        self._refuse_nesting()
        with _postgresql_errors(), self._begun("BEGIN", {}) as begun:
            self._writing.now = True
            try:
                tx = _PostgresqlTransaction(begun.connection, self._translate)
                value = work(tx)
                tx.check()
            except BaseException:
                _roll_back(begun.connection)
                raise
            finally:
                self._writing.now = False
            begun.connection.execute("COMMIT")
            return value

    @override
    def scrub(
        self, tables: Sequence[str], *, rewrites: bool = False, rewrites_up_to_bytes: int = contract.REWRITE_UP_TO_BYTES
    ) -> bool:
        sized = "SELECT SUM(pg_total_relation_size(oid)) AS size_bytes FROM pg_class"
        names, params = contract.listed("table", tables)
        here = f"relname IN ({names}) AND relnamespace = current_schema()::regnamespace"
        [size] = self.read(f"{sized} WHERE {here}", params)
        rewrites = rewrites or int(size["size_bytes"] or 0) <= rewrites_up_to_bytes
        full = "FULL, " if rewrites else ""
        # The planner's statistics hold values of the columns: ANALYZE takes new ones, the old ones are deleted.
        # (Without the right to vacuum the catalogue, the server gives a warning, not an error.)
        wanted = [*((f"{full}ANALYZE", name) for name in tables), (full[:-2], "pg_catalog.pg_statistic")]
        with _postgresql_errors(), self._begun(f"SET lock_timeout = {_SCRUB_PATIENCE_MS}", {}) as begun:
            try:
                for option, table in wanted:
                    begun.connection.execute(f"VACUUM {f'({option}) ' if option else ''}{table}".encode())
            finally:
                with suppress(psycopg.OperationalError):  # a lost line takes its settings with it
                    self._configure(begun.connection)
        return rewrites

    @override
    def listen(self, channel: str, stopping: threading.Event, notify: Callable[[], None]) -> None:
        while not stopping.is_set():
            with suppress(psycopg.OperationalError, psycopg.InterfaceError):
                self._listen(channel, stopping, notify)
            stopping.wait(_LISTEN_LOOK_S)

    def _listen(self, channel: str, stopping: threading.Event, notify: Callable[[], None]) -> None:
        """Listen on a connection of its own, until it is lost."""
        with psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
            connection.execute(f"LISTEN {channel}".encode())
            notify()
            while not stopping.is_set():
                for _ in connection.notifies(timeout=_LISTEN_LOOK_S, stop_after=1):
                    notify()

    @override
    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._pool.close()

    def _configure(self, connection: _Connection) -> None:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(f"SET lock_timeout = {int(self._patience_s * 1000)}")

    def _refuse_nesting(self) -> None:
        if self._closed:
            raise RuntimeError("this database is closed")
        if getattr(self._writing, "now", False):
            raise RuntimeError("read() or write() inside of write(): use the transaction that the work was given")

    @contextmanager
    def _begun(self, query: str, values: Row) -> Iterator["_Begun"]:
        """A connection on which this first statement was run.

        It is run again where it met a dead connection: after a restart of the server all idle ones are dead, and
        nothing can have happened before the first statement.
        """
        connection = self._pool.getconn()
        try:
            cursor = _run(connection, query, values)
        except psycopg.OperationalError:
            dead = connection.broken
            self._pool.putconn(connection)
            if not dead:
                raise
            self._pool.check()
            connection = self._pool.getconn()
            try:
                cursor = _run(connection, query, values)
            except BaseException:
                self._pool.putconn(connection)
                raise
        except BaseException:
            self._pool.putconn(connection)
            raise
        try:
            yield _Begun(connection, cursor)
        finally:
            self._pool.putconn(connection)  # which replaces a broken one


class _Begun(NamedTuple):
    connection: _Connection
    cursor: psycopg.Cursor[tuple[Any, ...]]


class _PostgresqlTransaction(Transaction):
    def __init__(self, connection: _Connection, translate: Callable[[str], str]) -> None:
        super().__init__("postgresql")
        self._connection = connection
        self._translate = translate

    def _execute(self, sql: str, params: Parameters) -> list[Row]:
        values = contract.storable(params)
        with _postgresql_errors():
            return _rows(_run(self._connection, self._translate(sql), values))

    def _execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        values = [contract.storable(row) for row in rows]
        with _postgresql_errors(), self._connection.cursor() as cursor:
            cursor.executemany(self._translate(sql).encode(), values)

    def _execute_values(self, sql: str, count: int, values: Sequence[Any]) -> list[Row]:
        row = f"({', '.join(['%s'] * (len(values) // count))})"
        with _postgresql_errors():
            return _rows(self._connection.execute(sql.format(values=", ".join([row] * count)).encode(), values))

    def _insert(self, table: str, columns: Sequence[str], values: Sequence[Any]) -> None:
        row = f"({', '.join(['%s'] * len(columns))})"
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * (len(values) // len(columns)))}"
        with _postgresql_errors():
            self._connection.execute(sql.encode(), values)


def _run(connection: _Connection, query: str, values: Row) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(query.encode(), values)


def _rows(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[Row]:
    if cursor.description is None:
        return []
    columns = [column.name for column in cursor.description]
    rows = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
    for column in filter(contract.is_time, columns):
        for row in rows:
            if row[column] is not None:
                row[column] = row[column].astimezone(UTC)
    return rows


def _roll_back(connection: _Connection) -> None:
    # A lost line ends the transaction as well, and why it was lost is being told already.
    with suppress(psycopg.OperationalError):
        connection.execute("ROLLBACK")


@contextmanager
def _postgresql_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.IntegrityError as error:
        raise ConstraintBroken(f"A row breaks a rule of its table: {error.diag.message_primary}.") from error
    except (
        psycopg.OperationalError,  # away, full, lock_timeout, deadlock, pool time-out, too many waiting
        psycopg.InterfaceError,  # a connection that has been closed under us
        psycopg.errors.ReadOnlySqlTransaction,
    ) as error:
        raise StoreBusy("The database can't be reached or used now.") from error
    except psycopg.Error as error:
        raise StoreError("The database refused a statement.") from error
