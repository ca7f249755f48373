"""Run the command `rgz-email`, as a real process or in this one."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path

from click.testing import CliRunner

from service.cli import main

COMMAND = Path(sys.executable).parent / "rgz-email"
#: What a process inherits; everything else of the environment stays outside.
_KEPT = ("PATH", "HOME", "LANG", "TZ")


class Process:
    """A running command; `url` is read from its banner."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._popen = subprocess.Popen(
            [COMMAND, *arguments], env={**kept, **environment}, stderr=subprocess.PIPE, text=True
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        """Its standard error so far."""
        with self._changed:
            return "".join(self._lines)

    @property
    def url(self) -> str:
        return self.said(r"API\s+(http://\S+)/api/v1/email")[1]

    def said(self, pattern: str, *, within_s: float = 30) -> re.Match[str]:
        """Wait for `pattern` on standard error, and return the first match."""
        with self._changed:
            found = self._changed.wait_for(lambda: re.search(pattern, "".join(self._lines)), within_s)
            assert found, f"it never said {pattern!r}:\n{''.join(self._lines)}"
            return found

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait(self, within_s: float) -> int:
        """Wait until it ends, and return the exit code."""
        return self._popen.wait(within_s)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._popen.kill()
        self._end()

    def terminate(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self._popen.terminate()
        return self._end()

    def _read(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()

    def _end(self) -> int:
        try:
            code = self._popen.wait(20)
        finally:
            self._popen.kill()
        self._reader.join(5)
        assert self._popen.stderr is not None
        self._popen.stderr.close()
        return code


@contextmanager
def started(*arguments: str, environment: Mapping[str, str]) -> Iterator[Process]:
    process = Process(*arguments, environment=environment)
    try:
        yield process
    finally:
        process.kill()


def run(*arguments: str, environment: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return subprocess.run(
        [COMMAND, *arguments], env={**kept, **environment}, capture_output=True, text=True, cwd=cwd, timeout=60
    )


def run_here(
    *arguments: str, environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in this process, with no more environment than `run` gives; that takes a tenth.

    For what a command says and leaves. An exception that it would show as a traceback is raised.
    """
    outside: dict[str, str | None] = {name: None for name in os.environ if name not in _KEPT}
    with chdir(cwd or Path.cwd()):
        done = CliRunner(env={**outside, **environment}).invoke(main, arguments, catch_exceptions=False)
    return subprocess.CompletedProcess([str(COMMAND), *arguments], done.exit_code, done.stdout, done.stderr)
