"""Links between template files: which files a template may take in, found without compiling it."""

import posixpath
import re
from collections.abc import Iterator

from service.templates.source.files import Files, resolve

#: Levels at which files take in each other, as the compiler has it.
_MAX_DEPTH = 20
#: Longer files are read so far, as the compiler reads none of them.
_MAX_BYTES = 500_000
#: A text between quotes, which may be the name of a file that is taken in.
_QUOTED = re.compile(r"\"([^\"\n]{1,250})\"|'([^'\n]{1,250})'")


class Links:
    """Names between quotes that are paths of template files, from file to file.

    The compiler knows exactly what a template takes in; this finds it and perhaps more, in a hundredth of the time.
    `known` are paths that exist in any state that is of interest.
    """

    def __init__(self, files: Files, known: frozenset[str]) -> None:
        self._files = files
        self._known = known
        self._named: dict[str, frozenset[str]] = {}

    def reached(self, key: str) -> set[str]:
        """The files of a template's folder, and all that these may take in; also those that do not exist here."""
        reached = set(self._files.folder(key))
        edge = set(reached)
        for _ in range(_MAX_DEPTH):
            edge = {name for path in edge for name in self._names(path)} - reached
            if not edge:
                break
            reached |= edge
        return reached

    def _names(self, path: str) -> frozenset[str]:
        if path not in self._named:
            file = self._files.by_path.get(path)
            text = file.data[:_MAX_BYTES].decode("utf-8", "replace") if file else ""
            self._named[path] = frozenset(self._found(path, text))
        return self._named[path]

    def _found(self, path: str, text: str) -> Iterator[str]:
        for double, single in _QUOTED.findall(text):
            name = double or single
            for candidate in (resolve(path, name), posixpath.normpath(name)):
                if candidate is not None and candidate in self._known:
                    yield candidate
