"""File locks between threads and processes, also when a holder dies."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.config.file_lock import FileLock
from service.errors import TryLater

HOLD = """
import sys
from pathlib import Path
from service.config.file_lock import FileLock
with FileLock(Path(sys.argv[1])).acquire():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_file_lock_lets_threads_take_turns(tmp_path: Path) -> None:
    turns = FileLock(tmp_path / "lock")
    inside: list[int] = []

    def work(number: int) -> None:
        with turns.acquire():
            inside.append(number)
            assert inside == [number]
            inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(40)))


def test_file_lock_refuses_who_waits_too_long_and_is_free_once_its_holder_is_dead(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TryLater), FileLock(file, wait_s=0.05).acquire():
            raise AssertionError("two at once")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with FileLock(file).acquire():
        pass


def test_file_lock_is_released_when_its_block_fails(tmp_path: Path) -> None:
    turns = FileLock(tmp_path / "lock", wait_s=0)
    with pytest.raises(KeyError), turns.acquire():
        raise KeyError
    with turns.acquire():
        pass
