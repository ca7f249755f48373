"""Interpreter settings of a server process: the thread switch interval and garbage collection."""

import gc
import sys

#: How long a computing thread keeps the others waiting (CPython: 5 ms). While a template compiles after a save, each
#: concurrent request would wait that long several times: with this the worst one took 21 ms instead of 41, and the save
#: was served no later.
SWITCH_INTERVAL_S = 0.001
#: Allocations between two collections; CPython's 700 are the variables of five requests.
COLLECT_AFTER = 10_000


def settle() -> None:
    """Call once after start-up: `gc.freeze()` exempts long-lived objects from collection."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
