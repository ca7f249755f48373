"""Interpreter settings of a server process: the thread switch interval, garbage collection, and freed memory."""

import ctypes
import gc
import os
import sys
from pathlib import Path

#: How long a computing thread keeps the others waiting (CPython: 5 ms). While a template compiles after a save, each
#: concurrent request would wait that long several times: with this the worst one took 21 ms instead of 41, and the save
#: was served no later.
SWITCH_INTERVAL_S = 0.001
#: Allocations between two collections; CPython's 700 are the variables of five requests.
COLLECT_AFTER = 10_000
#: Change of the resident memory after which `FreedMemory` gives back what is free. A template of 2,000 expressions that
#: is replaced five times leaves 120 MB: the collection frees 20 to 35 of them, the trim 70 to 85.
CHANGE_BYTES = 8 * 1024 * 1024
#: How often a server process calls `FreedMemory.give_back`.
LOOK_EVERY_S = 10.0


def settle() -> None:
    """Call once after start-up: `gc.freeze()` exempts long-lived objects from collection."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_INTERVAL_S)


class FreedMemory:
    """Gives free memory back to the system. For one thread; without /proc it does nothing.

    The interpreter collects cycles of old objects after a million allocations, and glibc keeps what is free below the
    last byte in use (malloc_trim(3)): without this a large template or body would be held for hours.
    """

    def __init__(self) -> None:
        self._level_bytes = resident_bytes()

    def give_back(self) -> None:
        """Collect garbage and trim the heap if the process has grown or shrunk since the last time.

        The collection takes a few milliseconds, as long as start-up's objects are frozen. The trim takes 5 to 15, while
        other threads run on.
        """
        now_bytes = resident_bytes()
        if now_bytes is None or self._level_bytes is None:
            return
        if abs(now_bytes - self._level_bytes) < CHANGE_BYTES:
            return
        gc.collect()
        trim_heap()
        self._level_bytes = resident_bytes()


def trim_heap() -> None:
    """Give the free pages of the heap back to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int | None:
    """Resident memory of this process; None where the system does not tell (proc_pid_statm(5))."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
