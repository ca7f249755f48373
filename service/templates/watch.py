"""Changes below a directory, as they happen, with the traps of file watching worked around.

A directory that is deleted and made again, or a symbolic link that is swapped (a Kubernetes ConfigMap), gives no more
events and no error. So the parent is watched too, the watch begins anew when the directory became another one, and a
look at the directory every second finds what no event told.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from watchfiles import watch

#: Events are collected for `_DEBOUNCE_MS` at most, looked for every `_STEP_MS` (the default, 50, makes it slow).
_STEP_MS = 10
_DEBOUNCE_MS = 200
_LOOK_S = 1.0
_MISSING: tuple[object, ...] = ("missing",)


def changes(root: Path, stop: threading.Event) -> Iterator[None]:
    """Yields after each burst of changes, and once whenever the watch began anew; ends when `stop` is set."""
    while not stop.is_set():
        seen = _identity(root)
        yield from _watch_until_replaced(root, seen, stop)
        if not stop.is_set():
            yield None


def _watch_until_replaced(root: Path, seen: tuple[object, ...], stop: threading.Event) -> Iterator[None]:
    folders = _folders(root)
    if not folders:
        stop.wait(_LOOK_S)
        return
    real = os.path.realpath(root)
    prefixes = (str(root) + os.sep, real + os.sep)
    try:
        for batch in watch(
            *folders,
            watch_filter=None,
            step=_STEP_MS,
            debounce=_DEBOUNCE_MS,
            stop_event=stop,
            rust_timeout=int(_LOOK_S * 1000),
            yield_on_timeout=True,
            recursive=True,
            raise_interrupt=False,
        ):
            if _identity(root) != seen:
                return
            if any(path.startswith(prefixes) for _, path in batch):
                yield None
    except (OSError, RuntimeError):
        # A folder went away while the watch was set up: look again in a moment.
        stop.wait(_LOOK_S / 10)


def _folders(root: Path) -> list[Path]:
    return [folder for folder in (root,) if folder.is_dir()]


def _identity(root: Path) -> tuple[object, ...]:
    """Which directory it is now: another inode or another target of the link is another directory."""
    try:
        status = root.stat()
        inside = str((root / "..data").readlink()) if (root / "..data").is_symlink() else ""
    except OSError:
        return _MISSING
    return (os.path.realpath(root), status.st_dev, status.st_ino, inside)
