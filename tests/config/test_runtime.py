"""Settings of the interpreter in a serving process, read in a process of its own."""

import subprocess
import sys

_SCRIPT = """
import gc, sys
from service.config import runtime
runtime.settle()
print(gc.get_freeze_count() > 0, gc.get_threshold()[0], sys.getswitchinterval())
"""


def test_runtime_freezes_long_lived_objects_and_switches_threads_soon() -> None:
    told = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "10000", "0.001"]
