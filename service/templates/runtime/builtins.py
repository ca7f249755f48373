"""Jinja's own filters and tests that templates may use, with bounds on the size of results."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from jinja2 import Undefined, pass_environment
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS
from markupsafe import Markup, escape

from service.templates.runtime.escapes import Unprintable

_ALLOWED_FILTERS = (
    "abs capitalize count d default dictsort e escape first float groupby int items last length list lower map max min "
    "reject rejectattr reverse round safe select selectattr sort string striptags sum title trim unique upper "
    "urlencode wordcount"
)
#: Filters whose arguments say how large the result gets.
_SMALL_ARGUMENTS = ("batch", "center", "indent", "slice", "truncate", "wordwrap")
_LARGEST_ARGUMENT = 1_000
_ALLOWED_TESTS = (
    "!= < <= == > >= boolean defined divisibleby eq equalto even false float ge greaterthan gt in integer iterable le "
    "lessthan lower lt mapping ne none number odd sameas sequence string true undefined upper"
)


def allowed_filters(max_bytes: int) -> dict[str, Callable[..., Any]]:
    """Jinja's own filters that authors may use, by name; results over `max_bytes` characters are refused beforehand."""
    filters: dict[str, Any] = {name: DEFAULT_FILTERS[name] for name in _ALLOWED_FILTERS.split()}
    filters |= {name: _with_small_arguments(name, DEFAULT_FILTERS[name]) for name in _SMALL_ARGUMENTS}

    def replace(value: Any, old: str, new: str, count: int = -1) -> str:
        text = value if isinstance(value, str) else _text(value)
        old, new = str(old), str(new)
        if len(text) + text.count(old) * len(new) > max_bytes:
            raise Unprintable("the result of |replace would be too long")
        if isinstance(text, Markup):
            return text.replace(old, new, count)
        return text.replace(old, new, count)

    @pass_environment
    def join(environment: SandboxedEnvironment, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
        items = list(value)
        if attribute is not None:
            items = [environment.getitem(item, attribute) for item in items]
        texts = [item if isinstance(item, str) else _text(item) for item in items]
        if sum(map(len, texts)) + len(texts) * len(d) > max_bytes:
            raise Unprintable("the result of |join would be too long")
        if environment.autoescape and any(isinstance(text, Markup) for text in texts):
            return escape(d).join(texts)
        return str(d).join(texts)

    return {**filters, "replace": replace, "join": join}


def allowed_tests() -> dict[str, Callable[..., Any]]:
    """Jinja's own tests that authors may use, by name."""
    tests: dict[str, Any] = {name: DEFAULT_TESTS[name] for name in _ALLOWED_TESTS.split()}
    return tests


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)  # raises
    if isinstance(value, (int, float)):
        return str(value)
    raise Unprintable("only texts and numbers can be joined or replaced in")


def _with_small_arguments(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(filter_)
    def bounded(*arguments: Any, **named: Any) -> Any:
        given = arguments[1:] if not getattr(filter_, "jinja_pass_arg", None) else arguments[2:]
        for argument in (*given, *named.values()):
            if isinstance(argument, (int, float)) and abs(argument) > _LARGEST_ARGUMENT:
                raise Unprintable(f"|{name} takes numbers up to {_LARGEST_ARGUMENT}")
            if isinstance(argument, str) and len(argument) > _LARGEST_ARGUMENT:
                raise Unprintable(f"|{name} takes texts of up to {_LARGEST_ARGUMENT} characters")
        return filter_(*arguments, **named)

    return bounded
