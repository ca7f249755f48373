"""Jinja's own filters and tests that templates may use, charged for what they touch, with bounds on their results."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Literal

from jinja2 import Undefined, pass_environment
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS
from markupsafe import Markup, escape

from service.templates.runtime.escapes import Encoded, Unprintable
from service.templates.runtime.meter import LongText, Meter

#: Filters that look at no more than one element, or at a number.
_SMALL = "abs count d default first items length safe"
#: Filters of one text, whose result is little longer.
_OF_TEXT = "capitalize e escape lower string striptags title upper wordcount"
#: Filters that go over all of a list or a text, those that compare elements several times, and those that go as asked.
_OF_LISTS = "last list reverse trim"
_SORTING = "dictsort groupby max min sort unique"
_LAZY = "map reject rejectattr select selectattr"
#: Filters whose arguments say how large the result gets.
_SMALL_ARGUMENTS = ("batch", "center", "indent", "slice", "truncate", "wordwrap")
_LARGEST_ARGUMENT = 1_000
_SHORT = 256
_LONGEST_NUMBER = 300
#: `textwrap` takes time by the square of a word's length.
_LONGEST_WRAPPED = 20_000
_LARGEST_PRECISION = 20
#: What sorting is charged for: it compares each element about so often.
_WALKS = 4
_SMALL_TESTS = "boolean defined false float integer iterable mapping none number sameas sequence string true undefined"
_COMPARING_TESTS = "!= < <= == > >= eq equalto ge greaterthan gt in le lessthan lower lt ne upper"
_NUMBER_TESTS = "divisibleby even odd"


def allowed_filters(max_bytes: int, meter: Meter) -> dict[str, Callable[..., Any]]:
    """Jinja's own filters that authors may use, by name; results over `max_bytes` characters are refused beforehand."""
    own = DEFAULT_FILTERS
    filters: dict[str, Any] = {name: own[name] for name in _SMALL.split()}
    filters |= {name: _of_text(own[name], meter, max_bytes) for name in _OF_TEXT.split()}
    filters["urlencode"] = _of_text(urlencode, meter, max_bytes)
    filters |= {name: metered(own[name], meter, max_bytes) for name in _OF_LISTS.split()}
    filters |= {name: metered(own[name], meter, max_bytes, walks=_WALKS) for name in _SORTING.split()}
    filters |= {name: _lazy(own[name], meter) for name in _LAZY.split()}
    filters |= {name: metered(_bounded(name, max_bytes), meter, max_bytes) for name in _SMALL_ARGUMENTS}
    filters |= {name: _of_short_text(name) for name in ("float", "int")}

    replace, join, sum_ = _replace(max_bytes, meter), _join(max_bytes, meter), _sum(meter)
    return {**filters, "replace": replace, "join": join, "sum": sum_, "round": round_}


def urlencode(value: Any) -> str:
    """Encode a text, or names and values, for a URL."""
    return Encoded(DEFAULT_FILTERS["urlencode"](value))


def _replace(max_bytes: int, meter: Meter) -> Callable[..., str]:
    def replace(value: Any, old: str, new: str, count: int = -1) -> str:
        text = value if isinstance(value, str) else _text(value)
        old, new = str(meter.weighed(old)), str(meter.weighed(new))
        meter.spend_text(len(text))
        if len(text) + text.count(old) * len(new) > max_bytes:
            raise Unprintable("the result of |replace would be too long")
        return LongText.of(text.replace(old, new, count))  # of Markup, it escapes what it puts in

    return replace


