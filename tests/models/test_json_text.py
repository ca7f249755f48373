"""A JSON text has each name of an object once, and becomes a bounded number of values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest, MalformedRequest, TooLarge
from service.models import json_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.text('"\\:,{[a', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_json_text_that_writes_each_name_once_is_decoded(
    value: object, ensures_ascii: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ensures_ascii, indent=indent)
    assert json_text.decode(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "pointers"),
    [
        ('{"to": "a", "to": "b"}', ["/to"]),
        ('{"to": "a:b", "t\\u006f": "b"}', ["/to"]),
        ('{"a": [1, {"b": {"c": 1, "c": 2}}], "d": 1, "d": 2, "d": 3}', ["/a/1/b/c", "/d"]),
        ('{"a/b": {"\\"": 1, "\\"": 1}}', ['/a~1b/"']),
        ('{"\\\\": {"": 1, "": 1}}', ["/\\/"]),
        ('{"a": {"x": 1, "x": 2}, "a": {}}', ["/a"]),
        ('[{"' + "x" * 600_000 + '": 1, "y": [{"z": 1, "z": 1}]}]', ["/0/y/0/z"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_json_text_with_a_name_twice_is_refused_at_its_place(text: str, pointers: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        json_text.decode(text.encode())
    assert [problem.pointer for problem in refused.value.problems] == pointers


@pytest.mark.parametrize("piece", [b"[]", b"{}", b"0", b'""', b"[[]]"])
def test_json_text_of_too_many_values_is_refused_before_it_is_decoded(piece: bytes) -> None:
    with pytest.raises(TooLarge):
        json_text.decode(b"[" + b",".join([piece] * (json_text.MAX_VALUES + 1)) + b"]")


@pytest.mark.parametrize("text", [b"[" * 3_000_000, b'{"a":' * 1_000_001, b'"' + b"[" * 2_000_000])
def test_json_text_that_is_none_is_refused_however_long(text: bytes) -> None:
    with pytest.raises((TooLarge, MalformedRequest)):
        json_text.decode(text)


def test_json_text_may_hold_any_number_of_commas_in_its_strings() -> None:
    text = "," * (json_text.MAX_VALUES + 1)
    assert json_text.decode(json.dumps([text, '"[' + text]).encode()) == [text, '"[' + text]
