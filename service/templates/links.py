"""Links between template files: which files a template may take in, found without compiling it."""

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping

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
    `paths` are those of all files, `read` returns the contents of some of them; `known` are paths that may be named.
    """

    def __init__(
        self, paths: Collection[str], read: Callable[[Collection[str]], Mapping[str, bytes]], known: Collection[str]
    ) -> None:
        self._read = read
        self._known = known
        self._folders: dict[str, set[str]] = {}
        for path in paths:
            self._folders.setdefault(path.split("/", 1)[0], set()).add(path)
        self._named: dict[str, frozenset[str]] = {}

    @classmethod
    def of(cls, files: Files, known: Collection[str]) -> "Links":
        """The links of files in memory."""
        return cls(
            files.by_path, lambda some: {path: files.by_path[path].data for path in some if path in files}, known
        )

    def reached(self, key: str) -> set[str]:
        """The files of a template's folder, and all that these may take in; also known ones that do not exist here."""
        reached = set(self._folders.get(key, ()))
        edge = set(reached)
        for _ in range(_MAX_DEPTH):
            edge = set(self._names(edge)) - reached
            if not edge:
                break
            reached |= edge
        return reached

    def _names(self, paths: Collection[str]) -> Iterator[str]:
        contents = self._read([path for path in paths if path not in self._named])
        for path in paths:
            if path not in self._named:
                text = contents.get(path, b"")[:_MAX_BYTES].decode("utf-8", "replace")
                self._named[path] = frozenset(self._found(path, text))
            yield from self._named[path]

    def _found(self, path: str, text: str) -> Iterator[str]:
        for double, single in _QUOTED.findall(text):
            name = double or single
            for candidate in (resolve(path, name), posixpath.normpath(name)):
                if candidate is not None and candidate in self._known:
                    yield candidate
