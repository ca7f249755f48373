"""Run functions in child processes with limits: what crashes, loops or grows there harms nothing here."""

import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from service.errors import ChildFailed, TryLater
from service.isolation.fork_server import LAST, OUT_OF_MEMORY, RAISED, RETURNED
from service.isolation.limits import MEMORY_BYTES, TaskLimits

#: A fork server that was just started still loads its modules; on a busy machine that takes seconds.
_START_S = 60.0
#: A child has its own deadline; this much later the service stops waiting for it.
_GRACE_S = 5.0
#: Calls that may wait for a child; more get TryLater at once, so that they don't hold all threads.
_MAX_WAITING = 8
_RETRY_AFTER_S = 5
#: A fork server whose children are idle ends at once; one that still loads its modules is not waited for.
_END_S = 2.0
_MAX_RESULT_BYTES = 64 * 1024 * 1024


class ChildProcesses:
    """Runs functions of `modules` in children of a fork server, at most one for each processor and one more.

    A child is used again until it fails. The server is started by the first call, or ahead of it by `start`, and again
    if it has died. Thread-safe.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = list(modules)
        processors = os.cpu_count() or 1
        self._slots = threading.Semaphore(processors + 1)
        self._slots_for_callers = threading.Semaphore(processors)
        self._waiting = threading.Semaphore(_MAX_WAITING + processors)
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._idle: list[_Child] = []

    def start(self) -> None:
        """Start the fork server, unless it runs; returns at once."""
        with self._lock:
            self._ensure_server()

    def close(self) -> None:
        """End the fork server and all children; a later call starts another one."""
        with self._lock:
            self._end_server()

    def run(self, function: str, *arguments: Any, limits: TaskLimits, is_urgent: bool = False) -> bytes:
        """Return the bytes that `function` ("module:name") returns in a child process.

        Raises ChildFailed with a sentence why there is no result: it crashed, was too slow, too large, or raised.
        Raises TryLater if many other calls wait. An `is_urgent` call has a child kept free for it, and always waits.
        """
        order = pickle.dumps((function, arguments, limits))
        with self._slot(is_urgent=is_urgent):
            child = self._take_idle()
            if child is not None:
                answer = self._run_in(child, order, limits)
                if not answer.is_lost:
                    return answer.result(limits)
            return self._run_in(self._fork(), order, limits).result(limits)

    @contextmanager
    def _slot(self, *, is_urgent: bool) -> Iterator[None]:
        if is_urgent:
            with self._slots:
                yield
            return
        if not self._waiting.acquire(blocking=False):
            raise TryLater("Many templates are being compiled at the moment.", retry_after_s=_RETRY_AFTER_S)
        try:
            with self._slots_for_callers, self._slots:
                yield
        finally:
            self._waiting.release()

    def _take_idle(self) -> "_Child | None":
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _run_in(self, child: "_Child", order: bytes, limits: TaskLimits) -> "_Answer":
        answer = child.run(order, limits)
        with self._lock:
            is_kept = answer.kind == RETURNED and self._control is not None
            if is_kept:
                self._idle.append(child)
        if not is_kept:
            child.close()
        return answer

    def _fork(self) -> "_Child":
        ours, theirs = socket.socketpair()
        status, status_end = os.pipe()
        child = _Child(ours, status)
        try:
            with theirs, self._lock:
                try:
                    socket.send_fds(self._ensure_server(), [b"f"], [theirs.fileno(), status_end])
                except OSError:  # the server has died
                    self._end_server()
                    socket.send_fds(self._ensure_server(), [b"f"], [theirs.fileno(), status_end])
        except BaseException:
            child.close()
            raise
        finally:
            os.close(status_end)
        return child

    def _ensure_server(self) -> socket.socket:
        if self._server is not None and self._server.poll() is not None:
            self._end_server()
        if self._control is None:
            ours, theirs = socket.socketpair()
            # -P: a folder called `service` in the working directory is not ours.
            command = [
                sys.executable,
                "-P",
                "-m",
                "service.isolation.fork_server",
                str(theirs.fileno()),
                *self._modules,
            ]
            with theirs:
                # Not our environment, which may hold secrets; not our terminal's signals.
                self._server = subprocess.Popen(  # noqa: S603
                    command,
                    env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            self._control = ours
        return self._control

    def _end_server(self) -> None:
        control, server, idle = self._control, self._server, self._idle
        self._control, self._server, self._idle = None, None, []
        for child in idle:
            child.close()
        if control is not None:
            control.close()
        if server is None:
            return
        with suppress(subprocess.TimeoutExpired):
            server.wait(_END_S if idle else 0)  # it waits for its children
        server.kill()
        server.wait()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a child answered, and if it gave no answer its exit status: negative for a signal, None if not known."""

    kind: bytes
    content: bytes = b""
    status: int | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the child had ended before its task, or was ended from outside: the task may not be at fault."""
        return not self.kind and self.status in (None, 0, -signal.SIGKILL)

    def result(self, limits: TaskLimits) -> bytes:
        """Return the result. Raises ChildFailed."""
        if self.kind in (RETURNED, LAST):
            return self.content
        if self.kind == RAISED:
            raise ChildFailed(f"it failed: {self.content.decode('utf-8', 'replace')}")
        if self.kind == OUT_OF_MEMORY:
            raise ChildFailed(f"it needed more than {MEMORY_BYTES // 1024**2} MiB of memory")
        if self.status == -signal.SIGALRM:
            raise ChildFailed(f"it took longer than {limits.deadline_s:g} s")
        if self.status == -signal.SIGXCPU:
            raise ChildFailed(f"it used more than {limits.cpu_s} s of processor time")
        if self.status is not None and self.status < 0:
            raise ChildFailed(f"it crashed ({signal.Signals(-self.status).name})")
        raise ChildFailed("its process ended without a result")


class _Child:
    """A child process: `tasks` is its socket, `status` the pipe of its exit status."""

    def __init__(self, tasks: socket.socket, status: int) -> None:
        self._tasks = tasks
        self._status = status

    def run(self, order: bytes, limits: TaskLimits) -> _Answer:
        """Send an order and read the answer."""
        try:
            self._tasks.settimeout(_START_S + limits.deadline_s + _GRACE_S)
            self._tasks.sendall(order)
            head = self._read(9)
            length = int.from_bytes(head[1:], "big")
            if length <= _MAX_RESULT_BYTES:
                return _Answer(head[:1], self._read(length))
            return _Answer(RAISED, b"its result is too large")
        except OSError:  # it has ended, or its time is over
            return _Answer(b"", status=self._exit_status())

    def close(self) -> None:
        """Close the socket, upon which the child ends."""
        self._tasks.close()
        os.close(self._status)

    def _read(self, length: int) -> bytes:
        end_s = time.monotonic() + (self._tasks.gettimeout() or 0)
        pieces = bytearray()
        while len(pieces) < length:
            self._tasks.settimeout(max(end_s - time.monotonic(), 0.001))
            piece = self._tasks.recv(min(length - len(pieces), 1 << 20))
            if not piece:
                raise ConnectionResetError
            pieces += piece
        return bytes(pieces)

    def _exit_status(self) -> int | None:
        ready, _, _ = select.select([self._status], [], [], _GRACE_S)
        told = os.read(self._status, 4) if ready else b""
        return int.from_bytes(told, "big", signed=True) if told else None
