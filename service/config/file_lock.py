"""One at a time, over threads and processes of one machine: an flock on a file."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.errors import TryLater

_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class FileLock:
    """`file` is made where it is missing and stays; the kernel lets go of it when a process ends, however it ends."""

    file: Path
    wait_s: float = 10.0

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Raises TryLater where the others don't let go within `wait_s`."""
        with self.file.open("ab") as opened:  # opened anew each time: so threads exclude each other as well
            end = time.monotonic() + self.wait_s
            while not _locked(opened.fileno()):
                if time.monotonic() > end:
                    raise TryLater("Somebody else is changing templates; nothing was changed. Try again in a moment.")
                time.sleep(_LOOK_S)
            yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
