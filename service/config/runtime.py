"""What a process that serves tells its interpreter, once: CPython's defaults are made for scripts."""

import gc
import sys

#: How long a thread that computes keeps the others waiting (CPython: 5 ms). A template that compiles after a save
#: would make each request beside it wait so long, several times over: 41 ms at worst became 21, and a save was
#: served no later.
SWITCH_INTERVAL_S = 0.001
#: Objects that may come between two looks for cycles; Python's own 700 are the variables of five requests.
COLLECT_AFTER = 10_000


def settle() -> None:
    """To be called when all is built: what is there stays, and looking through it again and again finds nothing."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
