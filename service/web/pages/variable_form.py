"""The form of a template's variables, built from their JSON Schema, and the values submitted with it.

Fields are named `v.NAME`. Lists and objects are entered as JSON. A value that can't be parsed stays in the form beside
a message; an optional field that is empty is left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from service.errors import Problem

PREFIX = "v."
Kind = Literal["line", "lines", "number", "choice", "json"]
_NUMBERS = {"integer", "number"}
_LONG = 200


@dataclass(frozen=True, slots=True)
class Field:
    """A field for a variable, with its value; `options` is for a choice only."""

    name: str
    kind: Kind
    description: str
    required: bool
    value: str
    options: Sequence[str] = ()
    hint: str = ""
    problem: str = ""


def fields(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[Field]:
    """Return a field for each variable, filled with these values."""
    required = schema.get("required", ())
    return [
        _field(name, one, name in required, values.get(name), is_given=name in values)
        for name, one in schema["properties"].items()
    ]


def read(
    schema: Mapping[str, Any], given: Mapping[str, str], before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Parse a form: returns its values, and a message for each field that can't be parsed, by name.

    `before` are the values that the form was filled with: they decide the type if several are allowed.
    """
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, one in schema["properties"].items():
        text = given.get(PREFIX + name)
        if text is None or (text == "" and name not in schema.get("required", ())):
            continue
        try:
            values[name] = _value(one, text.replace("\r\n", "\n"), before.get(name))
        except ValueError as error:
            problems[name] = str(error)
    return values, problems


def with_problems(
    shown: Sequence[Field], given: Mapping[str, str], unread: Mapping[str, str], problems: Sequence[Problem]
) -> list[Field]:
    """Return the fields with the submitted text, each with its problems."""
    messages: dict[str, list[str]] = {name: [message] for name, message in unread.items()}
    for problem in problems:
        parts = problem.pointer.split("/")[2:3]
        name = parts[0].replace("~1", "/").replace("~0", "~") if parts else ""
        if name not in unread:
            messages.setdefault(name, []).append(problem.message)
    return [
        replace(
            field, value=given.get(PREFIX + field.name, field.value), problem="; ".join(messages.get(field.name, ()))
        )
        for field in shown
    ]


def _types(one: Mapping[str, Any]) -> set[str]:
    declared = one.get("type", "string")
    return {declared} if isinstance(declared, str) else set(declared)


def _field(name: str, one: Mapping[str, Any], required: bool, value: Any, *, is_given: bool) -> Field:
    kind, options = _kind(one, value)
    text = "" if not is_given else value if isinstance(value, str) and kind != "json" else _json(value, kind)
    hint = str(one.get("format", "")) or (" / ".join(sorted(_types(one))) if kind == "json" else "")
    return Field(name, kind, one.get("description", ""), required, text, options, hint)


def _kind(one: Mapping[str, Any], value: Any) -> tuple[Kind, Sequence[str]]:
    types = _types(one)
    if types & {"array", "object"}:
        return "json", ()
    if "enum" in one:
        return "choice", [option if isinstance(option, str) else json.dumps(option) for option in one["enum"]]
    if types == {"boolean"}:
        return "choice", ("true", "false")
    if types <= _NUMBERS:
        return "number", ()
    is_long = isinstance(value, str) and ("\n" in value or len(value) > _LONG)
    return ("lines" if is_long else "line"), ()


def _json(value: Any, kind: Kind) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2 if kind == "json" else None)


def _value(one: Mapping[str, Any], text: str, before: Any) -> Any:
    """Parse the text of a field. Raises ValueError with a sentence for people."""
    types = _types(one)
    if types & {"array", "object"}:
        return _parsed(text)
    for option in one.get("enum", ()):
        if not isinstance(option, str) and json.dumps(option) == text:
            return option
    if "boolean" in types and text in ("true", "false") and not isinstance(before, str):
        return text == "true"
    is_number = types <= _NUMBERS | {"boolean", "null"} or (
        isinstance(before, int | float) and not isinstance(before, bool)
    )
    if types & _NUMBERS and is_number:
        try:
            number = json.loads(text)
        except ValueError:
            return text  # validation reports it
        return number if isinstance(number, int | float) else text
    return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        place = f", line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deep"
        raise ValueError(f"this is not JSON{place}: {reason}") from None
