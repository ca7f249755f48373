"""Includes: several files become one template, and a mistake is found in its own file."""

from tests.support.template_kit import VALUES, column, document, errors, front_matter, plain, template, text

SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"


def test_include_resolves_paths_from_the_including_file() -> None:
    files = {
        "_shared/parts/header.mjml": '<mj-include path="../logo.mjml" />',
        "_shared/logo.mjml": SECTION.format("Logo {{ name }}"),
    }
    found = template(document('<mj-include path="../_shared/parts/header.mjml" />'), files).render(VALUES)
    assert "Logo Zoé &lt;b&gt;" in found.html
    assert "Logo Zoé <b>" in found.text


def test_include_takes_in_css_and_html() -> None:
    files = {"_shared/a.css": ".p{color:red}", "_shared/b.html": "<div>brut {{ number }}</div>"}
    head = '<mj-include path="../_shared/a.css" type="css" css-inline="inline" />'
    body = '<mj-include path="../_shared/b.html" type="html" />' + SECTION.format('<p class="p">x</p>')
    html = template(document(body, head), files).render(VALUES).html
    assert '<p class="p" style="color:red">' in html
    assert "<div>brut 3</div>" in html


def test_include_of_a_document_takes_its_head_and_its_body() -> None:
    files = {
        "_shared/theme.mjml": "<mjml><mj-head><mj-attributes><mj-text color='#123456'/></mj-attributes></mj-head>"
        f"<mj-body>{SECTION.format('du thème')}</mj-body></mjml>"
    }
    html = template(document('<mj-include path="../_shared/theme.mjml" />'), files).render(VALUES).html
    assert "color:#123456" in html
    assert "du thème" in html


def test_mistake_in_an_included_file_is_found_there() -> None:
    files = {
        "_shared/header.mjml": "<mj-section>\n  <mj-column>\n    <mj-text fontsize='3px'>{{ nme "
        "}}</mj-text>\n  </mj-column>\n</mj-section>"
    }
    found = errors(document('<mj-include path="../_shared/header.mjml" />'), files)
    assert [(one.file, one.line, one.column, one.code) for one in found] == [
        ("_shared/header.mjml", 3, 14, "unknown-attribute"),
        ("_shared/header.mjml", 3, 32, "undeclared-variable"),
    ]


def test_include_outside_of_the_directory_is_refused() -> None:
    for path in ("../../etc/passwd", "/etc/passwd", "..\\\\x"):
        assert [one.code for one in errors(document(f'<mj-include path="{path}" />'))] == ["outside-directory"]
    assert [one.code for one in errors(text('{% include "../../secret.txt" %}'))] == ["outside-directory"]


def test_include_cycle_is_refused() -> None:
    files = {"_shared/a.mjml": '<mj-include path="b.mjml" />', "_shared/b.mjml": '<mj-include path="a.mjml" />'}
    assert [one.code for one in errors(document('<mj-include path="../_shared/a.mjml" />'), files)] == ["include-cycle"]
    files = {"_shared/a.html": '{% include "a.html" %}'}
    assert [one.code for one in errors(text('{% include "../_shared/a.html" %}'), files)] == ["include-cycle"]


def test_jinja_include_is_taken_in_where_it_stands() -> None:
    files = {"_shared/cell.html": "<td>{{ row.label }}</td>"}
    source = column(
        '<mj-table>{% for row in rows %}<tr>{% include "../_shared/cell.html" %}</tr>{% endfor %}</mj-table>'
    )
    assert "<td>Café</td>" in template(source, files).render(VALUES).html


def test_jinja_include_of_what_is_missing_may_be_ignored() -> None:
    assert "ab" in plain(text('a{% include "nowhere.html" ignore missing %}b'))
    assert [one.code for one in errors(text('a{% include "nowhere.html" %}b'))] == ["file-not-found"]


def test_extends_fills_blocks_and_super() -> None:
    files = {
        "_shared/base.mjml": document(
            "{% block before %}{% endblock %}" + SECTION.format("{% block body %}base {{ number }}{% endblock %}"),
            "<mj-title>{% block title %}Titre{% endblock %}</mj-title>",
        )
    }
    source = (
        '{% extends "../_shared/base.mjml" %}{% set greeting = "Salut" %}\n'
        "{% block body %}<b>{{ greeting }}</b> {{ super() }} {{ super() }}{% endblock %}\n"
        f"{{% block before %}}{SECTION.format('avant')}{{% endblock %}}"
    )
    found = template(source, files).render(VALUES)
    assert "<b>Salut</b> base 3 base 3" in found.html
    assert "avant" in found.html
    assert "<title>Titre</title>" in found.html


