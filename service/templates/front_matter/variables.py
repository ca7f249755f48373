"""The variables of a template: their JSON Schema, validation of values, and filling in of defaults."""

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from service.errors import Problem, pointer
from service.templates.findings import FindingCollector
from service.templates.front_matter.schema_errors import problems_of
from service.templates.front_matter.yaml_positions import Document, KeyPath
from service.templates.runtime.undefined import OptionalUndefined
from service.templates.size_limits import MAX_VARIABLES

#: Patterns of authors meet values of callers: this engine takes time by the length of a text alone, and refuses
#: patterns that would need more (look-around, references back).
PATTERNS = jsonschema_rs.RegexOptions(size_limit=1_000_000)
#: A caller reads no more mistakes at once, and each takes time to explain.
_MAX_PROBLEMS = 100
_VARIABLE = json.loads(files("service.templates.front_matter").joinpath("variable_schema.json").read_text("utf-8"))
_MAX_DEPTH = 32
#: A value counts as four bytes and its length, in JSON as two (`7,`) or more.
_LARGEST_SHARE = 3
#: A number of more than 128 bits has more digits.
_MANY_DIGITS = b"0" * 38
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")


def normalise_declaration(declared: Any) -> Any:
    """Expand the short form of a declaration, nested ones too: `string` becomes `{type: [string]}`."""
    if isinstance(declared, (str, list)):
        declared = {"type": declared}
    if not isinstance(declared, dict):
        return declared
    long = dict(declared)
    if isinstance(long.get("type"), str):
        long["type"] = [long["type"]]
    if "items" in long:
        long["items"] = normalise_declaration(long["items"])
    if isinstance(long.get("properties"), dict):
        long["properties"] = {name: normalise_declaration(one) for name, one in long["properties"].items()}
    return long


