"""A lock across threads and processes of one machine: flock on a file."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.config.private_files import opener
from service.errors import TryLater

_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class FileLock:
    """A lock on `file`, which is created where it is missing; the kernel releases it when a process ends.

    `changing` names for people what it protects.
    """

    file: Path
    wait_s: float = 10.0
    changing: str = "templates"

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Hold the lock meanwhile. Raises TryLater where it is not free within `wait_s`."""
        with open(self.file, "ab", opener=opener) as opened:  # opened each time, so that threads exclude each other too
            end = time.monotonic() + self.wait_s
            while not _locked(opened.fileno()):
                if time.monotonic() > end:
                    raise TryLater(
                        f"Somebody else is changing {self.changing}; nothing was changed. Try again in a moment."
                    )
                time.sleep(_LOOK_S)
            yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