def test_extends_refuses_a_block_that_no_parent_has() -> None:
    files = {"_shared/base.mjml": document(SECTION.format("{% block body %}{% endblock %}"))}
    source = '{% extends "../_shared/base.mjml" %}\n{% block bdy %}x{% endblock %}'
    found = errors(source, files)
    assert [(one.code, one.message) for one in found] == [("unknown-block", 'no parent has a block "bdy"')]


def test_import_gives_macros_in_html_and_text() -> None:
    files = {
        "_shared/macros.html": '{% macro badge(label, url) %}<b title="{{ label }}">{{ label }}</b> '
        '<a href="{{ url }}">voir</a>{% endmacro %}'
    }
    source = column(
        '{% import "../_shared/macros.html" as m %}<mj-text>{{ m.badge(name, link) }}</mj-text>'
        '<mj-text>{% from "../_shared/macros.html" import badge %}{{ badge("x", link) }}</mj-text>'
    )
    found = template(source, files).render(VALUES)
    assert '<b title="Zoé &lt;b&gt;&amp;&#34;&#39;">Zoé &lt;b&gt;&amp;&#34;&#39;</b>' in found.html
    assert '<a href="https://portal.example/a?x=1&amp;y=2">voir</a>' in found.html
    assert "Zoé <b>&\"' voir (https://portal.example/a?x=1&y=2)" in found.text


def test_import_before_the_document_is_for_all_of_it() -> None:
    files = {"_shared/macros.html": "{% macro shout(x) %}<b>{{ x|upper }}</b>{% endmacro %}"}
    source = '{% from "../_shared/macros.html" import shout %}\n' + text("{{ shout(name) }}")
    found = template(source, files).render(VALUES)
    assert "<b>ZOÉ" in found.html
    assert "ZOÉ <B>" in found.text


def test_macro_defined_beside_components_is_for_all_of_them() -> None:
    source = column("{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}<mj-text>{{ b(number) }}</mj-text>")
    assert "<b>3</b>" in template(source).render(VALUES).html


def test_macro_that_prints_components_is_refused() -> None:
    found = errors(column("{% macro b(x) %}<mj-text>{{ x }}</mj-text>{% endmacro %}"))
    assert [one.code for one in found] == ["components-in-macro"]


def test_imported_file_does_not_see_the_variables() -> None:
    files = {"_shared/macros.html": "{% macro b() %}{{ name }}{% endmacro %}"}
    found = errors(text('{% import "../_shared/macros.html" as m %}{{ m.b() }}'), files)
    assert [(one.file, one.line, one.column, one.code) for one in found] == [
        ("_shared/macros.html", 1, 19, "undeclared-variable")
    ]


def test_second_language_overrides_subject_and_blocks() -> None:
    files = {
        "t/template.en.mjml": '---\nsubject: "Invoice {{ number }}"\n---\n{% extends "template.mjml" %}'
        "{% block body %}Hello {{ '2026-02-21'|date }}{% endblock %}"
    }
    found = template(text("{% block body %}Bonjour {{ '2026-02-21'|date }}{% endblock %}"), files)
    assert found.locales == ("fr", "en")
    french, english = found.render(VALUES), found.render(VALUES, locale="en-GB")
    assert (french.subject, french.text, french.locale) == ("Objet", "Bonjour 21 février 2026\n", "fr")
    assert (english.subject, english.text, english.locale) == ("Invoice 3", "Hello 21 February 2026\n", "en")
    assert 'lang="en"' in english.html
    assert found.render(VALUES, locale="de").locale == "fr"


def test_second_language_may_not_declare_variables() -> None:
    files = {"t/template.en.mjml": '---\nversion: 2\n---\n{% extends "template.mjml" %}'}
    found = errors(front_matter() + text("{% block a %}{% endblock %}"), files)
    assert [(one.file, one.line, one.code) for one in found] == [("t/template.en.mjml", 2, "bad-front-matter")]
