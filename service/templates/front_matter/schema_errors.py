"""JSON Schema errors in plain English, with JSON pointers (RFC 6901)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from service.errors import Problem, pointer
from service.templates.findings import did_you_mean
from service.templates.front_matter.yaml_positions import KeyPath

_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_FORMATS = {
    "uri": "a URL such as https://example.com/", "email": "an e-mail address", "date": "a date such as 2026-02-21",
    "date-time": "a date and time such as 2026-02-21T14:30:00Z", "time": "a time such as 14:30:00Z", "uuid": "a UUID",
    "ipv4": "an IPv4 address", "ipv6": "an IPv6 address", "hostname": "a host name",
}  # fmt: skip
_SHOWN = 40


def dotted(path: Iterable[str | int]) -> str:
    """Format a path with dots: ("rows", 0, "label") -> "rows[0].label"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shorten(value: Any) -> str:
    """A value as JSON, shortened for a message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def problems_of(
    errors: Iterable[jsonschema_rs.ValidationError], schema: Mapping[str, Any], *, unknown: str = "variable"
) -> Iterator[tuple[KeyPath, Problem]]:
    """Yield each error with its path; the path of a missing or unknown key ends with that key."""
    for error in errors:
        path: KeyPath = tuple(error.instance_path)
        kind: Any = error.kind
        name = kind.name
        if name == "required":
            path = (*path, kind.property)
            yield path, Problem(pointer(*path), "required", f"{dotted(path)} is required")
        elif name == "additionalProperties":
            known = _properties(schema, error.schema_path)
            for key in kind.unexpected:
                hint = did_you_mean(key, known)
                message = f'unknown {unknown} "{dotted((*path, key))}"' + (f"; {hint}" if hint else "")
                yield (*path, key), Problem(pointer(*path, key), "unknown", message)
        else:
            yield path, Problem(pointer(*path), name, f"{dotted(path) or 'this'}: {_sentence(error, name)}")


def _properties(schema: Mapping[str, Any], schema_path: Iterable[str | int]) -> list[str]:
    part: Any = schema
    for key in list(schema_path)[:-1]:
        part = part.get(key, {}) if isinstance(part, Mapping) else {}
    return list(part.get("properties", ())) if isinstance(part, Mapping) else []


def _sentence(error: jsonschema_rs.ValidationError, name: str) -> str:
    kind: Any = error.kind
    value = shorten(error.instance)
    if name == "type":
        return f"{value} is not " + " or ".join(_TYPES.get(one, one) for one in sorted(kind.types, reverse=True))
    if name == "enum":
        return f"{value} is not one of " + ", ".join(shorten(option) for option in kind.options)
    if name == "format":
        return f"{value} is not {_FORMATS.get(kind.format, kind.format)}"
    limits = {
        "minimum": "is less than {}", "maximum": "is more than {}", "exclusiveMinimum": "must be more than {}",
        "exclusiveMaximum": "must be less than {}", "minLength": "is shorter than {} characters",
        "maxLength": "is longer than {} characters", "minItems": "has fewer than {} elements",
        "maxItems": "has more than {} elements",
    }  # fmt: skip
    if name in limits:
        return f"{value} " + limits[name].format(kind.limit)
    if name == "pattern":
        return f"{value} does not match {kind.pattern}"
    return error.message
