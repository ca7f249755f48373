"""A full disk: sends get 503, nothing is half stored, and all continues once there is room."""

import logging
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.faults.load import PATIENCE_S, Crew, Load, all_sent, database_url, environment_for, reckon
from tests.support.faults.sink import Sink
from tests.support.running import data_directory, eventually

_log = logging.getLogger("faults")


@pytest.fixture(params=["full disk", "largest file"])
def limited(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["Limited"]:
    """A state directory with little room: a small tmpfs, or a limit of the kernel's on how long a file may become.

    Who may not mount (that needs CAP_SYS_ADMIN) gets the second one twice: it is a limit as real.
    """
    state = data_directory(tmp_path)
    if request.param == "full disk" and mounted(state):
        try:
            (state / "compiled").mkdir()
            yield Limited(state, fill=lambda pids: fill(state), free=lambda pids: (state / "ballast").unlink())
        finally:
            subprocess.run(["umount", "--lazy", state], check=True)
    else:
        yield Limited(state, fill=lambda pids: cap(state, pids), free=lift)


class Limited:
    """`fill` leaves no room for these processes, `free` gives it back."""

    def __init__(self, state: Path, *, fill: Callable[[list[int]], None], free: Callable[[list[int]], None]) -> None:
        self.state = state
        self.fill = fill
        self.free = free


def test_full_disk_is_told_with_503_and_nothing_is_half_stored(tmp_path: Path, limited: Limited) -> None:
    with Sink() as sink:
        environment = environment_for(tmp_path, sink)
        with Crew(["api", "worker"], environment) as crew:
            crew.wait()
            pids = [process.pid for process in crew.processes]
            with Load(crew.url) as load:
                for _ in range(3):
                    load.wait_for(20)
                    before = load.refusals[503]
                    limited.fill(pids)
                    eventually(lambda: load.refusals[503], lambda count: count >= before + 10, within_s=PATIENCE_S)  # noqa: B023
                    limited.free(pids)
                load.wait_for(20)
                answered = load.stop()
            rows = all_sent(database_url(environment), answered)
        assert load.without_retry_after == 0
        assert load.refusals.keys() <= {503}
        assert_whole(database_url(environment))
        found = reckon(sink, answered, rows)
    _log.info("answered %d, 503 %d, %s", len(answered), load.refusals[503], found)
    assert (found.lost, found.twice) == ([], 0)


def assert_whole(url: str) -> None:
    """Each send has its message, each message its body and its first event."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        counts = [
            connection.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0]
            for what in ("sends", "email_messages", "email_bodies", "email_events WHERE type = 'accepted'")
        ]
    assert len(set(counts)) == 1, counts


def mounted(directory: Path) -> bool:
    for entry in directory.iterdir():
        entry.unlink()
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", directory], check=False).returncode == 0


def fill(state: Path) -> None:
    """A file that takes all the room there is."""
    with (state / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(64 * 1024))
        except OSError:
            return


def cap(state: Path, pids: list[int]) -> None:
    """No file may grow beyond what the log has now."""
    size_bytes = (state / "rgz-email.db-wal").stat().st_size
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (min(size_bytes, 64 * 1024), hard))


def lift(pids: list[int]) -> None:
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
