"""Filters for amounts, dates and plurals in the language of the template (Babel, CLDR).

A change in what any of them prints may change every template's bytes: raise `FILTERS_VERSION` with it.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent
from jinja2 import Undefined
from markupsafe import Markup, escape

from service.templates.runtime.escapes import Unprintable

FILTERS_VERSION = 1
_CACHED = 2_048
#: More digits than any amount has, and within the 28 that decimal computes with.
_MAX_DIGITS = 20
#: Longer texts are no number, date or noun.
_LONGEST_TEXT = 200
#: CLDR: "21 février 2026 à 14:30" is the long date joined with the short time.
_LONG_DATE = {"fr": "d MMMM y", "en": "d MMMM y"}


def locale_of(name: str) -> Locale:
    """The Babel locale for a language tag; French where CLDR doesn't know it."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("fr")


def filters_for(language: str) -> dict[str, Callable[..., Any]]:
    """The filters of one language. They are pure, and cache their latest results."""
    locale = locale_of(language)

    @lru_cache(_CACHED)
    def grouped(amount: Decimal) -> str:
        return format_decimal(amount, locale=locale)

    def number(value: Any) -> str:
        """A number with grouped digits: 1234567.5 -> "1 234 567,5"."""
        return grouped(_decimal(value, "number"))

    def fcfa(value: Any) -> str:
        """An amount in FCFA: 450000 -> "450 000 FCFA"; rounded half up, as the franc CFA has no subunit in use."""
        amount = _decimal(value, "fcfa")
        # + 0 takes the sign from minus zero, which equals zero and would be cached for it
        return f"{grouped(amount.quantize(Decimal(1), 'ROUND_HALF_UP') + 0)}\u00a0FCFA"

    @lru_cache(_CACHED)
    def as_percent(share: Decimal) -> str:
        return format_percent(
            share, format="#,##0.###\u202f%" if locale.language == "fr" else "#,##0.###%", locale=locale
        )

    def percent(value: Any) -> str:
        """A percentage: 99.5 -> "99,5 %" (the number is already a percentage)."""
        return as_percent(_decimal(value, "percent") / 100)

    @lru_cache(_CACHED)
    def long_date(moment: date) -> str:
        pattern = _LONG_DATE.get(locale.language, "long")
        return format_date(moment, format=pattern, locale=locale)

    def date_(value: Any) -> str:
        """A long date: "2026-02-21" -> "21 février 2026"; a time keeps the day of its own offset."""
        moment = _moment(value, "date")
        return long_date(moment.date() if isinstance(moment, datetime) else moment)

    @lru_cache(_CACHED)
    def long_time(moment: datetime) -> str:
        joined = {"fr": "{} à {} UTC", "en": "{} at {} UTC"}.get(locale.language, "{} {} UTC")
        return joined.format(long_date(moment.date()), format_datetime(moment, "HH:mm", locale=locale))

    def datetime_(value: Any) -> str:
        """A date and time in UTC: "2026-02-21T15:30:00+01:00" -> "21 février 2026 à 14:30 UTC"."""
        moment = _moment(value, "datetime")
        if not isinstance(moment, datetime):
            raise Unprintable(f'"{value}" is a date without a time; |datetime needs both, |date only the day')
        return long_time(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))

    def plural(value: Any, one: str, many: str) -> str:
        """A count with its noun: 3|plural("élément", "éléments") -> "3 éléments"; French counts 0 and 1,5 as one."""
        amount = _decimal(value, "plural")
        form = one if locale.plural_form(amount) == "one" else many
        return f"{grouped(amount)}\u00a0{_noun(form)}"

    return {
        "fcfa": fcfa, "number": number, "percent": percent, "date": date_, "datetime": datetime_, "plural": plural,
        "lines": lines, "nl2br": nl2br,
    }  # fmt: skip


def lines(value: Any) -> list[str]:
    """The lines of a text as a list, without empty ones at its end."""
    return _text(value, "lines").rstrip().splitlines()


def nl2br(value: Any) -> Markup:
    """A text with `<br>` at its line breaks; everything else is escaped."""
    return Markup("<br>\n").join(escape(line) for line in lines(value))


def _text(value: Any, name: str) -> str:
    if isinstance(value, Undefined):
        return str(value)  # raises
    if not isinstance(value, str):
        raise Unprintable(f"|{name} needs a text")
    return value


def _noun(value: Any) -> str:
    if len(text := _text(value, "plural")) > _LONGEST_TEXT:
        raise Unprintable(f"|plural takes nouns of up to {_LONGEST_TEXT} characters")
    return text


def _decimal(value: Any, name: str) -> Decimal:
    """Convert an int, a float or digits in a string; grouping spaces are removed, a comma may be the decimal point."""
    if isinstance(value, Undefined):
        str(value)  # raises
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise Unprintable(f"|{name} needs a number")
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise Unprintable(f"|{name} needs a number of at most {_MAX_DIGITS} digits")
    text = re.sub(r"[\s\u00a0\u202f]", "", value).replace(",", ".") if isinstance(value, str) else repr(value)
    text = str(value) if isinstance(value, Decimal) else text
    if len(text) > _MAX_DIGITS:
        raise Unprintable(f"|{name} needs a number of at most {_MAX_DIGITS} digits")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise Unprintable(f'|{name} needs a number, not "{text[:30]}"') from None
    if not amount.is_finite() or abs(amount.adjusted()) > _MAX_DIGITS:
        raise Unprintable(f'|{name} needs a number, not "{text[:30]}"')
    return amount + 0


def _moment(value: Any, name: str) -> datetime | date:
    if isinstance(value, Undefined):
        str(value)  # raises
    if isinstance(value, (datetime, date)):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        try:
            return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            pass
    raise Unprintable(f'|{name} needs an ISO 8601 date such as "2026-02-21T14:30:00Z", not {_shown(value)}')


def _shown(value: Any) -> str:
    """A value for a message; of a list or an object only its kind, because its text may be long."""
    return f'"{str(value)[:30]}"' if isinstance(value, (str, int, float, Decimal)) else type(value).__name__
