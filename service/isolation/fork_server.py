"""The fork server: a small process that has loaded the modules, and forks a child whenever it is asked for one.

`python -m service.isolation.fork_server FD MODULE...`: FD is a socket over which each order comes as two descriptors: a
socket for the child's tasks and results, and a pipe for its exit status. A fork of this process takes 2 ms; a new
interpreter takes half a second to load these modules. It has one thread, so that forking is safe, and no secrets. It
ends when the other end of FD is closed; so does a child when its socket is.
"""

import gc
import importlib
import os
import pickle
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import BinaryIO

from service.isolation import limits

#: First byte of an answer; then come the length of the result, 8 bytes, and the result. After each but the first the
#: child ends.
RETURNED, LAST, RAISED, OUT_OF_MEMORY = b"+", b".", b"!", b"m"

#: A child ends after this many tasks, or once it has needed so much memory, so that nothing piles up in it: an ordinary
#: template needs 75 MB, modules included, and what a huge one needed would stay with an idle child. A fork takes 2 ms.
_MAX_TASKS = 200
_MAX_KEPT_BYTES = 128 * 1024 * 1024


def serve(control: socket.socket, modules: Sequence[str]) -> None:
    """Load the modules, then fork a child for each order until `control` is closed.

    A module may have a function `warm_up`, which is called once: what it loads and caches, every child has.
    """
    for name in modules:
        warm_up = getattr(importlib.import_module(name), "warm_up", None)
        if warm_up is not None:
            warm_up()
    gc.collect()
    gc.freeze()  # the children share these pages as long as nobody writes to them
    statuses: dict[int, int] = {}

    def reap(_signal: int, _frame: FrameType | None) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                status = statuses.pop(ended[0])
                with suppress(OSError):  # nobody waits for it any more
                    os.write(status, os.waitstatus_to_exitcode(ended[1]).to_bytes(4, "big", signed=True))
                os.close(status)

    signal.signal(signal.SIGCHLD, reap)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            break
        tasks, status = descriptors
        # The child may end before its status is noted.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _run_child(tasks)
        statuses[pid] = status
        os.close(tasks)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    while statuses:  # the last children end now; who else would wait for them?
        time.sleep(0.01)


def _run_child(descriptor: int) -> None:
    """Run tasks in a child until there are no more; never returns."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        with socket.socket(fileno=descriptor) as tasks, tasks.makefile("rb") as orders, tasks.makefile("wb") as answers:
            limits.confine()
            for count in range(1, _MAX_TASKS + 1):
                if not _run_task(orders, answers, is_last=count == _MAX_TASKS):
                    break
    except EOFError:
        pass  # the service needs this child no more
    except BaseException:
        os._exit(1)
    os._exit(0)


def _run_task(orders: BinaryIO, answers: BinaryIO, *, is_last: bool) -> bool:
    """Run one task; False if the child has to end. Raises EOFError if there is none."""
    # The order comes from our own service. The answer goes the other way, and is no pickle.
    function, arguments, bounds = pickle.load(orders)  # noqa: S301
    module, _, name = function.partition(":")
    run = getattr(importlib.import_module(module), name)
    try:
        with limits.limited(bounds):
            result: bytes = run(*arguments)
        peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        kind = LAST if is_last or peak_bytes > _MAX_KEPT_BYTES else RETURNED
    except MemoryError:
        kind, result = OUT_OF_MEMORY, b""
    except Exception as error:
        kind, result = RAISED, f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace")
    answers.write(kind + len(result).to_bytes(8, "big") + result)
    answers.flush()
    return kind == RETURNED


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        serve(connection, sys.argv[2:])
