"""Files whose names differ in case, or in the composition of a letter, alone: macOS and Windows can't hold both."""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

from service.errors import Finding


def case_collisions(paths: Iterable[str], severity: Literal["error", "warning"]) -> Iterator[Finding]:
    """A finding for each path that another one stands in the way of; folders differ with all files in them."""
    first: dict[str, str] = {}
    for path in sorted(paths):
        other = first.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            message = f"the name differs from {other} in case or in the composition of a letter alone"
            yield Finding(path, 1, 1, severity, "file-case", message, "other machines can't hold both; rename one")
