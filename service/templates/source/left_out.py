"""Files of a template directory on this machine that are left out, as they are of a commit: a finding for each."""

import os
from collections.abc import Iterator
from pathlib import Path

from service.errors import Finding
from service.templates.source.case_collisions import misnamed
from service.templates.source.files import MAX_FILE_BYTES, is_template_file

#: So many are named.
_MAX_FINDINGS = 100


def left_out(root: Path) -> list[Finding]:
    """Findings of files that are too large, or not read for their names; links and hidden files are passed over."""
    paths = dict(_paths(root))
    found = [finding for path, file in paths.items() if (finding := _problem(path, file))]
    found += misnamed(paths.keys(), "error")
    return sorted(found, key=lambda one: one.file)[:_MAX_FINDINGS]


def _paths(root: Path) -> Iterator[tuple[str, Path]]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and not file.is_symlink():
                yield file.relative_to(root).as_posix(), file


def _problem(path: str, file: Path) -> Finding | None:
    if not is_template_file(path):
        return None
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    shown = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)  # as it is of a commit
    if shown != path:
        return Finding(
            shown[:300],
            1,
            1,
            "error",
            "file-name",
            "the file's name is not printable UTF-8; it is left out",
            "rename it",
        )
    try:
        size = file.stat().st_size
    except OSError:  # it is gone, or may not be read
        return None
    if size <= MAX_FILE_BYTES:
        return None
    message = f"the file has {size / 1e6:.1f} MB and {MAX_FILE_BYTES // 1_000_000} MB are read at most; it is left out"
    return Finding(path, 1, 1, "error", "file-too-large", message, "make it smaller, or keep it elsewhere")
