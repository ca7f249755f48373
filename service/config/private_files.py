"""Modes of the files in EMAIL_DATA_DIR: for the service's user alone, those of an earlier version too."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

#: Files of ours in the directory itself, with logs and backups beside them; what else lies there is left alone.
_OURS = ("*.db", "*.db-*", "*.db.*", "*.lock", "secret-key*", "admin-token*")
#: Folders of ours.
_FOLDERS = ("compiled", "metrics")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_log = structlog.get_logger("files")


def make_private(directory: Path) -> None:
    """Take all rights of group and others from the directory and our files in it.

    What belongs to somebody else, such as a volume's root, is named in a warning and left as it is.
    """
    for path in _of_ours(directory):
        try:
            mode = os.lstat(path).st_mode
            if mode & _OTHERS and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
        except FileNotFoundError:  # another process has removed it meanwhile
            continue
        except OSError as error:
            _log.warning("files_open_to_others", path=str(path), reason=error.strerror)


def opener(path: str, flags: int) -> int:
    """An `opener` of `open` that creates a file for its owner alone."""
    return os.open(path, flags, 0o600)


def _of_ours(directory: Path) -> Iterator[Path]:
    yield directory
    for pattern in _OURS:
        yield from directory.glob(pattern)
    for name in _FOLDERS:
        folder = directory / name
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from folder.iterdir()
