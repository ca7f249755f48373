"""Create a database's file for its owner alone; SQLite gives the mode to the log and the index beside it."""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create_private(path: Path) -> None:
    """Create the file where it is missing, and take the rights of group and others from it and what lies beside it.

    A file that can't be created, or belongs to somebody else, is left to the database to complain of.
    """
    try:
        # A new file only: to close one that is open elsewhere in this process would drop SQLite's locks on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError:
        for name in (str(path), f"{path}-wal", f"{path}-shm", f"{path}.lock"):
            _take_rights(name)


def _take_rights(name: str) -> None:
    try:
        mode = os.lstat(name).st_mode
        if stat.S_ISREG(mode) and mode & _OTHERS:
            Path(name).chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except OSError:
        return
