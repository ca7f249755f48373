"""Output of a process, read within a time and a size; the process ends together with its own children."""

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

_TERMINATE_TIMEOUT_S = 2.0
_PIECE_BYTES = 65_536
#: Of messages that are printed without end the last ones count.
_MAX_REPLY_BYTES = 256 * 1024


class OutputTooLong(Exception):
    """The process printed more than was asked for."""


def communicate(
    process: subprocess.Popen[bytes], stdin: bytes, timeout_s: float, max_bytes: int | None
) -> tuple[bytes, bytes]:
    """Write `stdin` and read output and messages to their ends; of the messages, the last 256 KiB.

    Raises OutputTooLong beyond `max_bytes` of output, subprocess.TimeoutExpired.
    """
    pipe, out, err = process.stdin, process.stdout, process.stderr
    if pipe is None or out is None or err is None:
        raise ValueError("the process has no pipes")
    end = time.monotonic() + timeout_s
    output, messages, written = bytearray(), bytearray(), 0
    with selectors.DefaultSelector() as selector:
        if stdin:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_WRITE)
        else:
            pipe.close()
        selector.register(out, selectors.EVENT_READ, output)
        selector.register(err, selectors.EVENT_READ, messages)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired(process.args, timeout_s)
            for key, _ in ready:
                if key.fileobj is pipe:
                    written += _written(key.fd, stdin[written : written + _PIECE_BYTES], len(stdin))
                    if written >= len(stdin):
                        selector.unregister(pipe)
                        pipe.close()
                    continue
                piece = os.read(key.fd, _PIECE_BYTES)
                key.data.extend(piece)
                if not piece:
                    selector.unregister(key.fileobj)
            del messages[:-_MAX_REPLY_BYTES]
            if max_bytes is not None and len(output) > max_bytes:
                raise OutputTooLong
    process.wait(max(0.0, end - time.monotonic()))
    return bytes(output), bytes(messages)


def terminate(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group of its own, and its children; it may clean up for a moment.

    A child that holds on to the pipes keeps nobody waiting.
    """
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TERMINATE_TIMEOUT_S)
    _signal(process, signal.SIGKILL)
    process.wait()


def _written(descriptor: int, piece: bytes, all_bytes: int) -> int:
    """The number of bytes that were written; `all_bytes` where nobody reads them."""
    try:
        return os.write(descriptor, piece)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return all_bytes


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
