"""The quick validation of variables passes nothing that the full one refuses (property test)."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.templates.front_matter.variables import VariablesCheck

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
