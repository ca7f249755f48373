"""Variables: the quick validation passes nothing that the full one refuses, and none takes long."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.templates.front_matter.variables import VariablesCheck
from tests.support.template_kit import VALUES, errors, front_matter, template, text

_ANYTHING = {"type": "object", "properties": {}, "additionalProperties": True}

_TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(
        st.characters(categories=("Cs", "Cc", "Zl", "Zp", "Ll")), max_size=6
    ),  # halves of pairs, controls, separators
    st.sampled_from(["null", "NaN", "{[{[", "\\", "\\ud800", "9" * 60, "x" * 120, "\ud83d", "\udc00\ud800", "\u2028"]),
)
_NUMBERS = st.one_of(
    st.integers(),
    st.integers(120, 136).flatmap(lambda bits: st.sampled_from([1 << bits, -(1 << bits), (1 << bits) - 1])),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, 10.0**40, 5e-324, 2**63, 2**64, -(2**64)]),
)
_VALUES = st.recursive(
    st.one_of(_TEXTS, _NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=4)),
    max_leaves=12,
)


def _nested(depth: int, leaf: Any) -> Any:
    for level in range(depth):
        leaf = [leaf] if level % 2 else {"k": leaf}
    return leaf


_VARIABLES = st.one_of(
    st.dictionaries(_TEXTS, _VALUES, max_size=5),
    st.builds(lambda depth, leaf: {"v": _nested(depth, leaf)}, st.integers(28, 36), _VALUES),
    st.builds(lambda count, one: {"v": [one] * count}, st.integers(0, 120), _VALUES),
)


@given(variables=_VARIABLES, max_bytes=st.sampled_from([40, 200, 1_000, 1_000_000]))
def test_quick_validation_lets_nothing_through_that_the_full_one_finds(
    variables: dict[str, Any], max_bytes: int
) -> None:
    check = VariablesCheck(_ANYTHING, max_bytes)
    if check.is_plain(variables):
        assert list(check.unsound(variables)) == []


def test_quick_validation_is_not_always_undecided() -> None:
    """Else the property above would hold for nothing."""
    check = VariablesCheck(_ANYTHING, 1_000_000)
    assert check.is_plain({"name": "Adjovi", "lines": [{"label": "Fibre — 100 Mb/s", "amount": 12.5}], "paid": True})


@pytest.mark.parametrize("pattern", ["^(?=(a+)+$)a", "^(a|aa)+\\\\1?$", "(?<!x)a", "((a{1000}){1000}){1000}"])
def test_variables_refuse_a_pattern_that_no_linear_engine_has(pattern: str) -> None:
    found = errors(front_matter(f'  name: {{type: string, example: "a", pattern: "{pattern}"}}\n') + text("{{ name }}"))
    assert [(one.code, one.line) for one in found] == [("bad-variable", 7)]


def test_variables_match_a_pattern_that_backtracking_engines_stumble_over() -> None:
    source = front_matter('  name: {type: string, example: "a", pattern: "^(a+)+$"}\n') + text("{{ name }}")
    (problem,) = template(source).problems({"name": "a" * 100_000 + "!"})
    assert problem.code == "pattern"


def test_variables_report_a_hundred_mistakes_at_most() -> None:
    unknown = {f"unknown{number}": number for number in range(50_000)}
    assert len(template(text("{{ name }}")).problems({**VALUES, **unknown})) == 100


@pytest.mark.parametrize(
    ("yaml", "code"),
    [
        ("[" * 100_000, "yaml-syntax"), ("{a: " * 100_000, "yaml-syntax"), ("[" * 900 + "]" * 900, "yaml-alias"),
        ('"a\\0b"', "control-character"), ("9" * 4_000, "yaml-syntax"), ("1e999", "yaml-syntax"),
        ("x" * 600_000, "too-large"), ("&a [*a, *a]", "yaml-alias"), ("[" + "a," * 30_000 + "a]", "yaml-alias"),
    ],
)  # fmt: skip
def test_front_matter_bounds_what_yaml_holds(yaml: str, code: str) -> None:
    source = front_matter().replace("Une description", yaml) + text("x")
    assert [(one.code, one.line < 5) for one in errors(source) if one.line < 5][:1] == [(code, True)]


def test_variables_are_bounded_in_number() -> None:
    many = "".join(f"  v{number}: string\n" for number in range(1_001))
    assert "too-large" in {one.code for one in errors(front_matter(many) + text("x"))}
