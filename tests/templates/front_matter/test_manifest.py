"""The front matter and the variables: declarations, messages for callers, defaults."""

import pytest

from service.models import Priority, Stream
from tests.support.template_kit import compiled, errors, template, text

FULL = """---
subject: "Facture {{ month }}"
preheader: "Votre facture {{ month }} & plus"
description: Facture mensuelle
category: billing
stream: transactional
version: 3
active: false
from: "Facturation <billing@rgz.example>"
reply_to: "{{ month }}@rgz.example"
attachments: {allowed: true, types: [pdf], required: true}
delivery: {priority: high, attempts: 3, sla_seconds: 60, expires_after: 24h}
variables:
  month: string
  year: {type: [string, integer], description: L'année, example: "2026"}
  rows:
    type: array
    required: false
    items:
      type: object
      properties:
        label: string
        note: {type: string, required: false}
        unit: {type: string, default: pièce}
  day: {type: string, format: date, default: "2026-01-01"}
  link: {type: string, format: uri, required: false}
examples:
  default: {month: février, year: 2026, rows: [{label: a}]}
---
"""
BODY = text(
    "{{ year }} {{ day }} {% for row in rows or [] %}{{ row.label }} {{ row.unit }} "
    "{% if row.note %}{{ row.note }}{% endif %}{% endfor %}{% if link %}{{ link }}{% endif %}"
)


def test_manifest_has_everything_that_is_declared() -> None:
    manifest = template(FULL + BODY).manifest
    assert (manifest.category, manifest.stream, manifest.version, manifest.active) == (
        "billing", Stream.TRANSACTIONAL, 3, False,
    )  # fmt: skip
    assert manifest.attachments.types == ("pdf",)
    assert manifest.attachments.required is True
    assert manifest.delivery.priority is Priority.HIGH
    assert (manifest.delivery.attempts, manifest.delivery.sla_s, manifest.delivery.expires_after_s) == (3, 60, 86_400)
    assert manifest.schema["required"] == ["month", "year"]
    assert manifest.schema["additionalProperties"] is False
    assert manifest.schema["properties"]["rows"]["items"]["required"] == ["label"]
    assert manifest.schema["properties"]["year"] == {
        "description": "L'année", "type": ["string", "integer"], "examples": ["2026"],
    }  # fmt: skip


def test_render_fills_in_headers_preheader_and_defaults() -> None:
    found = template(FULL + BODY).render(
        {"month": "mars", "year": 2026, "rows": [{"label": "a"}, {"label": "b", "note": "n"}]}
    )
    assert (found.subject, found.from_header, found.reply_to) == (
        "Facture mars", "Facturation <billing@rgz.example>", "mars@rgz.example",
    )  # fmt: skip
    assert "Votre facture mars &amp; plus" in found.html
    assert found.text == "2026 2026-01-01 a pièce b pièce n\n"


def test_problems_name_every_mistake_at_once() -> None:
    problems = template(FULL + BODY).problems(
        {"month": 5, "rows": [{"labl": "x"}, 3], "day": "hier", "link": "x", "yaer": 1}
    )
    assert sorted((one.pointer, one.code, one.message) for one in problems) == [
        ("/day", "format", 'day: "hier" is not a date such as 2026-02-21'),
        ("/link", "format", 'link: "x" is not a URL such as https://example.com/'),
        ("/month", "type", "month: 5 is not a string"),
        ("/rows/0/label", "required", "rows[0].label is required"),
        ("/rows/1", "type", "rows[1]: 3 is not an object"),
        ("/yaer", "unknown", 'unknown variable "yaer"; did you mean "year"?'),
        ("/year", "required", "year is required"),
    ]


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"month": "\ud800"}, "/month"),
        ({"month": "x", "year": float("nan")}, "/year"),
        ({"month": "x" * 2_000_000}, ""),
        ({"month": "x", "year": 10**60}, "/year"),
    ],
)
def test_problems_name_what_json_does_not_have(values: dict[str, object], pointer: str) -> None:
    assert [one.pointer for one in template(FULL + BODY).problems(values)] == [pointer]


def test_problems_stop_at_what_is_too_deep() -> None:
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    problems = template(FULL + BODY).problems({"month": "x", "year": "y", "rows": deep})
    assert [one.code for one in problems] == ["too_deep"]
    while isinstance(deep, list):
        deep = deep.pop()


