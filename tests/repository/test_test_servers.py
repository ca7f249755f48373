"""The test servers: empty for each test, and ended with the tests."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import redis

from tests.support.paths import ROOT

_PARENT = """
import sys
from pathlib import Path
from tests.support import servers

child = servers.start(["sleep", "1000"], Path(sys.argv[1]), {})
print(child.pid, flush=True)
input()
"""


def _is_running(pid: int) -> bool:
    try:
        # The third field; "Z" is dead and waits to be reaped by init.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, tmp_path / "log"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _is_running(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait(30)
    for stream in (parent.stdin, parent.stdout):
        stream.close()
    until = time.monotonic() + 30
    while _is_running(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _is_running(child)


def test_postgresql_is_real_and_has_no_tables(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        assert connection.info.server_version >= 180000
        assert connection.execute("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_valkey_is_real_and_empty(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert "valkey_version" in client.info("server")
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_valkey_is_empty_whichever_test_was_first(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
