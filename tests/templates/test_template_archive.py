"""Revisions: what they depend on, and that an archived one renders the same without being compiled."""

import subprocess
import sys

import pytest

from service.errors import ArchiveCorrupt, RenderError
from service.templates.template import Template
from tests.support.paths import ROOT
from tests.support.template_kit import LIMITS, VALUES, column, document, front_matter, template, text

SOURCE = front_matter() + column(
    '{% import "../_shared/m.html" as m %}<mj-text>{{ m.b(name) }}</mj-text><mj-table>{% for row in rows %}<tr>'
    "<td>{{ row.label }}</td><td>{{ number|fcfa }}</td></tr>{% endfor %}</mj-table><mj-button "
    "href='{{ link }}'>x</mj-button>"
)
FILES = {
    "_shared/m.html": "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}",
    "t/template.en.mjml": '{% extends "template.mjml" %}',
}


def test_archived_template_renders_the_same_bytes() -> None:
    original = template(SOURCE, FILES)
    archived = Template.from_archive(original.archive(), limits=LIMITS)
    for locale in ("fr", "en"):
        assert archived.render(VALUES, locale=locale) == original.render(VALUES, locale=locale)
    assert archived.archive() == original.archive()
    assert (archived.revision, archived.manifest, archived.examples) == (
        original.revision, original.manifest, original.examples,
    )  # fmt: skip
    assert archived.source == SOURCE
    with pytest.raises(RenderError) as refused:
        archived.render({**VALUES, "link": "javascript:x"})
    assert refused.value.variable == "link"


def test_archive_is_the_same_in_another_process() -> None:
    script = (
        "import hashlib; from tests.templates import test_template_archive as t;"
        "print(hashlib.sha256(t.template(t.SOURCE, t.FILES).archive()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env={"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"format": 99}', b"\xff", b"null"])
def test_archive_that_is_none_is_refused(damage: bytes) -> None:
    with pytest.raises(ArchiveCorrupt):
        Template.from_archive(damage, limits=LIMITS)


def test_revision_follows_all_that_the_bytes_depend_on() -> None:
    body = document('<mj-include path="../_shared/a.mjml" />')
    section = "<mj-section><mj-column><mj-text>{{ name }}</mj-text></mj-column></mj-section>"
    base = {"_shared/a.mjml": section, "_shared/unrelated.mjml": "x"}
    first = template(body, base).revision
    assert len(first) == 64
    assert template(body, base).revision == first
    assert template(body, {**base, "_shared/unrelated.mjml": "y"}).revision == first
    assert template(body, {**base, "t/examples/default.yaml": _example()}).revision == first
    assert template(body, {**base, "_shared/a.mjml": section.replace("{{ name }}", "x")}).revision != first
    assert template(body, {**base, "t/template.txt": "x"}).revision != first
    assert template(body, {**base, "t/template.en.mjml": '{% extends "template.mjml" %}'}).revision != first
    assert template(front_matter(more="active: false\n") + body, base).revision != first


def _example() -> str:
    return 'name: a\nlink: "https://x.example/"\nyes: true\nnumber: 1\ncolor: red\nrows: []\n'


def test_text_without_jinja_is_constant() -> None:
    found = template(front_matter(variables="") + text("fixe"))
    assert found.render({}).text == "fixe\n"
