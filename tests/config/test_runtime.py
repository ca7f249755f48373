"""Settings of the interpreter and the memory of a serving process, read in a process of its own."""

import subprocess
import sys

_SCRIPT = """
import gc, sys
from service.config import runtime
runtime.settle()
print(gc.get_freeze_count() > 0, gc.get_threshold()[0], sys.getswitchinterval())
"""

#: Frees 100,000 small objects between others that stay, and half of them only by a collection of cycles.
_GROWTH = """
from service.config import runtime
freed, before = runtime.FreedMemory(), runtime.resident_bytes()
made = [bytearray(1_000) for _ in range(100_000)]
kept = made[::2_000]
cycle = [made[:50_000]]
cycle.append(cycle)
del made, cycle
grown = runtime.resident_bytes()
freed.give_back()
after = runtime.resident_bytes()
print(grown - before > 100_000_000, after - before < 20_000_000)
"""


def test_runtime_gives_freed_memory_back_after_the_process_has_grown() -> None:
    told = subprocess.run([sys.executable, "-c", _GROWTH], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True"]


def test_runtime_freezes_long_lived_objects_and_switches_threads_soon() -> None:
    told = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "10000", "0.001"]
