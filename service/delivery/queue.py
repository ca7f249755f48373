"""The queue of notifications to workers, on Huey: SQLite, Redis, Valkey or PostgreSQL.

The rows of our database are the truth: a notification carries nothing and may be lost. Notifications coalesce: while
one waits in the queue a further one adds nothing, because a worker reads the rows only after it took one. The storage
decides that in one atomic step, so it holds for all processes and leaves no mark that a dead process could not remove.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from huey import Huey as _Huey
from huey.consumer import Consumer as _Consumer
from huey.registry import Message, Registry
from huey.storage import PostgresStorage, RedisStorage, SqliteStorage
from redis import ConnectionPool

from service.config.secret_url import SecretUrl
from service.errors import ConfigurationError
from service.store.database.private_file import create_private

#: Name of the task that a notification runs, without its module.
TASK = "deliver_due"

#: Polling interval of the SQLite queue, seconds. Redis and PostgreSQL wake their workers.
_POLL_S = 0.05
_CONNECT_TIMEOUT_S = 5.0


class Notifications(Protocol):
    """A storage that enqueues a notification only once."""

    def enqueue_once(self, data: bytes) -> bool:
        """Enqueue and return True, unless the same bytes wait already. Atomic over all processes."""


class JsonSerializer:
    """Serialises tasks as JSON. Huey's own is pickle, by which anyone with access to the queue could run code.

    Only tasks with JSON arguments and without pipelines, which is all that ours need.
    """

    def serialize(self, data: Any) -> bytes:
        """Serialise a task or a value. Raises TypeError for a type that JSON does not have."""
        value = {"task": data._asdict()} if isinstance(data, Message) else {"value": data}
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def deserialize(self, data: bytes) -> Any:
        """Read what `serialize` wrote. Raises ValueError for anything else."""
        value = json.loads(bytes(data))
        if not isinstance(value, dict):
            raise ValueError("Not a task: not a JSON object.")
        if "task" not in value:
            return value.get("value")
        fields = value["task"]
        if (
            not isinstance(fields, dict)
            or not isinstance(fields.get("name"), str)
            or fields.keys() - set(Message._fields)
        ):
            raise ValueError("Not a task: unknown fields.")
        return Message(
            **{**fields, "args": tuple(fields.get("args") or ()), "kwargs": dict(fields.get("kwargs") or {})}
        )


class _Names(Registry):  # type: ignore[misc]  # huey has no types
    """Registers tasks by their name alone: a process that notifies need not import the code of the task."""

    def task_to_string(self, task_class: type) -> str:
        return task_class.__name__


class Huey(_Huey):  # type: ignore[misc]  # huey has no types
    """A queue of notifications: no results, tasks registered by their bare name."""

    storage: Any

    def __init__(self, storage_class: type, **storage: Any) -> None:
        super().__init__(
            "rgz_email", results=False, serializer=JsonSerializer(), storage_class=storage_class, **storage
        )
        self._registry = _Names()


def open_queue(url: str) -> Huey:
    """Open the queue at a URL.

    One of `sqlite:///FILE`, `redis://…`, `valkey://…` (`rediss`, `valkeys` with TLS, `unix` for a socket) and
    `postgresql://…`. SQLite's file and directory are created. Raises ConfigurationError for another URL or a place that
    can't be used.
    """
    shown = SecretUrl(url)
    opened = _OPENERS.get(shown.scheme)
    if opened is None:
        raise ConfigurationError(
            ["QUEUE_URL: write sqlite:///FILE, redis://HOST, valkey://HOST or postgresql://USER@HOST/NAME"]
        )
    try:
        return opened(url)
    except Exception as error:  # each storage has a tree of its own, and psycopg's is not ours to import
        reason = f"{type(error).__name__}: {shown.scrubbed(str(error))}"
        # Not `from error`: what it says is shown here without the password, and nowhere with it.
        raise ConfigurationError([f"QUEUE_URL: the {shown.scheme} queue can't be opened ({reason})"]) from None


def notify(queue: Huey) -> bool:
    """Notify a worker that messages may be due; False where a notification waits already.

    Raises what the storage raises.
    """
    message = Message(id=TASK, name=TASK, retries=0, retry_delay=0, args=(), kwargs={})
    return cast(Notifications, queue.storage).enqueue_once(queue.serializer.serialize(message))


def close_queue(queue: Huey) -> None:
    """Close the storage's connections; those of consumer threads end with the threads."""
    storage = queue.storage
    storage.close()
    if isinstance(storage, RedisStorage):
        storage.pool.disconnect()


