"""What in a new schema of variables refuses what the old one took: callers break who are not told."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Path = tuple[str, ...]
Break = tuple[Path, str]

#: Bounds that may only move outward. A missing one is no bound.
_LOWER = (("minLength", 0), ("minItems", 0))
_UPPER = ("maxLength", "maxItems")


def breaks(before: Schema, now: Schema) -> Iterator[Break]:
    """Where `now` refuses what `before` took: the path of a variable as the front matter has it, and a clause."""
    yield from _object_breaks(before, now, ())


def _object_breaks(before: Schema, now: Schema, path: Path) -> Iterator[Break]:
    old, new = before.get("properties", {}), now.get("properties", {})
    is_closed = now.get("additionalProperties") is False
    for name in old:
        if name not in new and is_closed:
            yield (*path, name), "is gone, and who still sends it is refused"
    if is_closed and before.get("additionalProperties") is not False and path:
        yield path, "takes no further properties any more"
    for name, schema in new.items():
        is_required = name in now.get("required", ()) and name not in before.get("required", ())
        if is_required:
            yield (*path, name), "became required" if name in old else "is new and required"
        if name in old:
            yield from _value_breaks(old[name], schema, (*path, name))


def _value_breaks(before: Schema, now: Schema, path: Path) -> Iterator[Break]:
    if gone := sorted(_types(before) - _types(now) - ({"integer"} if "number" in _types(now) else set())):
        yield path, f"may not be of the type {' or '.join(gone)} any more"
    if (allowed := _allowed(now)) is not None:
        were = _allowed(before)
        lost = [value for value in were or () if value not in allowed]
        if were is None:
            yield path, "has a fixed list of values now"
        elif lost:
            yield path, f"may not be {', '.join(map(repr, lost))} any more"
    yield from ((path, clause) for clause in _bounds(before, now))
    for keyword in ("pattern", "format"):
        if keyword in now and now[keyword] != before.get(keyword):
            yield path, f"has {'another' if keyword in before else 'a new'} {keyword}"
    if "items" in now:
        if "items" not in before:
            yield path, "declares its items now"
        else:
            yield from _value_breaks(before["items"], now["items"], path)
    if "properties" in now or now.get("additionalProperties") is False:
        yield from _object_breaks(before, now, path)


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
        yield "may not repeat an item any more"


def _types(schema: Schema) -> set[str]:
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def _allowed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _lowest(schema: Schema) -> tuple[float, bool]:
    """The least number, and whether it is itself outside."""
    none = float("-inf")
    return max((schema.get("minimum", none), False), (schema.get("exclusiveMinimum", none), True))


def _highest(schema: Schema) -> tuple[float, bool]:
    """The largest number, and whether it is itself inside."""
    none = float("inf")
    return min((schema.get("maximum", none), True), (schema.get("exclusiveMaximum", none), False))
