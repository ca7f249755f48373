"""The folder of snapshots on this machine: read, written and tidied."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from service.errors import Conflict
from service.templates.snapshots.compare import is_snapshot

#: A rendered part has 2 MB at most; a larger file is no recorded mail.
_MAX_BYTES = 5_000_000


def listed(folder: Path) -> list[str]:
    """The paths of recorded mails below the folder, in order; links are not followed, nor is the folder if it is one.

    What is listed may be deleted, and a pull request may hold a link to a folder of whoever looks at it.
    """
    return [] if folder.is_symlink() else sorted(_listed(folder, ""))


def read(folder: Path) -> dict[str, bytes]:
    """All recorded mails, by path below the folder; {} where there is no folder."""
    return {path: read_one(folder, path) for path in listed(folder)}


def read_one(folder: Path, path: str) -> bytes:
    """A recorded mail's file; of one that is too large to be one, its beginning."""
    with (folder / path).open("rb") as file:
        return file.read(_MAX_BYTES)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, and the folders that they need. Raises Conflict where a link stands in the place of one."""
    for path, data in files.items():
        check_no_link(folder, path)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def check_no_link(folder: Path, path: str) -> None:
    """Raise Conflict where a file of the folder, a folder above it, or the folder itself is a symbolic link."""
    target = folder / path
    if any(one.is_symlink() for one in (target, *target.parents) if one.is_relative_to(folder)):
        raise Conflict(f"{folder.name}/{path} is, or is in, a symbolic link; put a file in its place.")


def delete(folder: Path, paths: Iterable[str]) -> None:
    """Delete files, and the folders below `folder` that are empty then."""
    for path in paths:
        target = folder / path
        target.unlink(missing_ok=True)
        with suppress(OSError):  # it holds another file, which another process may just have written
            for above in target.parents[: len(target.relative_to(folder).parts) - 1]:
                above.rmdir()


def _listed(folder: Path, prefix: str) -> Iterator[str]:
    try:
        entries = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _listed(entry, f"{prefix}{entry.name}/")
        elif is_snapshot(entry.name):
            yield prefix + entry.name
