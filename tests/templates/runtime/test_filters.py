"""Filters: amounts, dates and plurals as a French reader writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.templates.runtime.escapes import Unprintable
from service.templates.runtime.filters import filters_for

FRENCH, ENGLISH = filters_for("fr"), filters_for("en")


def _plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("fcfa", 450000, "450 000 FCFA"),
        ("fcfa", "450000", "450 000 FCFA"),
        ("fcfa", "450 000", "450 000 FCFA"),
        ("fcfa", 1234.5, "1 235 FCFA"),
        ("fcfa", 0, "0 FCFA"),
        ("fcfa", "-0", "0 FCFA"),
        ("fcfa", -0.4, "0 FCFA"),
        ("fcfa", -12500, "-12 500 FCFA"),
        ("number", 1234567.5, "1 234 567,5"),
        ("percent", 99.5, "99,5 %"),
        ("percent", "100", "100 %"),
        ("percent", 99.95, "99,95 %"),
        ("date", "2026-02-21", "21 février 2026"),
        ("date", "2026-02-21T23:30:00-02:00", "21 février 2026"),
        ("datetime", "2026-02-21T14:30:00Z", "21 février 2026 à 14:30 UTC"),
        ("datetime", "2026-02-21T15:30:00+01:00", "21 février 2026 à 14:30 UTC"),
    ],
)
def test_filter_prints_french(name: str, value: object, expected: str) -> None:
    assert _plain(FRENCH[name](value)) == expected


def test_filter_prints_no_breaking_space_inside_an_amount() -> None:
    assert " " not in FRENCH["fcfa"](450000)
    assert " " not in FRENCH["plural"](3, "élément", "éléments")
    assert " " not in FRENCH["percent"](99.5)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 élément"), (1, "1 élément"), (1.5, "1,5 élément"), (3, "3 éléments")]
)
def test_plural_counts_as_french_does(count: float, expected: str) -> None:
    assert _plain(FRENCH["plural"](count, "élément", "éléments")) == expected


def test_filter_prints_the_language_of_the_template() -> None:
    assert ENGLISH["date"]("2026-02-21") == "21 February 2026"
    assert ENGLISH["number"](1234.5) == "1,234.5"
    assert ENGLISH["datetime"]("2026-02-21T14:30:00Z") == "21 February 2026 at 14:30 UTC"


@pytest.mark.parametrize("name", ["fcfa", "number", "percent", "date", "datetime"])
@pytest.mark.parametrize("value", ["abc", None, True, [1], "", "9" * 99, "1e999", "nan", "2026-13-45", float("inf")])
def test_filter_refuses_what_it_cannot_read(name: str, value: object) -> None:
    with pytest.raises(Unprintable):
        FRENCH[name](value)


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.decimals()))
def test_filter_prints_or_refuses(value: object) -> None:
    for name in ("fcfa", "number", "percent", "date", "datetime"):
        try:
            assert isinstance(FRENCH[name](value), str)
        except Unprintable as refused:
            assert str(refused)