def _join(max_bytes: int, meter: Meter) -> Callable[..., str]:
    @pass_environment
    def join(environment: SandboxedEnvironment, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
        items = list(meter.passed(value))
        if attribute is not None:
            items = [environment.getitem(item, attribute) for item in items]
        texts = [item if isinstance(item, str) else _text(item) for item in items]
        size = sum(map(len, texts)) + len(texts) * len(d)
        if size > max_bytes:
            raise Unprintable("the result of |join would be too long")
        meter.spend_text(size)
        if environment.autoescape and any(isinstance(text, Markup) for text in texts):
            return escape(d).join(texts)
        return LongText.of(str(d).join(texts))

    return join


def _sum(meter: Meter) -> Callable[..., Any]:
    @pass_environment
    def sum_(
        environment: SandboxedEnvironment, iterable: Iterable[Any], attribute: str | int | None = None, start: Any = 0
    ) -> Any:
        items = list(meter.passed(iterable))
        if attribute is not None:
            items = list(map(make_attrgetter(environment, attribute), items))
        for one in (start, *items):
            if isinstance(one, Undefined):
                str(one)  # raises
            if not isinstance(one, (int, float)):
                raise Unprintable("|sum needs numbers")
        return sum(items, start)

    return sum_


def round_(value: Any, precision: Any = 0, method: Literal["common", "ceil", "floor"] = "common") -> Any:
    """Round a number to `precision` digits behind the point."""
    if isinstance(value, Undefined):
        str(value)  # raises
    if not isinstance(precision, int) or abs(precision) > _LARGEST_PRECISION:
        raise Unprintable(f"|round takes a precision up to {_LARGEST_PRECISION}")
    return DEFAULT_FILTERS["round"](value, precision, method)


def allowed_tests(meter: Meter) -> dict[str, Any]:
    """Jinja's own tests that authors may use, by name."""
    tests: dict[str, Any] = {name: DEFAULT_TESTS[name] for name in _SMALL_TESTS.split()}
    own: dict[str, Any] = DEFAULT_TESTS
    tests |= {name: metered(own[name], meter) for name in _COMPARING_TESTS.split()}
    tests |= {name: _of_numbers(name) for name in _NUMBER_TESTS.split()}
    return tests


def metered(
    filter_: Callable[..., Any], meter: Meter, max_bytes: int | None = None, *, walks: int = 1
) -> Callable[..., Any]:
    """Charge a filter or test for `walks` over all that it is given; a result over `max_bytes` characters is refused.

    An iterator as first argument becomes a list, because it can be walked over only once.
    """
    first = int(hasattr(filter_, "jinja_pass_arg"))

    @wraps(filter_)
    def charged(*arguments: Any, **named: Any) -> Any:
        given = list(arguments)
        if isinstance(given[first], Iterator):
            given[first] = list(meter.passed(given[first]))
        for one in (*given[first:], *named.values()):
            for _ in range(walks):
                meter.weighed(one)
        result = filter_(*given, **named)
        if max_bytes is None or not isinstance(result, str):
            return result
        if len(result) > max_bytes:
            raise Unprintable("the result of a filter is too long")
        return LongText.of(result)

    return charged


def _of_text(filter_: Callable[..., Any], meter: Meter, max_bytes: int) -> Callable[..., Any]:
    """`metered` for a filter of one argument, quick for a short text, which nearly all are."""
    slow = metered(filter_, meter, max_bytes)

    @wraps(filter_)
    def charged(value: Any) -> Any:
        return filter_(value) if type(value) is str and len(value) < _SHORT else slow(value)

    return charged


def _lazy(filter_: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    first = int(hasattr(filter_, "jinja_pass_arg"))

    @wraps(filter_)
    def charged(*arguments: Any, **named: Any) -> Any:
        given = list(arguments)
        if len(given) > first:
            given[first] = meter.passed(given[first])
        return filter_(*given, **named)

    return charged


def _of_short_text(name: str) -> Callable[..., Any]:
    filter_ = DEFAULT_FILTERS[name]

    @wraps(filter_)
    def bounded(value: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
            raise Unprintable(f"|{name} takes texts of up to {_LONGEST_NUMBER} characters")
        return filter_(value, *arguments, **named)

    return bounded


def _of_numbers(name: str) -> Callable[..., Any]:
    """A test of numbers; with a text, `%` in it would be a format, whose width says how large the result gets."""
    test: Any = DEFAULT_TESTS[name]

    @wraps(test)
    def checked(*arguments: Any) -> Any:
        for one in arguments:
            if isinstance(one, Undefined):
                str(one)  # raises
            if not isinstance(one, (int, float)):
                raise Unprintable(f'"is {name}" needs a number')
        return test(*arguments)

    return checked


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)  # raises
    if isinstance(value, (int, float)):
        return str(value)
    raise Unprintable("only texts and numbers can be joined or replaced in")


def _bounded(name: str, max_bytes: int) -> Callable[..., Any]:
    """A filter whose arguments say how large the result gets, with bounds on them."""
    filter_ = DEFAULT_FILTERS[name]
    first = int(hasattr(filter_, "jinja_pass_arg"))

    @wraps(filter_)
    def bounded(*arguments: Any, **named: Any) -> Any:
        growth = 1
        for argument in (*arguments[first + 1 :], *named.values()):
            if isinstance(argument, (int, float)) and abs(argument) > _LARGEST_ARGUMENT:
                raise Unprintable(f"|{name} takes numbers up to {_LARGEST_ARGUMENT}")
            if isinstance(argument, str) and len(argument) > _LARGEST_ARGUMENT:
                raise Unprintable(f"|{name} takes texts of up to {_LARGEST_ARGUMENT} characters")
            growth = max(growth, len(argument) if isinstance(argument, str) else int(argument or 0))
        value = arguments[first] if len(arguments) > first else None
        if isinstance(value, str) and name in ("indent", "wordwrap"):
            _check_lines(name, value, growth, max_bytes)
        return filter_(*arguments, **named)

    return bounded


def _check_lines(name: str, text: str, growth: int, max_bytes: int) -> None:
    """Refuse a text that becomes too long if each of its lines becomes `growth` characters longer."""
    if name == "wordwrap" and len(text) > _LONGEST_WRAPPED:
        raise Unprintable(f"|wordwrap takes texts of up to {_LONGEST_WRAPPED} characters")
    lines = len(text.splitlines()) + 1 if name == "indent" else len(text)
    if len(text) + lines * growth > max_bytes:
        raise Unprintable(f"the result of |{name} would be too long")
