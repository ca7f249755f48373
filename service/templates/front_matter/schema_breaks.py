"""Breaking changes between two schemas of variables: what the new one refuses and the old one accepted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

#: Bounds that may only move outward. A missing one is no bound.
_LOWER = (("minLength", 0), ("minItems", 0))
_UPPER = ("maxLength", "maxItems")


@dataclass(frozen=True, slots=True)
class BreakingChange:
    """A breaking change: the `variable` (`rows[].label`), its `path` in the front matter, and a `clause` of text."""

    variable: str
    path: tuple[str, ...]
    clause: str


def breaking_changes(before: Schema, now: Schema) -> Iterator[BreakingChange]:
    """Yield where the variables of `now` refuse values that `before` accepted."""
    yield from _of_object(before, now, "", ("variables",))


def _of_object(before: Schema, now: Schema, name: str, path: tuple[str, ...]) -> Iterator[BreakingChange]:
    old, new = before.get("properties", {}), now.get("properties", {})
    is_closed = now.get("additionalProperties") is False

    def inner(key: str) -> tuple[str, tuple[str, ...]]:
        return (f"{name}.{key}", (*path, "properties", key)) if name else (key, (*path, key))

    for key in old:
        if key not in new and is_closed:
            yield BreakingChange(*inner(key), "was removed, and a request that still has it is refused")
    if is_closed and before.get("additionalProperties") is not False:
        yield BreakingChange(name, path, "no longer accepts further properties")
    for key, schema in new.items():
        if key in now.get("required", ()) and key not in before.get("required", ()):
            yield BreakingChange(*inner(key), "became required" if key in old else "is new and required")
        if key in old:
            yield from _of_value(old[key], schema, *inner(key))


def _of_value(before: Schema, now: Schema, name: str, path: tuple[str, ...]) -> Iterator[BreakingChange]:
    for clause in (*_types_gone(before, now), *_values_gone(before, now), *_bounds(before, now)):
        yield BreakingChange(name, path, clause)
    for keyword in ("pattern", "format"):
        if keyword in now and now[keyword] != before.get(keyword):
            yield BreakingChange(name, path, f"has {'another' if keyword in before else 'a new'} {keyword}")
    if "items" in now:
        if "items" not in before:
            yield BreakingChange(name, path, "now restricts its items")
        else:
            yield from _of_value(before["items"], now["items"], f"{name}[]", (*path, "items"))
    if "properties" in now or now.get("additionalProperties") is False:
        yield from _of_object(before, now, name, path)


def _types_gone(before: Schema, now: Schema) -> Iterator[str]:
    still = _types(now) | ({"integer"} if "number" in _types(now) else set())
    if gone := sorted(_types(before) - still):
        yield f"no longer accepts the type {' or '.join(gone)}"


def _values_gone(before: Schema, now: Schema) -> Iterator[str]:
    allowed, were = _allowed(now), _allowed(before)
    if allowed is None:
        return
    if were is None:
        yield "has a fixed list of values now"
    elif gone := [str(value) for value in were if value not in allowed]:
        yield f"no longer accepts {' or '.join(gone)}"


def _bounds(before: Schema, now: Schema) -> Iterator[str]:
    if _lowest(now) > _lowest(before):
        yield "has a higher minimum"
    if _highest(now) < _highest(before):
        yield "has a lower maximum"
    for keyword, none in _LOWER:
        if now.get(keyword, none) > before.get(keyword, none):
            yield f"has a higher {keyword}"
    for keyword in _UPPER:
        if now.get(keyword, float("inf")) < before.get(keyword, float("inf")):
            yield f"has a lower {keyword}"
    if "multipleOf" in now and ("multipleOf" not in before or before["multipleOf"] % now["multipleOf"]):
        yield "must be a multiple of another number"
    if now.get("uniqueItems") and not before.get("uniqueItems"):
        yield "no longer accepts repeated items"


def _types(schema: Schema) -> set[str]:
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def _allowed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _lowest(schema: Schema) -> tuple[float, bool]:
    """The minimum, and True if it is itself excluded."""
    none = float("-inf")
    return max((schema.get("minimum", none), False), (schema.get("exclusiveMinimum", none), True))


def _highest(schema: Schema) -> tuple[float, bool]:
    """The maximum, and True if it is itself included."""
    none = float("inf")
    return min((schema.get("maximum", none), True), (schema.get("exclusiveMaximum", none), False))