class Consumer(_Consumer):  # type: ignore[misc]  # huey has no types
    """Runs tasks in threads of this process without setting signal handlers. One thread is enough for notifications."""

    def __init__(self, queue: Huey, *, workers: int = 1) -> None:
        super().__init__(
            queue, workers=workers, initial_delay=_POLL_S, max_delay=_POLL_S, backoff=1.0, shutdown_timeout=5.0
        )
        if isinstance(queue.storage, _PostgresNotifications):
            queue.on_shutdown(name="close_listener")(queue.storage.close_listener)

    def start(self) -> None:
        """Return at once; tasks run in threads."""
        super().start()

    def stop(self, graceful: bool = True) -> None:
        """Take no more tasks; returns when those under way have ended, within about 5 s."""
        super().stop(graceful=graceful)

    def _set_signal_handlers(self) -> None:
        """Set none: they belong to the process."""


class _SqliteNotifications(SqliteStorage):  # type: ignore[misc]  # huey has no types
    """SQLite, in a file of its own. If the file is deleted or replaced, it is opened anew, with its tables."""

    _conn: Any
    _identity: tuple[int, int] | None = None

    @property
    def conn(self) -> Any:
        if self._conn is not None and _identity(self.filename) != self._identity:
            self._conn.close()
            self._conn = None
        return super().conn

    def _create_connection(self) -> Any:
        create_private(Path(self.filename))
        connection = super()._create_connection()
        # NORMAL may lose the last notifications at a power cut, which is allowed; it never harms the file.
        connection.execute("pragma synchronous = normal")
        for statement in self.ddl:
            connection.execute(statement)
        self._identity = _identity(self.filename)
        return connection

    def enqueue_once(self, data: bytes) -> bool:
        if self.sql("select 1 from task where queue = ? and data = ?", (self.name, data), results=True):
            return False
        with self.db(commit=True) as cursor:
            cursor.execute(
                "insert into task (queue, data, priority) select ?1, ?2, 0"
                " where not exists (select 1 from task where queue = ?1 and data = ?2)",
                (self.name, data),
            )
            return bool(cursor.rowcount == 1)


#: LPOS needs Redis 6.0.6; every Valkey has it.
_NOTIFY_ONCE = """
if redis.call('lpos', KEYS[1], ARGV[1]) then return 0 end
redis.call('lpush', KEYS[1], ARGV[1])
return 1
"""


class _RedisNotifications(RedisStorage):  # type: ignore[misc]  # huey has no types
    """Redis or Valkey."""

    def enqueue_once(self, data: bytes) -> bool:
        return bool(self.conn.eval(_NOTIFY_ONCE, 1, self.queue_key, data))


class _PostgresNotifications(PostgresStorage):  # type: ignore[misc]  # huey has no types
    """PostgreSQL: concurrent notifications wait for the lock, and then see the first one."""

    def close_listener(self) -> None:
        """Close the connection on which this thread listens; Huey would leave it to the garbage collector."""
        connection = getattr(self._listen_local, "conn", None)
        if connection is not None:
            self._listen_local.conn = None
            connection.close()

    def enqueue_once(self, data: bytes) -> bool:
        with self.db(commit=True) as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (self.channel,))
            cursor.execute(
                f"insert into {self.table_task} (queue, data, priority) select %(queue)s, %(data)s, 0"
                f" where not exists (select 1 from {self.table_task} where queue = %(queue)s and data = %(data)s)",
                {"queue": self.name, "data": data},
            )
            added = bool(cursor.rowcount == 1)
            if added:
                cursor.execute("select pg_notify(%s, '')", (self.channel,))
        return added


def _open_sqlite(url: str) -> Huey:
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return Huey(_SqliteNotifications, filename=str(path))


def _open_redis(url: str) -> Huey:
    scheme, rest = url.split("://", 1)
    pool = ConnectionPool.from_url(
        f"{scheme.replace('valkey', 'redis')}://{rest}",
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_CONNECT_TIMEOUT_S,  # longer than a worker's blocking read, which is 1 s
    )
    queue = Huey(_RedisNotifications, connection_pool=pool)
    queue.storage.conn.ping()
    return queue


def _open_postgresql(url: str) -> Huey:
    return Huey(_PostgresNotifications, dsn=url, connect_timeout=int(_CONNECT_TIMEOUT_S))


_OPENERS: Mapping[str, Callable[[str], Huey]] = {
    "sqlite": _open_sqlite,
    "redis": _open_redis,
    "rediss": _open_redis,
    "valkey": _open_redis,
    "valkeys": _open_redis,
    "unix": _open_redis,
    "postgresql": _open_postgresql,
    "postgres": _open_postgresql,
}


def _identity(filename: str) -> tuple[int, int] | None:
    try:
        status = Path(filename).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