def variables_schema(document: Document, collector: FindingCollector) -> dict[str, Any]:
    """The JSON Schema (2020-12) of all variables; a wrong declaration is reported and accepts any value."""
    declared = document.data.get("variables") or {} if isinstance(document.data, dict) else {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    validator = jsonschema_rs.Draft202012Validator(_VARIABLE)
    for name, one in declared.items() if isinstance(declared, dict) else ():
        long = normalise_declaration(one)
        wrong = list(problems_of(validator.iter_errors(long), _VARIABLE, unknown="keyword"))
        for path, problem in wrong:
            place = document.key_place(("variables", name, *path))
            collector.error(
                place, "bad-variable", f'variable "{name}": {problem.message}', "see the author's guide, variables"
            )
        if wrong:
            properties[name] = {}
            continue
        properties[name] = _schema(long)
        if _is_required(long):
            required.append(name)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if (count := _count(properties)) > MAX_VARIABLES:
        message = f"{count} variables and properties; {MAX_VARIABLES} are allowed"
        collector.error(document.place(("variables",)), "too-large", message, "pass less to the template")
        schema["properties"] = properties = {}
    try:
        jsonschema_rs.Draft202012Validator(schema, pattern_options=PATTERNS)
    except ValueError as error:
        path = tuple(getattr(error, "instance_path", ()))[1:]
        message = str(error).split("\n", 1)[0]
        collector.error(
            document.place(("variables", *path)), "bad-variable", f"a variable's schema is wrong: {message}"
        )
        schema["properties"] = {name: {} for name in properties}
    return schema


def _count(properties: Mapping[str, Any]) -> int:
    """The number of variables, with the properties of objects."""
    inner = ((one, one.get("items")) for one in properties.values())
    below = sum(_count(one["properties"]) for pair in inner for one in pair if one and "properties" in one)
    return len(properties) + below


def _is_required(long: Mapping[str, Any]) -> bool:
    return long.get("required") is not False and "default" not in long


def _schema(long: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in long.items() if key not in ("required", "example", "type")}
    schema["type"] = long["type"][0] if len(long["type"]) == 1 else list(long["type"])
    if "example" in long:
        schema["examples"] = [long["example"]]
    if "items" in long:
        schema["items"] = _schema(long["items"])
    if "properties" in long:
        schema["properties"] = {name: _schema(one) for name, one in long["properties"].items()}
        if isinstance(long.get("required"), list):
            schema["required"] = list(long["required"])
        else:
            schema["required"] = [name for name, one in long["properties"].items() if _is_required(one)]
    return schema


def default_example(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """An example made of the variables' own examples, and the required variables that have none."""
    example: dict[str, Any] = {}
    missing: list[str] = []
    for name, one in schema["properties"].items():
        if one.get("examples"):
            example[name] = one["examples"][0]
        elif "default" not in one and name in schema["required"]:
            missing.append(name)
    return example, missing


class VariablesCheck:
    """Validates values against a template's schema. Thread-safe."""

    def __init__(self, schema: Mapping[str, Any], max_bytes: int) -> None:
        self._schema = schema
        self._max_bytes = max_bytes
        self._validator = jsonschema_rs.Draft202012Validator(
            dict(schema), validate_formats=True, pattern_options=PATTERNS
        )

    def problems(self, variables: Mapping[str, Any]) -> list[Problem]:
        """Every mistake, up to a hundred, with pointers relative to the variables; an unknown variable is one."""
        if not self.is_plain(variables) and (found := list(islice(self.unsound(variables), _MAX_PROBLEMS))):
            return found
        values = dict(variables)
        if self._validator.is_valid(values):
            return []
        errors = problems_of(self._validator.iter_errors(values), self._schema)
        return [problem for _, problem in islice(errors, _MAX_PROBLEMS)]

    def is_plain(self, variables: Mapping[str, Any]) -> bool:
        """True if the JSON shows that `unsound` would find nothing: walking the values costs ten times as much."""
        try:
            encoded = msgspec.json.encode(variables)
        except (TypeError, ValueError, RecursionError):
            return False
        return (
            _LARGEST_SHARE * len(encoded) < self._max_bytes
            and encoded.count(b"{") + encoded.count(b"[") <= _MAX_DEPTH
            and b"null" not in encoded  # which is what infinity and NaN become
            and b"\\" not in encoded  # line breaks, and what else can't be printed
            and _MANY_DIGITS not in encoded.translate(_DIGITS_ALIKE)
            and (encoded.isascii() or encoded.decode().isprintable())
            and all(type(name) is str for name in variables)
        )

    def unsound(self, variables: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield mistakes that no schema finds: too many bytes, too many levels, numbers and texts that JSON lacks."""
        size = 0
        stack: list[tuple[KeyPath, Any]] = [((), variables)]
        while stack:
            path, value = stack.pop()
            size += 4
            if isinstance(value, str):
                size += len(value)
                if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
                    yield Problem(pointer(*path), "text", "the text holds half of a surrogate pair")
            elif isinstance(value, Mapping):
                if not all(isinstance(key, str) and key.isprintable() for key in value):
                    yield Problem(pointer(*path), "text", "a key holds characters that can't be printed")
                    continue
                size += sum(map(len, value))
                stack += [((*path, key), one) for key, one in value.items()]
            elif isinstance(value, (list, tuple)):
                stack += [((*path, index), one) for index, one in enumerate(value)]
            elif isinstance(value, float) and value - value != 0:
                yield Problem(pointer(*path), "number", "infinity and NaN are not numbers in JSON")
            elif isinstance(value, int) and value.bit_length() > 128:
                yield Problem(pointer(*path), "number", "the number is too large")
            if len(path) > _MAX_DEPTH:
                yield Problem(pointer(*path), "too_deep", f"more than {_MAX_DEPTH} levels inside each other")
                return
            if size > self._max_bytes:
                yield Problem("", "too_large", f"the variables have more than {self._max_bytes} bytes")
                return


Filler = Callable[[Any], Any]


def filler_for(schema: Mapping[str, Any]) -> Filler | None:
    """A function that adds defaults, and `OptionalUndefined` for missing optional values; None if none is needed."""
    if "properties" in schema:
        return _object_filler(schema)
    if isinstance(schema.get("items"), Mapping) and (inner := filler_for(schema["items"])) is not None:
        return lambda value: [inner(one) for one in value] if isinstance(value, list) else value
    return None


def _object_filler(schema: Mapping[str, Any]) -> Filler | None:
    required = frozenset(schema.get("required", ()))
    base: dict[str, Any] = {}
    inner: list[tuple[str, Filler]] = []
    for name, one in schema["properties"].items():
        if "default" in one:
            base[name] = one["default"]
        elif name not in required:
            base[name] = OptionalUndefined(name=name)
        if (fill := filler_for(one)) is not None:
            inner.append((name, fill))
    if not base and not inner:
        return None

    def complete(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        filled = {**base, **value}
        for name, fill in inner:
            if name in filled:
                filled[name] = fill(filled[name])
        return filled

    return complete
