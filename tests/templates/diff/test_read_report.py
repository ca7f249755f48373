"""A report.json of anybody is read as a report, or refused with one sentence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.templates.diff.read_report import MAX_REPORT_BYTES, read_report
from tests.support import reports

WHOLE: dict[str, Any] = json.loads(reports.report().model_dump_json())
DEEP = 100_000


def with_value(path: str, value: object) -> bytes:
    """The whole report with a value at a path such as templates.0.key."""
    made = json.loads(json.dumps(WHOLE))
    *parents, name = [int(one) if one.isdigit() else one for one in path.split(".")]
    place = made
    for parent in parents:
        place = place[parent]
    place[name] = value
    return json.dumps(made).encode()


def refused(data: bytes) -> str:
    with pytest.raises(InvalidRequest) as error:
        read_report(data)
    return str(error.value)


def test_report_is_read_as_it_was_written() -> None:
    assert read_report(reports.report("é @me").model_dump_json().encode()) == reports.report("é @me")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "line 1, column 1 is not JSON"),
        (b"\xff{}", "byte 0 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"null", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{} {}", "line 1, column 4"),
        (b"{}", "/version"),
        (b'{"version": 1, "version": 1}', "'version' stands twice"),
        (b'{"version": NaN}', "NaN"),
        (b'{"version": -Infinity}', "-Infinity"),
        (b'{"version": 1.0}', "no whole number"),
        (b'{"version": 1e999}', "no whole number"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "5,000 digits"),
        (b"[" * DEEP, "inside each other"),
        (b'{"a":' * DEEP, "inside each other"),
        (b" " * (MAX_REPORT_BYTES + 1), "5,000,001 bytes"),
    ],
)
def test_report_is_refused_when_it_is_no_json_of_ours(data: bytes, words: str) -> None:
    assert words in refused(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2), ("version", True), ("version", "1"), ("tool", None), ("tool", 1), ("tool", "x" * 301),
        ("unknown", 1), ("templates", {}), ("templates", [{}] * 100_000), ("templates.0", []), ("templates.0.key", 1),
        ("templates.0.change", "moved"), ("templates.0.version_after", "4"), ("templates.0.version_after", True),
        ("templates.0.mails.0.size_after", -1), ("templates.0.mails.0.size_after", 10**10),
        ("templates.0.mails.0.parts", ["html"] * 6), ("templates.0.mails.0.subject.after", "x" * 1_001),
        ("templates.0.mails.0.unknown", 1), ("contract.0.is_breaking", "no"), ("contract.0.is_breaking", 1),
        ("findings.new.0.line", 10**15), ("findings.new.0.severity", "fatal"), ("head.commit", "HEAD"),
        ("head.commit", "81d0e77\n"), ("replay.templates.0.by", [{}] * 21), ("fails", ["breaking"] * 5),
        ("snapshots.orphans", [None]), ("templates.0.key", "\ud800"),
    ],
)  # fmt: skip
def test_report_is_refused_at_the_pointer_of_a_wrong_value(path: str, value: object) -> None:
    pointer = "/" + path.replace(".", "/")
    assert refused(with_value(path, value)).startswith(f"report.json is no report: {pointer}")


def test_report_is_refused_in_one_line_without_commands_when_its_names_have_them() -> None:
    for name in ("a\n::add-mask::x", "##[add-mask]x", "\x1b[31m", "\ud800"):
        sentence = refused(with_value(f"base.{name}", 1))
        assert sentence.isprintable()
        assert not sentence.startswith("::")
        assert "##[" not in sentence
        assert len(sentence) < 500


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*WHOLE, "key", "new", "ref"]), inner),
    max_leaves=20,
), st.sampled_from(sorted(WHOLE)))  # fmt: skip
def test_report_is_read_or_refused_whatever_a_part_of_it_is(value: object, name: str) -> None:
    try:
        read_report(json.dumps({**WHOLE, name: value}).encode())
    except InvalidRequest as error:
        assert str(error).startswith("report.json is no report: ")


@given(st.binary(max_size=200))
def test_report_is_refused_when_it_is_any_bytes(data: bytes) -> None:
    assert refused(data)
