"""Atomic changes of a template's folder: all of a change is written, or nothing.

The changed folder is built beside the old one, under a name that readers skip, and swapped in by one rename. A process
that is killed leaves the old folder or the new one, and a draft that a later change removes.
"""

import ctypes
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

#: A template's key: the name of its folder, a part of URLs, and `template_key` in requests.
KEY = re.compile(r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])\Z)[a-z][a-z0-9_-]{0,79}")
KEY_RULE = "a template's key has 1 to 80 of a-z, 0-9, _ and -, begins with a letter, and is no device of Windows"
#: Names that are devices on Windows, with any ending: a checkout with such a file can't be made there.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?", re.I)
_DRAFT = ".draft-"
_DRAFT_AGE_S = 3_600
_AT_FDCWD = -100  # "relative to the current folder", fcntl.h of Linux
_RENAME_EXCHANGE = 2  # renameat2(2)

Changes = Mapping[str, bytes | None]
SwapFolders = Callable[[Path, Path], bool]


def is_portable(path: str) -> bool:
    """True for a path whose parts every file system can hold, and no command takes for an option."""
    return not any(
        part.startswith("-") or part.endswith((".", " ")) or _DEVICE.fullmatch(part) for part in path.split("/")
    )


class _Dumper(yaml.SafeDumper):
    """Writes repeated values out, because our reader refuses aliases."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def example_file(values: Mapping[str, Any]) -> bytes:
    """The YAML file of an example."""
    text: str = yaml.dump(dict(values), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return text.encode()


def swap_folders(one: Path, other: Path) -> bool:
    """Swap two folders in one step (Linux); False if the system or the file system can't."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number))


@contextmanager
def change_folder(root: Path, key: str, changes: Changes, *, swap: SwapFolders = swap_folders) -> Iterator[None]:
    """Apply changes to the folder `key` (path in it -> content, None to remove it); undo them if the block raises.

    The caller holds a lock: one change at a time. Raises OSError if it can't be written; then nothing has changed.
    """
    _remove_stale_drafts(root)
    target, draft = root / key, root / f"{_DRAFT}{key}-{secrets.token_hex(4)}"
    try:
        _build(target, draft, changes)
        if not target.exists():
            undo = _move(draft, target)
        elif swap(draft, target):
            undo = _swap(draft, target, swap)
        else:
            undo = _replace_files(draft, target, changes)
        _sync(root)
        with _undo_on_error(undo):
            yield
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def remove_folder(root: Path, key: str) -> Iterator[None]:
    """Remove the folder `key`; put it back if the block raises. Raises OSError if it can't be removed."""
    _remove_stale_drafts(root)
    draft = root / f"{_DRAFT}{key}-{secrets.token_hex(4)}"
    undo = _move(root / key, draft)
    try:
        _sync(root)
        with _undo_on_error(undo):
            yield
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _undo_on_error(undo: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        undo()
        raise


def _remove_stale_drafts(root: Path) -> None:
    """Remove drafts of killed processes; a young one may belong to a process that works without our lock."""
    for draft in root.glob(f"{_DRAFT}*"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_ctime > _DRAFT_AGE_S:
                shutil.rmtree(draft, ignore_errors=True)


def _build(target: Path, draft: Path, changes: Changes) -> None:
    if target.is_symlink() or any(path.is_symlink() for path in target.rglob("*")):
        raise OSError(errno.EROFS, "it comes through symbolic links, as mounted configuration does")
    if target.exists():
        shutil.copytree(target, draft)
    else:
        draft.mkdir()
    for name, data in changes.items():
        file = draft / name
        if data is None:
            file.unlink(missing_ok=True)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        _sync(folder)


def _move(source: Path, target: Path) -> Callable[[], None]:
    def undo() -> None:
        target.rename(source)

    source.rename(target)
    return undo


def _swap(draft: Path, target: Path, swap: SwapFolders) -> Callable[[], None]:
    def undo() -> None:
        swap(draft, target)

    return undo


def _replace_files(draft: Path, target: Path, changes: Changes) -> Callable[[], None]:
    """Replace file by file, where folders can't be swapped; the old files are kept until all are replaced."""
    old = draft / ".old"
    done: list[str] = []

    def undo() -> None:
        for name in reversed(done):
            if (old / name).exists():
                (old / name).replace(target / name)
            else:
                (target / name).unlink(missing_ok=True)

    with _undo_on_error(undo):
        for name, data in changes.items():
            for folder in (old, target):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (target / name).exists():
                shutil.copy2(target / name, old / name)
            done.append(name)
            if data is None:
                (target / name).unlink(missing_ok=True)
            else:
                (draft / name).replace(target / name)
    return undo


def _sync(folder: Path) -> None:
    """Write a folder to disk, which makes renames in it durable (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
