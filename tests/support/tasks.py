"""Tasks for child processes: each does what a hostile template or mail might do."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

MODULE = __name__


def echo(text: str) -> bytes:
    return text.encode()


def process_id() -> bytes:
    return str(os.getpid()).encode()


def process_id_after(size_bytes: str) -> bytes:
    """The process id, after so many bytes were needed."""
    bytearray(b"x") * int(size_bytes)
    return process_id()


def environment() -> bytes:
    return "\n".join(os.environ).encode()


def crash() -> bytes:
    ctypes.string_at(0)
    return b""


def loop() -> bytes:
    while True:
        pass


def sleep() -> bytes:
    time.sleep(60)
    return b""


def grow() -> bytes:
    return bytes(8 * 1024**3)


def fail(text: str) -> bytes:
    raise ValueError(text)


def kill_itself() -> bytes:
    os.kill(os.getpid(), signal.SIGTERM)
    return b"still here"


def attempt(what: str, path: str) -> bytes:
    """Try something that a child may not do; returns the error."""
    attempts: Mapping[str, Callable[[], object]] = {
        "socket": lambda: socket.socket(),
        "address": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": os.fork,
        "raw socket": lambda: _system_call(41 if os.uname().machine == "x86_64" else 198, 2, 1, 0),
        "file": lambda: Path(path).write_bytes(b"x" * 10_000),
    }
    try:
        attempts[what]()
    except OSError as error:
        return type(error).__name__.encode()
    return b"allowed"


def _system_call(number: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "denied")
