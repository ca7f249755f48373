"""A YAML reader with positions. Data as in JSON: no dates, no "yes", no octal numbers, no aliases."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.positions import Place, Source
from service.templates.size_limits import MAX_YAML

#: The path of a value: keys of mappings and indexes of lists.
KeyPath = tuple[str | int, ...]
MAX_NODES = 20_000
_NOT_IN_TEXT = re.compile("[\0\ud800-\udfff]")
#: As in the variables of a request.
_MAX_BITS = 128


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SafeLoader with JSON's types: a plain 2026-02-21 stays a text, so does 0123, and so does yes."""


_Loader.yaml_implicit_resolvers = {}

_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9]\d*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$"), list("-0123456789")
)


@dataclass
class Document:
    """A YAML document: its `data` as JSON values, and the positions of values, keys and texts by path."""

    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    sources: dict[KeyPath, Source] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """The position of the value at `path`, or of its nearest ancestor."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def key_place(self, path: KeyPath) -> Place:
        """The position of the key at `path`; of the value if it has no key (an element of a list)."""
        return self.keys.get(path) or self.place(path)


def read_yaml(text: str, file: str, collector: FindingCollector, *, first_line: int = 1) -> Document:
    """Read YAML with positions. Raises CompileAborted for invalid YAML, an alias, or too much of it; reported."""
    if len(text) > MAX_YAML:
        collector.error(
            Place(file, first_line, 1), "too-large", f"YAML of more than {MAX_YAML} characters", "shorten it"
        )
        raise CompileAborted
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        # An error at the end of the text belongs to the beginning of the value that never ends.
        is_at_end = "end of stream" in (error.problem or "") and error.context_mark is not None
        mark = error.context_mark if is_at_end else error.problem_mark or error.context_mark
        place = Place(file, first_line + (mark.line if mark else 0), (mark.column if mark else 0) + 1)
        collector.error(place, "yaml-syntax", f"YAML: {error.problem or error.context}", _hint(error))
        raise CompileAborted from None
    except (yaml.YAMLError, RecursionError) as error:
        message = str(error).split("\n", 1)[0]
        collector.error(Place(file, first_line, 1), "yaml-syntax", f"YAML: {message}", "save the file as plain text")
        raise CompileAborted from None
    return _Reader(text, file, first_line, collector).document(node)


def _hint(error: yaml.MarkedYAMLError) -> str:
    if "mapping values are not allowed" in (error.problem or "") or "expected <block end>" in (error.problem or ""):
        return 'put a text that holds ": " or begins with {, [, *, &, !, % or @ into quotes'
    if "tab" in (error.problem or "") or "\\t" in (error.problem or ""):
        return "indent with spaces"
    if "cannot start any token" in (error.problem or "") or "flow mapping" in (error.context or ""):
        return 'put a text that begins with {, [, *, &, !, % or @ into quotes: "{{ … }}"'
    return ""


class _Reader:
    def __init__(self, text: str, file: str, first_line: int, collector: FindingCollector) -> None:
        self._text = text
        self._file = file
        self._first_line = first_line
        self._collector = collector
        self._constructor = yaml.constructor.SafeConstructor()
        self._document = Document(places={(): Place(file, first_line, 1)})
        self._seen: set[int] = set()

    def document(self, node: yaml.Node | None) -> Document:
        if node is not None:
            self._document.data = self._value(node, ())
        return self._document

    def _place(self, mark: yaml.Mark) -> Place:
        return Place(self._file, self._first_line + mark.line, mark.column + 1)

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        place = self._place(node.start_mark)
        if id(node) in self._seen or len(self._seen) > MAX_NODES or len(path) > 40:
            self._collector.error(
                place,
                "yaml-alias",
                "aliases and very deep nesting are not supported",
                "write the value out, with fewer levels",
            )
            raise CompileAborted
        self._seen.add(id(node))
        self._document.places[path] = place
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._collector.error(place, "yaml-syntax", f"YAML: the tag {node.tag} is not supported", "delete it")
            raise CompileAborted
        if not isinstance(node, yaml.ScalarNode):
            raise TypeError(node)
        return self._scalar(node, path, place)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node.start_mark)
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None:
                self._check_scalar(key, place)
            if key is None or key == "<<":
                self._collector.error(
                    place,
                    "yaml-syntax",
                    "YAML: a key must be a plain word",
                    'put a text that begins with {{ into quotes: "{{ … }}"',
                )
                raise CompileAborted
            if key in found:
                self._collector.error(place, "duplicate-key", f'"{key}" is given twice', "delete one")
            self._document.keys[(*path, key)] = place
            found[key] = self._value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, place: Place) -> Any:
        try:
            value = self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            value = node.value
        self._check_scalar(value, place)
        if isinstance(value, str):
            self._document.sources[path] = self._source(node, value, place)
        return value

    def _check_scalar(self, value: Any, place: Place) -> None:
        """Refuse what JSON, a database or UTF-8 can't hold."""
        if isinstance(value, str) and (found := _NOT_IN_TEXT.search(value)):
            self._collector.error(
                place, "control-character", f"the text has the control character {found[0]!r}", "delete it"
            )
            raise CompileAborted
        is_huge = isinstance(value, int) and value.bit_length() > _MAX_BITS
        if is_huge or (isinstance(value, float) and not math.isfinite(value)):
            self._collector.error(place, "yaml-syntax", "YAML: the number is too large", "put it into quotes")
            raise CompileAborted

    def _source(self, node: yaml.ScalarNode, value: str, place: Place) -> Source:
        """The position of the text: after the quote, or on the line below `|`."""
        if node.style in ("|", ">"):
            below = self._text[node.start_mark.index :].split("\n", 2)[1:2]
            indent = len(below[0]) - len(below[0].lstrip()) if below else 0
            return Source(self._file, value, place.line + 1, indent + 1, indent)
        quoted = node.style in ("'", '"')
        return Source(self._file, value, place.line, place.column + quoted)
