"""The query of a list: each parameter once, none unknown, and the words it may hold."""

from collections.abc import Collection
from typing import Any

from litestar import Request

from service.errors import InvalidRequest, Problem


def parameters(request: Request[Any, Any, Any], known: Collection[str]) -> dict[str, str]:
    """The query, each parameter once. Raises InvalidRequest for unknown or repeated ones."""
    items = list(request.query_params.multi_items())
    names = [name for name, _ in items]
    wrong = [Problem("", "unknown_parameter", f"{name}: unknown here") for name in names if name not in known]
    wrong += [Problem("", "repeated", f"{name}: given twice") for name in sorted(set(names)) if names.count(name) > 1]
    if wrong:
        raise InvalidRequest("A parameter is wrong.", wrong)
    return dict(items)


def number(text: str, name: str) -> int:
    """A limit. Raises InvalidRequest for what is no number; whether it is too large is for the verb."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidRequest("A parameter is wrong.", [Problem("", name, f"{name}: write a number from 1 to 1000")])
    return int(text)


def truth(text: str, name: str) -> bool:
    """`true` or `false`. Raises InvalidRequest."""
    if text not in ("true", "false"):
        raise InvalidRequest("A parameter is wrong.", [Problem("", name, f"{name}: write true or false")])
    return text == "true"
