"""SQLite, by sqlite-utils: WAL, synchronous=FULL, a pool of readers, and one writer thread per process.

Group commit: the writer runs all waiting work, each in a savepoint, and commits once; no caller gets its result before
the COMMIT. Work that fails rolls back its own savepoint alone. Processes take turns by an flock on `FILE.lock` around
each transaction: SQLite's own busy handler lets one of them starve for seconds.
"""

import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import sqlite_utils
from typing_extensions import override

from service.errors import StoreBusy, StoreError
from service.store.database import contract
from service.store.database.contract import Database, Parameters, Row, Transaction
from service.store.database.private_file import create_private
from service.store.database.sqlite_values import as_text, bound, named_errors, rows

T = TypeVar("T")

#: Work that may wait for the writer: under half a second's worth at 5,000 small commits a second.
_MAX_WAITING = 2_000
#: Limits of one transaction, by count of work and by time, since other processes wait for the lock meanwhile.
_MAX_BATCH = 256
_MAX_BATCH_S = 0.05
#: How long a caller waits for the writer to begin its work before StoreBusy, and a statement for SQLite's own lock.
_PATIENCE_S = 15.0
_BUSY_TIMEOUT_S = 5.0
_MAX_IDLE_READERS = 8
#: Truncating the WAL waits for readers, and writers wait for it: so it waits briefly, and tries again later.
_SCRUB_WAIT_MS = 200
_SCRUB_TRIES = 5
_SCRUB_PAUSE_S = 0.5


