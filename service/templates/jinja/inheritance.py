"""Static inheritance and inclusion: extends, block, super and include are expanded before MJML is parsed.

The result is one list of pieces without these tags. Imports stay, with the module's path relative to the template
directory, and the module is recorded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import Piece, Token, Tokens
from service.templates.positions import Place
from service.templates.size_limits import SizeMeter
from service.templates.source.files import resolve

MAX_DEPTH = 16
_STRING = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_EXTENDS = re.compile(rf"extends\s+{_STRING}$", re.S)
_NAMES = rf"{_STRING}|[\[(]\s*{_STRING}(?:\s*,\s*{_STRING})*\s*(?:,\s*)?[\])]"
_INCLUDE = re.compile(rf"include\s+({_NAMES})(?:\s+ignore\s+missing)?(?:\s+with(?:out)?\s+context)?$", re.S)
_IMPORT = re.compile(rf"(import|from)(\s+){_STRING}(\s.*)$", re.S)
_BLOCK = re.compile(r"block\s+(\w+)(?:\s+(?:scoped|required))*$")

#: Reads and scans a file that is taken in at a place. Returns None for a file that does not exist; raises
#: CompileAborted for one that can't be scanned, which is reported.
Load = Callable[[str, Place], "list[Piece] | None"]


@dataclass
class Flattener:
    """Expands inheritance and inclusion. `load` reads other files, `imports` collects the imported modules.

    `overrides` are the blocks of children, the innermost child's first; an include in the parent sees them too.
    """

    load: Load
    tokens: Tokens
    collector: FindingCollector
    size: SizeMeter
    imports: dict[str, Place] = field(default_factory=dict)
    overrides: dict[str, list[list[Piece]]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def flatten(self, pieces: list[Piece], path: str, *, stack: tuple[str, ...] = ()) -> list[Piece]:
        """Expand the pieces of the file `path`. Raises CompileAborted if a name can't be resolved; reported."""
        stack = (*stack, path)
        extends = next((p for p in pieces if isinstance(p, Token) and p.word == "extends"), None)
        return self._child(extends, pieces, stack) if extends else self._inside(pieces, stack)

    def _child(self, extends: Token, pieces: list[Piece], stack: tuple[str, ...]) -> list[Piece]:
        found = _EXTENDS.match(extends.body)
        if found is None:
            self.collector.error(
                extends.place,
                "dynamic-name",
                f"{extends} must name its parent as a text in quotes",
                'write {% extends "…" %}',
            )
            raise CompileAborted
        parent = self._resolve(extends, found[1], stack)
        kept: list[Piece] = []
        blocks: dict[str, list[Piece]] = {}
        places: dict[str, Place] = {}
        index = pieces.index(extends) + 1
        while index < len(pieces):
            piece = pieces[index]
            if isinstance(piece, Token) and piece.word == "block":
                end = _end(pieces, index)
                name = self._block_name(piece)
                blocks[name], places[name] = pieces[index + 1 : end], piece.place
                index = end + 1
            elif isinstance(piece, Token) and piece.word in ("set", "import", "from", "macro"):
                end = _end(pieces, index) if piece.opens else index
                kept += pieces[index : end + 1]
                index = end + 1
            else:
                if isinstance(piece, Token) or piece.text.strip():
                    place = (
                        piece.place
                        if isinstance(piece, Token)
                        else piece.source.place(piece.offset + len(piece.text) - len(piece.text.lstrip()))
                    )
                    self.collector.error(
                        place,
                        "outside-block",
                        "this is outside of any block and would never be shown",
                        "put it into a {% block %} that the parent has",
                    )
                index += 1
        for name, content in blocks.items():
            self.overrides.setdefault(name, []).append(content)
        loaded = self._load(parent, extends)
        kept = self._inside(kept, stack)
        flat = self.flatten(loaded, parent, stack=stack)
        for name, place in places.items():
            if name not in self.used:
                self.collector.error(
                    place,
                    "unknown-block",
                    f'no parent has a block "{name}"',
                    "take the name of a block that the parent has: its content would never be shown",
                )
        return kept + flat

    def _inside(self, pieces: list[Piece], stack: tuple[str, ...]) -> list[Piece]:
        flat: list[Piece] = []
        index = 0
        while index < len(pieces):
            piece = pieces[index]
            index += 1
            if not isinstance(piece, Token) or piece.kind != "control":
                flat.append(piece)
            elif piece.word == "block":
                end = _end(pieces, index - 1)
                flat += self._block(self._block_name(piece), pieces[index:end], stack)
                index = end + 1
            elif piece.word == "include":
                flat += self._include(piece, stack)
            elif piece.word in ("import", "from"):
                flat.append(self._import(piece, stack))
            else:
                flat.append(piece)
        return flat

    def _block(self, name: str, default: list[Piece], stack: tuple[str, ...]) -> list[Piece]:
        """The content of a block: the innermost child's, in which `super()` is the content of the next parent."""
        self.used.add(name)
        content = default
        for override in reversed(self.overrides.get(name, [])):
            expanded: list[Piece] = []
            for piece in override:
                if isinstance(piece, Token) and re.fullmatch(r"super\s*\(\s*\)", piece.body):
                    self.size.include(piece.place)
                    self.size.add(sum(map(_length, content)), piece.place)
                    expanded += self._copies(content)
                else:
                    expanded.append(piece)
            content = expanded
        return self._inside(content, stack)

    def _include(self, token: Token, stack: tuple[str, ...]) -> list[Piece]:
        found = _INCLUDE.match(token.body)
        if found is None:
            self.collector.error(
                token.place,
                "dynamic-name",
                f"{token} must name its file as a text in quotes",
                'write {% include "…" %}',
            )
            raise CompileAborted
        names = re.findall(_STRING, found[1])
        for name in names:
            wanted = self._resolve(token, name, stack)
            loaded = self.load(wanted, token.place)
            if loaded is not None:
                return self.flatten(loaded, wanted, stack=stack)
        if "ignore" not in token.body:
            self._missing(token, " or ".join(names))
        return []

    def _import(self, token: Token, stack: tuple[str, ...]) -> Token:
        found = _IMPORT.match(token.body)
        if found is None:
            self.collector.error(
                token.place,
                "dynamic-name",
                f"{token} must name its file as a text in quotes",
                'write {% import "…" as name %}',
            )
            raise CompileAborted
        module = self._resolve(token, found[3], stack)
        self.imports.setdefault(module, token.place)
        return self.tokens.new("control", f'{found[1]} "{module}"{found[4]}', token.place, token.word)

    def _resolve(self, token: Token, quoted: str, stack: tuple[str, ...]) -> str:
        wanted = quoted[1:-1]  # a backslash, as an escape has it, is in no path
        found = resolve(token.place.file, wanted)
        if found is None:
            self.collector.error(
                token.place,
                "outside-directory",
                f'"{wanted}" leads out of the template directory',
                "use a path inside it",
            )
            raise CompileAborted
        if found in stack or len(stack) > MAX_DEPTH:
            self.collector.error(
                token.place, "include-cycle", "a file includes itself: " + " -> ".join((*stack, found))
            )
            raise CompileAborted
        return found

    def _load(self, path: str, token: Token) -> list[Piece]:
        loaded = self.load(path, token.place)
        if loaded is None:
            self._missing(token, path)
            raise CompileAborted
        return loaded

    def _missing(self, token: Token, name: str) -> None:
        self.collector.error(
            token.place, "file-not-found", f"there is no file {name}", "paths are relative to the file that includes"
        )

    def _copies(self, pieces: list[Piece]) -> list[Piece]:
        """Copy pieces with new tokens, because each control tag must come out exactly once."""
        return [
            self.tokens.new(p.kind, p.body, p.place, p.word, p.body_place) if isinstance(p, Token) else p
            for p in pieces
        ]

    def _block_name(self, token: Token) -> str:
        found = _BLOCK.match(token.body)
        return found[1] if found else token.body


def _length(piece: Piece) -> int:
    """The characters that a piece counts for; even an empty one takes memory."""
    return 1 + len(piece.body if isinstance(piece, Token) else piece.text)


def _end(pieces: list[Piece], start: int) -> int:
    """The index of the tag that closes the block opened at `start`."""
    depth = 0
    for index in range(start, len(pieces)):
        piece = pieces[index]
        if isinstance(piece, Token):
            depth += piece.opens - piece.closes
            if depth == 0:
                return index
    return len(pieces)
