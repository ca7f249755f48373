"""Texts of template pages: diffs, merges of two changes, and forms."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Problem
from service.templates.authoring.publish_plan import with_version
from service.web.pages import variable_form
from service.web.pages.diff import between
from service.web.pages.merge import merge, merge_lines

BASE = "one\ntwo\nthree\nfour\nfive\n"


def test_diff_shows_lines_removed_and_added_with_their_numbers() -> None:
    (one,) = between({"a": BASE, "b": "same"}, {"a": BASE.replace("three", "3"), "b": "same"})
    assert (one.file, one.added, one.removed) == ("a", 1, 1)
    changed = [(line.sign, line.before, line.after, line.text) for line in one.lines if line.sign != "same"]
    assert changed == [("out", 3, None, "three"), ("in", None, 3, "3")]
    far = between({"a": "x\n" * 20}, {"a": "y\n" + "x\n" * 20 + "y\n"})[0]
    assert [line.sign for line in far.lines].count("gap") == 1


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (BASE.replace("one", "1"), BASE.replace("five", "5"), "1\ntwo\nthree\nfour\n5\n"),
        (BASE.replace("two\n", ""), BASE + "six\n", "one\nthree\nfour\nfive\nsix\n"),
        (BASE.replace("one", "1"), BASE.replace("one", "1"), "1\ntwo\nthree\nfour\nfive\n"),
        (BASE.replace("one", "1"), BASE.replace("one", "eins"), None),
        (BASE.replace("one", "1"), BASE.replace("two", "2"), None),
        (BASE + "six\n", BASE + "seven\n", None),
        ("", BASE.replace("three", "3"), None),
    ],
)
def test_merge_combines_two_changes_of_different_lines(theirs: str, ours: str, expected: str | None) -> None:
    assert merge_lines(BASE, theirs, ours) == expected
    assert merge_lines(BASE, ours, theirs) == expected


_TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(lambda lines: "".join(f"{x}\n" for x in lines))


@given(base=_TEXTS, theirs=_TEXTS, ours=_TEXTS)
def test_merge_follows_a_change_of_one_side_and_offers_ours_or_both_where_both_changed(
    base: str, theirs: str, ours: str
) -> None:
    assert merge_lines(base, theirs, base) == theirs
    assert merge_lines(base, base, ours) == ours
    merged = merge({"f": base}, {"f": theirs}, {"f": ours})
    assert merged.texts["f"] == (ours if merged.conflicts else merged.texts["f"])
    assert not merged.conflicts or merge_lines(base, theirs, ours) is None


def test_merge_combines_files_added_and_deleted() -> None:
    base = {"kept": "k", "theirs_gone": "t", "ours_gone": "o", "both": "b"}
    theirs = {"kept": "k", "ours_gone": "o", "both": "their b", "their_new": "n"}
    ours = {"kept": "k", "theirs_gone": "t", "both": "our b", "our_new": "n"}
    merged = merge(base, theirs, ours)
    assert merged.texts == {"kept": "k", "both": "our b", "their_new": "n", "our_new": "n"}
    assert merged.conflicts == ["both"]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "count", "rows", "either"],
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "either": {"type": ["string", "integer"]},
        "rows": {"type": "array"},
        "is_vip": {"type": "boolean"},
        "level": {"type": "string", "enum": ["P0", "P1"]},
        "note": {"type": "string"},
    },
}
VALUES = {"name": "Zoé", "count": 3, "either": 7, "rows": [{"a": 1}], "is_vip": True, "level": "P0", "note": "a\nb"}


def as_form(values: dict[str, Any]) -> dict[str, str]:
    return {f"v.{field.name}": field.value for field in variable_form.fields(SCHEMA, values)}


def test_form_gives_back_the_values_that_it_was_filled_with() -> None:
    assert variable_form.read(SCHEMA, as_form(VALUES), VALUES) == (VALUES, {})
    kinds = {field.name: field.kind for field in variable_form.fields(SCHEMA, VALUES)}
    assert kinds == {
        "name": "line", "count": "number", "either": "line", "rows": "json", "is_vip": "choice", "level": "choice",
        "note": "lines",
    }  # fmt: skip


def test_form_leaves_out_empty_optional_fields_and_tells_what_is_no_json() -> None:
    form = as_form(VALUES) | {
        "v.note": "",
        "v.is_vip": "",
        "v.name": "",
        "v.rows": "[1,",
        "v.count": "x",
        "v.none": "y",
    }
    values, problems = variable_form.read(SCHEMA, form, VALUES)
    assert values == {"name": "", "count": "x", "either": 7, "level": "P0"}
    assert list(problems) == ["rows"]
    shown = variable_form.with_problems(
        variable_form.fields(SCHEMA, VALUES), form, problems, [Problem("/variables/count", "type", "no number")]
    )
    told = {field.name: (field.value, field.problem) for field in shown if field.problem}
    assert told["count"] == ("x", "no number")
    assert told["rows"][0] == "[1,"
    assert "line 1 column 4" in told["rows"][1]


def test_version_is_raised_where_it_stands() -> None:
    source = "---\nsubject: x\nversion: 3\n---\nversion: 3\n"
    assert with_version(source, 12) == "---\nsubject: x\nversion: 12\n---\nversion: 3\n"
    assert with_version("---\n---\n", 2) == "---\n---\n"
