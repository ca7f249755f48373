"""Files whose names differ in case, or in the composition of a letter, alone: macOS and Windows can't hold both.

And files that are not read because of their case, which those machines hide from their authors.
"""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from service.errors import Finding
from service.templates.source.files import is_template_file

_NAMES = ("template.mjml", "template.txt")


def case_collisions(paths: Iterable[str], severity: Literal["error", "warning"]) -> Iterator[Finding]:
    """A finding for each path that another one stands in the way of; folders differ with all files in them."""
    first: dict[str, str] = {}
    for path in sorted(paths):
        other = first.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            message = f"the name differs from {other} in case or in the composition of a letter alone"
            yield Finding(path, 1, 1, severity, "file-case", message, "other machines can't hold both; rename one")


def misnamed(paths: Collection[str], severity: Literal["error", "warning"]) -> Iterator[Finding]:
    """A finding for each file that would be a template's, its text's or an example's if it were written in lower case.

    `paths` are those of all files, also of those whose ending is not read. A language may have capitals.
    """
    for path in sorted(paths):
        folder, _, name = path.partition("/")
        parts = name.split("/")
        fixed = parts[0].lower() if len(parts) > 1 or parts[0].lower() in _NAMES else parts[0]
        rest = [part if number < len(parts) - 1 else _with_ending(part) for number, part in enumerate(parts[1:], 1)]
        meant = "/".join([folder, _with_ending(fixed), *rest])
        is_meant = name and not folder.startswith((".", "_")) and (len(parts) == 1 or fixed == "examples")
        if is_meant and meant != path and meant not in paths and is_template_file(meant):
            message = f"the file is not read: it would have to be {meant}"
            yield Finding(path, 1, 1, severity, "file-case", message, "rename it; capitals count in names")


def _with_ending(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return f"{stem}{dot}{ending.lower()}" if dot else name
