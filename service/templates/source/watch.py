"""File watching: changes below a directory, also when the directory itself is replaced.

A directory that is deleted and made again, or a symbolic link that is swapped (a Kubernetes ConfigMap), gives no more
events and no error. Watching the parent would include everything below it; so the directory's identity is compared
twice a second, and the watch begins anew if it has changed.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from watchfiles import watch

#: Events are collected for `_DEBOUNCE_MS` at most, polled every `_STEP_MS` (the default, 50, is slow).
_STEP_MS = 5
_DEBOUNCE_MS = 200
_LOOK_S = 0.5
#: Top-level names; None: anything.
Changed = frozenset[str] | None
_MISSING: tuple[object, ...] = ("missing",)


def watch_changes(root: Path, stop: threading.Event) -> Iterator[Changed]:
    """Yield the top-level names of each burst of changes, until `stop` is set.

    None means that anything may have changed: once whenever a watch has begun (earlier changes gave no event). In
    between an empty set comes about twice a second, so that the caller can check the time.
    """
    while not stop.is_set():
        seen = _identity(root)
        yield from _watch_until_replaced(root, seen, stop)
        if not stop.is_set():
            yield None


def _watch_until_replaced(root: Path, seen: tuple[object, ...], stop: threading.Event) -> Iterator[Changed]:
    if not root.is_dir():
        stop.wait(_LOOK_S)
        return
    has_begun = False
    try:
        for batch in watch(
            root,
            watch_filter=None,
            step=_STEP_MS,
            debounce=_DEBOUNCE_MS,
            stop_event=stop,
            rust_timeout=int(_LOOK_S * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            if _identity(root) != seen:
                return
            yield _names(root, (path for _, path in batch)) if has_begun else None
            has_begun = True
    except (OSError, RuntimeError):
        # A folder went away while the watch was set up: look again in a moment.
        stop.wait(_LOOK_S)


def _names(root: Path, paths: Iterable[str]) -> Changed:
    """The first parts of the paths below `root`; None if one is `root` itself, or hidden (links lead to those)."""
    names = set()
    for path in paths:
        try:
            name = Path(path).relative_to(root.absolute()).parts[:1]
        except ValueError:
            return None
        if not name or name[0].startswith("."):
            return None
        names.add(name[0])
    return frozenset(names)


def _identity(root: Path) -> tuple[object, ...]:
    """The identity of a directory: another inode or another target of the link is another directory."""
    try:
        status = root.stat()
        inside = str((root / "..data").readlink()) if (root / "..data").is_symlink() else ""
    except OSError:
        return _MISSING
    return (os.path.realpath(root), status.st_dev, status.st_ino, inside)
