"""Processes that a bench starts (the service, an empty handler, servers), and waiting until they are up."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benches.report import Unmeasured

#: The command `rgz-email`, run by this Python.
RGZ_EMAIL = (sys.executable, "-m", "service.cli")
#: What a server prints on standard error once it is up, and what the worker prints.
SERVER_IS_UP = r"http://127\.0\.0\.1:(\d+)"
WORKER_IS_UP = "The worker is up"
_IMPORT_ROOTS = (Path(__file__).resolve().parents[1], Path(__file__).resolve().parents[2])
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Process:
    """A running process; `port` is the one that it printed, 0 where it prints none."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Processor seconds used since its start: unlike elapsed time, hardly longer on a busy machine (Linux only)."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Resident memory (Linux only)."""
        return resident_bytes(self.pid)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process (Linux only)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], *, up: str = SERVER_IS_UP) -> Iterator[Process]:
    """Run a command until the end of the block, once its standard error matches `up`, whose group 1 is the port.

    Raises Unmeasured with its standard error where it ends before, or is not up within 60 s.
    """
    with tempfile.TemporaryDirectory(prefix="rgz-bench-") as directory:
        log = Path(directory, "stderr")
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, env=environment_with(environment), stdout=subprocess.DEVNULL, stderr=stderr
            )
        try:
            found: list[re.Match[str]] = []

            def is_up() -> bool:
                if process.poll() is not None:
                    raise Unmeasured(f"{' '.join(command)} ended with {process.returncode}:\n{_tail(log)}")
                found.extend(re.finditer(up, _tail(log)))
                return bool(found)

            try:
                wait_until(is_up, _START_TIMEOUT_S)
            except TimeoutError:
                raise Unmeasured(f"{' '.join(command)} did not start:\n{_tail(log)}") from None
            yield Process(process.pid, int(found[0][1]) if found[0].re.groups else 0)
        finally:
            process.terminate()
            process.wait(_END_TIMEOUT_S)


def wait_until(is_done: Callable[[], bool], timeout_s: float) -> None:
    """Poll every 20 ms. Raises TimeoutError."""
    deadline_s = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(0.02)


def environment_with(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these variables, and a PYTHONPATH on which `service` and `benches` are found.

    The service's own variables of this shell are left out: a bench must not depend on them.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("EMAIL_", "SMTP_"))}
    return {**inherited, "PYTHONPATH": os.pathsep.join(map(str, _IMPORT_ROOTS)), **variables}


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-20_000:]