class SqliteDatabase(Database):
    """One file, shared by any number of processes."""

    dialect = "sqlite"
    is_local = True

    def __init__(
        self,
        path: str | Path,
        *,
        max_waiting: int = _MAX_WAITING,
        patience_s: float = _PATIENCE_S,
        scrub_pause_s: float = _SCRUB_PAUSE_S,
    ) -> None:
        self._path = Path(path)
        self._patience_s = patience_s
        self._scrub_pause_s = scrub_pause_s
        self._waiting: queue.Queue[_Job[Any] | None] = queue.Queue(maxsize=max_waiting)
        self._gate = threading.Lock()  # guards _closed and _idle_readers
        self._closed = False
        self._idle_readers: list[sqlite_utils.Database] = []
        self._writing = threading.local()
        create_private(self._path)
        try:
            self._lock_file = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreBusy("The database's lock file can't be opened.") from error
        try:
            # Under the lock too: of two processes that switch one file to WAL at once, one fails.
            with self._turn(), named_errors():
                self._connection = self._connect()
        except BaseException:
            os.close(self._lock_file)
            raise
        self._writer = threading.Thread(target=self._write_all, name=f"store-writer-{self._path.name}", daemon=True)
        self._writer.start()

    @property
    def waiting(self) -> int:
        """How many writes wait for the writer thread, without those that it has begun."""
        return self._waiting.qsize()

    @override
    def read(self, sql: str, params: Parameters | None = None) -> list[Row]:
        contract.require_query(sql)
        self._refuse_nesting()
        with named_errors(), self._reader() as connection:
            return rows(connection.execute(sql, bound(contract.searchable(params or {}))))

    @override
    def write(self, work: Callable[[Transaction], T]) -> T:
        self._refuse_nesting()
        job = _Job(work)
        with self._gate:
            if self._closed:
                raise RuntimeError("this database is closed")
            try:
                self._waiting.put_nowait(job)
            except queue.Full:
                raise StoreBusy("Too much is waiting to be written.") from None
        try:
            return job.answer.result(self._patience_s)
        except TimeoutError:
            if job.answer.cancel():  # not begun
                raise StoreBusy("Another process holds the database.") from None
            return job.answer.result()  # begun, so it ends; or work's own TimeoutError
        finally:
            del job  # an exception's traceback would keep the job that holds it

    @override
    def scrub(
        self, tables: Sequence[str], *, rewrites: bool = False, rewrites_up_to_bytes: int = contract.REWRITE_UP_TO_BYTES
    ) -> bool:
        self._refuse_nesting()
        del tables  # they are all in one file
        # A connection and turns of its own: neither VACUUM nor a checkpoint can be part of a transaction.
        with named_errors(), closing(self._connect()) as connection:
            connection.execute(f"PRAGMA busy_timeout={_SCRUB_WAIT_MS}").fetchall()
            size = "SELECT page_count * page_size AS size_bytes FROM pragma_page_count, pragma_page_size"
            ((size_bytes,),) = connection.execute(size).fetchall()
            is_large = size_bytes > rewrites_up_to_bytes
            rewrites = rewrites or not is_large
            if rewrites:
                if is_large:  # its copy would not fit into memory
                    connection.execute("PRAGMA temp_store=FILE")
                # `secure_delete` overwrites what is deleted, but not copies that balancing left in the gaps of pages.
                with self._turn_of_its_own():
                    connection.execute("VACUUM")
            for _ in range(_SCRUB_TRIES):
                with self._turn_of_its_own():
                    ((is_busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                if not is_busy:
                    return rewrites
                time.sleep(self._scrub_pause_s)
        return False  # there was a reader each time

    @override
    def listen(self, channel: str, stopping: threading.Event, notify: Callable[[], None]) -> None:
        return

    @override
    def close(self) -> None:
        with self._gate:
            if self._closed:
                return
            self._closed = True
            readers, self._idle_readers = self._idle_readers, []
        self._waiting.put(None)
        self._writer.join()
        for connection in (*readers, self._connection):
            connection.close()
        os.close(self._lock_file)

    def _refuse_nesting(self) -> None:
        if getattr(self._writing, "now", False):
            raise RuntimeError("read() or write() inside of write(): use the transaction that the work was given")

    def _connect(self) -> sqlite_utils.Database:
        # Connections wander between threads, one thread at a time; transactions are begun by hand.
        raw = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "temp_store=MEMORY",
                "secure_delete=ON",  # what is deleted is overwritten with zeros
                "journal_size_limit=67108864",
            ):
                raw.execute(f"PRAGMA {pragma}").fetchall()
            return sqlite_utils.Database(raw, execute_plugins=False)
        except BaseException:
            raw.close()
            raise

    @contextmanager
    def _reader(self) -> Iterator[sqlite_utils.Database]:
        """A connection from the pool."""
        with self._gate:
            if self._closed:
                raise RuntimeError("this database is closed")
            connection = self._idle_readers.pop() if self._idle_readers else None
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
        try:
            yield connection
        finally:
            with self._gate:
                keep = not self._closed and len(self._idle_readers) < _MAX_IDLE_READERS
                if keep:
                    self._idle_readers.append(connection)
            if not keep:
                connection.close()

    def _write_all(self) -> None:
        self._writing.now = True
        last = False
        while not last:
            first = self._waiting.get()
            if first is None:
                return
            last = self._commit_with(first)

    def _commit_with(self, first: "_Job[Any]") -> bool:
        """Commit `first` and all that waits by then in one transaction; True once the queue has ended."""
        begun: list[_Job[Any]] = []
        last = False
        try:
            with self._turn(), named_errors():
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    last = self._run_batch(first, begun)
                    self._connection.execute("COMMIT")
                finally:
                    self._connection.rollback()  # does nothing after a COMMIT
        except Exception as error:  # an error of the batch goes to each of its callers; the writer goes on
            if not begun and first.begin():
                begun.append(first)
            for job in begun:
                job.error = job.error or _copy_for_waiter(error)
        for job in begun:
            job.finish()
        return last

    @contextmanager
    def _turn(self) -> Iterator[None]:
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @contextmanager
    def _turn_of_its_own(self) -> Iterator[None]:
        """A turn that excludes other threads of this process too: a lock belongs to the open file description."""
        descriptor = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _run_batch(self, first: "_Job[Any]", begun: list["_Job[Any]"]) -> bool:
        job: _Job[Any] | None = first
        until = time.monotonic() + _MAX_BATCH_S
        while job is not None:
            if job.begin():
                begun.append(job)
                self._run(job)
            if len(begun) >= _MAX_BATCH or time.monotonic() > until:
                return False
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return False
        return True

    def _run(self, job: "_Job[Any]") -> None:
        tx = _SqliteTransaction(self._connection)
        self._connection.execute("SAVEPOINT work")
        try:
            job.value = job.work(tx)
            tx.check()
        except BaseException as error:  # it belongs to the caller, in whose thread it is raised
            job.error = error
            job.value = None
            if not self._connection.conn.in_transaction:
                # SQLite has rolled back everything, other callers' work too (full disk, I/O error).
                raise StoreBusy("The database has undone the transaction.") from error
            self._connection.execute("ROLLBACK TO work")
        self._connection.execute("RELEASE work")


class _Job(Generic[T]):
    """A piece of work, and the future on which its caller waits."""

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self.work = work
        self.value: T | None = None
        self.error: BaseException | None = None
        self.answer: Future[T] = Future()

    def begin(self) -> bool:
        """False when the caller has given up."""
        return self.answer.set_running_or_notify_cancel()

    def finish(self) -> None:
        if self.error is None:
            self.answer.set_result(cast(T, self.value))
        else:
            self.answer.set_exception(self.error)


class _SqliteTransaction(Transaction):
    def __init__(self, connection: sqlite_utils.Database) -> None:
        super().__init__("sqlite")
        self._connection = connection

    def _execute(self, sql: str, params: Parameters) -> list[Row]:
        with named_errors():
            self._require_transaction()
            return rows(self._connection.execute(sql, bound(contract.storable(params))))

    def _execute_many(self, sql: str, batch: Sequence[Parameters]) -> None:
        with named_errors():
            self._require_transaction()
            self._connection.conn.executemany(sql, [bound(contract.storable(row)) for row in batch])

    def _execute_values(self, sql: str, count: int, values: Sequence[Any]) -> list[Row]:
        row = f"({', '.join('?' * (len(values) // count))})"
        with named_errors():
            self._require_transaction()
            return rows(self._connection.conn.execute(sql.format(values=", ".join([row] * count)), as_text(values)))

    def _insert(self, table: str, columns: Sequence[str], values: Sequence[Any]) -> None:
        row = f"({', '.join('?' * len(columns))})"
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * (len(values) // len(columns)))}"
        with named_errors():
            self._require_transaction()
            self._connection.conn.execute(sql, as_text(values))

    def _require_transaction(self) -> None:
        # After SQLite rolled back by itself each statement would be a transaction of its own.
        if not self._connection.conn.in_transaction:
            raise StoreBusy("The database has undone the transaction.")


def _copy_for_waiter(error: Exception) -> Exception:
    """Copy the error per waiter: raising one instance in several threads mixes their tracebacks."""
    copied = type(error)(*error.args) if isinstance(error, StoreError) else StoreBusy("The database can't be used now.")
    copied.__cause__ = error
    return copied