@pytest.mark.parametrize(
    ("line", "wrong", "place", "message"),
    [
        ("version: 3", "version: trois", (7, 10), 'version: "trois" is not a whole number'),
        ("category: billing", "categry: billing", (5, 1), 'unknown field "categry"'),
        ("description: Facture mensuelle\n", "", (2, 1), "description is required"),
        ("stream: transactional", "stream: other", (6, 9), 'stream: "other" is not one of "transactional"'),
        ("attempts: 3", "attempts: 0", (12, 38), "delivery.attempts: 0 is less than 1"),
        ("24h", "24 hours", (12, 73), 'delivery.expires_after: "24 hours" does not match ^[1-9][0-9]{0,5}[smhd]$'),
        ("month: string", "month: strng", (14, 10), 'variable "month": type[0]: "strng" is not one of '),
        ("format: date", "formt: date", (25, 23), 'variable "day": unknown keyword "formt"'),
        ("{month: février,", "{month: 5,", (28, 20), 'example "default": month: 5 is not a string'),
        ("{month: février,", "{mnth: février,", (28, 13), 'example "default": unknown variable "mnth"'),
        ('subject: "Facture {{ month }}"', "subject: {{ month }}", (2, 11), "YAML: a key must be a plain word"),
        ("version: 3", "version: 3\nversion: 4", (8, 1), '"version" is given twice'),
        ("version: 3", "version: 3\ncopies: noc@rgz.bj", (8, 9), "copies: "),
        ("version: 3", "version: 3\ncopies: [noc@rgz.bj, NOC]", (8, 22), "'NOC' is no address: "),
        ("version: 3", f"version: 3\ncopies: [{', '.join(['noc@rgz.bj'] * 11)}]", (8, 9), "copies: "),
        ("version: 3", "version: [3", None, "YAML: "),
        ("version: 3", "\tversion: 3", (7, 1), "YAML: "),
    ],
)  # fmt: skip
def test_mistake_in_the_front_matter_is_found_where_it_is(
    line: str, wrong: str, place: tuple[int, int] | None, message: str
) -> None:
    assert line in FULL
    found = errors(FULL.replace(line, wrong, 1) + BODY)
    named = [one for one in found if one.message.startswith(message)]
    assert named, [str(one) for one in found]
    assert place is None or (named[0].line, named[0].column) == place


def test_copies_are_addresses_each_once() -> None:
    more = "version: 3\ncopies: [noc@rgz.bj, Chef@rgz.bj, NOC@rgz.bj]"
    assert template(FULL.replace("version: 3", more, 1) + BODY).manifest.copies == ("noc@rgz.bj", "Chef@rgz.bj")
    assert template(FULL + BODY).manifest.copies == ()


def test_examples_are_files_and_each_is_rendered() -> None:
    source = FULL.replace("examples:\n  default: {month: février, year: 2026, rows: [{label: a}]}\n", "") + BODY
    files = {"t/examples/default.yaml": "month: mars\nyear: 1\n", "t/examples/autre.yaml": "month: mai\nyear: 02\n"}
    found = template(source, files)
    assert list(found.examples) == ["default", "autre"]
    assert found.examples["autre"] == {"month": "mai", "year": "02"}
    wrong = errors(source, {**files, "t/examples/zero.yaml": "month: mars\n\nyear:\n  a: 1\n"})
    assert [(one.file, one.line, one.column) for one in wrong] == [("t/examples/zero.yaml", 4, 3)]


def test_optional_variable_that_is_always_printed_is_a_warning() -> None:
    source = FULL + BODY.replace("{% if link %}{{ link }}{% endif %}", "{{ link }}")
    source = source.replace("year: 2026, rows", 'year: 2026, link: "https://x.example/", rows')
    compilation = compiled(source)
    assert compilation.template is not None
    assert [(one.severity, one.code, one.message) for one in compilation.findings] == [
        ("warning", "optional-not-guarded", "rendering fails without the optional variables: link is missing")
    ]


def test_variable_without_an_example_is_a_warning() -> None:
    source = FULL.replace("examples:\n  default: {month: février, year: 2026, rows: [{label: a}]}\n", "") + BODY
    compilation = compiled(source)
    assert compilation.template is not None
    assert compilation.template.examples == {}
    assert [(one.severity, one.code, one.line) for one in compilation.findings] == [("warning", "no-example", 14)]
