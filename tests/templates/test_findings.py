"""Sixty broken templates: each mistake is found at its place, with a message that says how to mend it."""

import pytest

from service.errors import RenderError
from tests.support.template_kit import column, compiled, document, errors, front_matter, template, text

FRONT = front_matter()
#: The line of the front matter's end, and that of the content in `text`, `column` and `document`.
FRONT_LINES = FRONT.count("\n")
CONTENT = FRONT_LINES + 6
BODY = FRONT_LINES + 4
HEAD = FRONT_LINES + 2

#: name -> template, [(line, column, code)]
BROKEN = {
    "a block that is never closed": (text("{% if yes %}x"), [(CONTENT, 10, "jinja-syntax")]),
    "a block over two elements": (
        column("<mj-text>{% if yes %}x</mj-text><mj-text>{% endif %}</mj-text>"),
        [(CONTENT, 10, "block-crosses"), (CONTENT, 42, "block-crosses")],
    ),
    "a block from one section into another": (
        document('<mj-section>{% if yes %}<mj-column width="50%"/></mj-section><mj-section>{% endif %}</mj-section>'),
        [(BODY, 13, "block-crosses"), (BODY, 74, "block-crosses")],
    ),
    "an unknown filter": (text("{{ name|uper }}"), [(CONTENT, 18, "unknown-filter")]),
    "a filter without its arguments": (text('{{ number|plural("un") }}'), [(CONTENT, 20, "filter-arguments")]),
    "half of a character": (text('{{ name ~ "\\ud83d" }}'), [(CONTENT, 10, "half-character")]),
    "an unknown test": (text("{% if name is evn %}{% endif %}"), [(CONTENT, 24, "unknown-test")]),
    "an undeclared variable": (text("{{ nme }}"), [(CONTENT, 13, "undeclared-variable")]),
    "an undeclared variable on one branch": (
        text("{% if yes %}{% if number > 3 %}\n{{ other }}{% endif %}{% endif %}"),
        [(CONTENT + 1, 4, "undeclared-variable")],
    ),
    "an undeclared variable in a condition": (text("{% if nme %}{% endif %}"), [(CONTENT, 16, "undeclared-variable")]),
    "a loop variable outside of its loop": (
        text("{% for row in rows %}{% endfor %}{{ row.label }}"),
        [(CONTENT, 46, "undeclared-variable")],
    ),
    "an undeclared property": (
        text("{% for row in rows %}{{ row.lable }}{% endfor %}"),
        [(CONTENT, 38, "undeclared-property")],
    ),
    "a property of a list": (text("{{ rows.length }}"), [(CONTENT, 18, "undeclared-property")]),
    "a method call": (text("{{ name.upper() }}"), [(CONTENT, 18, "method-call")]),
    "an unknown function": (text("{{ lipsum() }}"), [(CONTENT, 13, "unknown-function")]),
    "autoescape": (text("{% autoescape false %}{{ name }}{% endautoescape %}"), [(CONTENT, 10, "not-allowed")]),
    "two names": (text("{{ name name }}"), [(CONTENT, 10, "jinja-syntax")]),
    "an unknown tag": (text("a\n{% fi yes %}x{% endif %}"), [(CONTENT + 1, 1, "jinja-syntax")]),
    "an expression that never ends": (text("{{ name"), [(CONTENT, 10, "jinja-syntax")]),
    "an empty expression": (text("{{ }}"), [(CONTENT, 10, "jinja-syntax")]),
    "a raw block that never ends": (text("{% raw %}x"), [(CONTENT, 10, "jinja-syntax")]),
    "an unknown component": (column("<mj-txt>x</mj-txt>"), [(CONTENT, 1, "unknown-component")]),
    "HTML between components": (column("<p>x</p>"), [(CONTENT, 1, "unknown-component")]),
    "a component in a wrong place": (document("<mj-text>x</mj-text>"), [(BODY, 1, "wrong-parent")]),
    "an unknown attribute": (column('<mj-text fontsize="3px">x</mj-text>'), [(CONTENT, 10, "unknown-attribute")]),
    "a bad value": (column('<mj-text font-size="12">x</mj-text>'), [(CONTENT, 10, "bad-value")]),
    "a colour that does not exist": (column('<mj-text color="bleu">x</mj-text>'), [(CONTENT, 10, "bad-value")]),
    "a link that is a script": (
        column('<mj-button href=" JavaScript:x()">x</mj-button>'),
        [(CONTENT, 12, "harmful-link")],
    ),
    "a link in text that is a script": (
        column('<mj-text><a href="data:text/html,x">x</a></mj-text>'),
        [(CONTENT, 13, "harmful-link")],
    ),
    "a bad colour": (column('<mj-text color="#12">x</mj-text>'), [(CONTENT, 10, "bad-value")]),
    "an attribute twice": (
        column('<mj-text color="red" color="blue">x</mj-text>'),
        [(CONTENT, 22, "duplicate-attribute")],
    ),
    "an HTML attribute twice": (text('<p id="a" id="b">x</p>'), [(CONTENT, 20, "duplicate-attribute")]),
    "an unquoted value": (column("<mj-text color=red>x</mj-text>"), [(CONTENT, 10, "unquoted-value")]),
    "an unquoted expression": (text("<a href={{ link }}>x</a>"), [(CONTENT, 13, "unquoted-value")]),
    "a component never closed": (document("<mj-section><mj-column>"), [(BODY + 1, 1, "mismatched-tag")]),
    "an element never closed": (text("<p>x<b>y</p>"), [(CONTENT, 18, "unbalanced-html")]),
    "an element left open on a branch": (text("{% if yes %}<b>{% endif %}x"), [(CONTENT, 22, "unbalanced-html")]),
    "an element closed on a branch": (text("<b>{% if yes %}</b>{% endif %}x"), [(CONTENT, 25, "unbalanced-html")]),
    "text between components": (document("hello"), [(BODY, 1, "stray-text")]),
    "an expression between components": (column("{{ name }}"), [(CONTENT, 1, "stray-text")]),
    "Jinja in a tag": (text("<p {{ name }}>x</p>"), [(CONTENT, 13, "jinja-in-tag")]),
    "Jinja as a tag's name": (text("<{{ name }}>x"), [(CONTENT, 11, "jinja-in-tag")]),
    "Jinja in an event": (text('<p onclick="{{ name }}">x</p>'), [(CONTENT, 22, "jinja-in-script")]),
    "Jinja in a script": (text("<script>{{ name }}</script>"), [(CONTENT, 18, "jinja-in-script")]),
    "Jinja as a CSS name": (text('<p style="{{ name }}: red">x</p>'), [(CONTENT, 20, "jinja-in-css-name")]),
    "Jinja in a comment": (text("<!-- {{ name }} -->"), [(CONTENT, 15, "jinja-in-comment")]),
    "Jinja in a comment between components": (column("<!-- {{ name }} -->"), [(CONTENT, 6, "jinja-in-comment")]),
    "a block around an element of the head": (
        document("", "{% if yes %}<mj-title>x</mj-title>{% endif %}"),
        [(HEAD, 10, "jinja-not-here"), (HEAD, 44, "jinja-not-here")],
    ),
    "a block in a carousel": (
        column('<mj-carousel>{% if yes %}<mj-carousel-image src="https://x.example/a.png"/>{% endif %}</mj-carousel>'),
        [(CONTENT, 14, "jinja-not-here"), (CONTENT, 76, "jinja-not-here")],
    ),
    "an expression in a width": (
        document('<mj-section><mj-column width="{{ number }}%"></mj-column></mj-section>'),
        [(BODY, 31, "layout-needs-literal")],
    ),
    "an expression in a padding": (
        column('<mj-button padding="{{ number }}px">x</mj-button>'),
        [(CONTENT, 21, "layout-needs-literal")],
    ),
    "a conditional column without a width": (
        document("<mj-section>{% if yes %}<mj-column></mj-column>{% endif %}</mj-section>"),
        [(BODY, 25, "column-needs-width")],
    ),
    "a class that inline CSS has a rule for": (
        column(
            '<mj-text><p class="{{ color }}">x</p></mj-text>', '<mj-style inline="inline">.odd{color:red}</mj-style>'
        ),
        [(CONTENT, 20, "class-and-inline-css")],
    ),
    "a position in a loop": (
        column(
            "<mj-table>{% for row in rows %}<tr><td>x</td></tr>{% endfor %}</mj-table>",
            '<mj-style inline="inline">tr:nth-child(odd) {color:red}</mj-style>',
        ),
        [(HEAD, 36, "position-selector")],
    ),
    "a neighbour in a loop": (
        column(
            "<mj-table>{% for row in rows %}<tr><td>x</td></tr>{% endfor %}</mj-table>",
            '<mj-style inline="inline">tr + tr {color:red}</mj-style>',
        ),
        [(HEAD, 36, "position-selector")],
    ),
    "a link begun on one way": (
        text('<a href="{% if yes %}https://x.example/{% endif %}{{ name }}">x</a>'),
        [(CONTENT, 60, "ambiguous-url")],
    ),
    "safe in an attribute": (text('<a title="{{ name|safe }}">x</a>'), [(CONTENT, 20, "safe-outside-text")]),
    "a dynamic include": (text("{% include name %}"), [(CONTENT, 10, "dynamic-name")]),
    "a dynamic mj-include": (document('<mj-include path="{{ name }}" />'), [(BODY, 19, "dynamic-name")]),
    "a missing file": (document('<mj-include path="nope.mjml" />'), [(BODY, 1, "file-not-found")]),
    "an import of CSS": (document("", "<mj-style>@import url(x);</mj-style>"), [(HEAD, 20, "css-import")]),
    "HTML in a title": (document("", "<mj-title>a <b>x</b></mj-title>"), [(HEAD, 22, "html-in-text")]),
    "a downlevel-revealed comment": (text("<![if mso]>x<![endif]>"), [(CONTENT, 10, "conditional-comment")]),
    "a block element in an inline one": (
        text("<a href='https://x.example/'><table><tr><td>x</td></tr></table></a>"),
        [(FRONT_LINES + 1, 1, "html-restructured")],
    ),
    "an attribute that is not printed": (
        column('<mj-spacer border="1px solid {{ color }}" />'),
        [(CONTENT, 30, "not-printed")],
    ),
    "a reserved word": (text("zqj00001x"), [(CONTENT, 10, "reserved-word")]),
    "a hamburger in a loop": (
        document(
            "{% for row in rows %}<mj-section><mj-column><mj-navbar "
            "hamburger='hamburger'/></mj-column></mj-section>{% endfor %}"
        ),
        [(BODY, 45, "hamburger-in-loop")],
    ),
    "no document": ("", [(1, 1, "no-document")]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_mistake_is_found_where_it_is(name: str) -> None:
    mjml, expected = BROKEN[name]
    found = errors(FRONT + mjml)
    assert [(one.line, one.column, one.code) for one in found] == expected, [str(one) for one in found]
    assert all(one.message and one.file == "t/template.mjml" for one in found)


def test_hint_names_what_was_meant() -> None:
    assert errors(column('<mj-text fontsize="3px">x</mj-text>'))[0].hint == 'did you mean "font-size"?'
    assert errors(text("{{ nme }}"))[0].hint == 'did you mean "name"?'
    assert errors(text("{{ name|uper }}"))[0].hint == 'did you mean "upper"?'


def test_mistakes_are_found_all_at_once() -> None:
    source = FRONT.replace("category: billing", "categry: billing") + column(
        '<mj-text fontsize="3px">{{ nme|uper }}</mj-text><mj-text><b>{% if yes %}</b>{% endif %}</mj-text>'
    )
    found = compiled(source).findings
    assert {one.code for one in found} >= {"bad-front-matter", "unknown-attribute", "unbalanced-html"}
    found = compiled(FRONT + column('<mj-text fontsize="3px">{{ nme|uper }}</mj-text>')).findings
    assert {one.code for one in found} >= {"undeclared-variable", "unknown-filter", "unknown-attribute"}


def test_unused_variable_is_a_warning_at_its_declaration() -> None:
    compilation = compiled(FRONT + text("{{ name }} {{ link }} {{ yes }} {{ number }} {{ rows|length }}"))
    assert compilation.template is not None
    assert [(one.line, one.severity, one.code) for one in compilation.findings] == [(11, "warning", "unused-variable")]


def test_variable_used_only_in_the_subject_or_text_is_used() -> None:
    body = FRONT.replace("subject: Objet", 'subject: "{{ color }}"') + text(
        "{{ name }} {{ link }} {{ yes }} {{ number }}"
    )
    assert compiled(body, {"t/template.txt": "{{ rows|length }}"}).findings == ()


def test_mistake_in_the_subject_and_in_the_text_part_is_found() -> None:
    body = FRONT.replace("subject: Objet", 'subject: "Bonjour {{ nme }}"') + text("x")
    found = errors(body, {"t/template.txt": "a\n  {{ nam }}"})
    assert [(one.file, one.line, one.column, one.code) for one in found] == [
        ("t/template.mjml", 2, 22, "undeclared-variable"),
        ("t/template.txt", 2, 6, "undeclared-variable"),
    ]


def test_windows_newlines_and_byte_order_mark_are_taken() -> None:
    source = "\ufeff" + (FRONT + text("a\n{{ nme }}")).replace("\n", "\r\n")
    assert [(one.line, one.column) for one in errors(source)] == [(CONTENT + 1, 4)]


def test_tag_that_is_no_jinja_does_not_hide_mistakes_around_it() -> None:
    source = column(
        '<mj-txt>x</mj-txt>\n<mj-text colour="red">{{ name + }}</mj-text>\n{% if name %}<mj-text>y</mj-text>'
    )
    assert {finding.code for finding in errors(source)} >= {"unknown-component", "unknown-attribute", "jinja-syntax"}


@pytest.mark.parametrize("tag", ["{{ name name }}", "{{ 3x }}", "{{ }}", "{% %}"])
def test_tag_that_cannot_be_read_does_not_hide_mistakes_elsewhere(tag: str) -> None:
    found = errors(column(f"<mj-text>{tag}</mj-text>\n<mj-txt>x</mj-txt>\n<mj-text>{{{{ nme }}}}</mj-text>"))
    assert [(one.line, one.code) for one in found] == [
        (CONTENT, "jinja-syntax"), (CONTENT + 1, "unknown-component"), (CONTENT + 2, "undeclared-variable"),
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["from", "reply_to"])
def test_sender_that_is_no_address_is_found_in_the_front_matter(field: str) -> None:
    [found] = errors(text("x"), more=f"{field}: RGZ <rgz at example.com>\n")
    assert (found.code, found.line, found.column) == ("bad-address", 6, len(field) + 3)


def test_sender_that_a_value_spoils_is_refused_when_it_renders() -> None:
    front = front_matter("  name: {type: string, example: a}\n", 'from: "Service <{{ name }}@example.com>"\n')
    made = template(front + text("x"))
    assert made.render({"name": "support"}).from_header == "Service <support@example.com>"
    with pytest.raises(RenderError) as refused:
        made.render({"name": "a b"})
    assert (refused.value.finding.code, refused.value.finding.line, refused.value.variable) == (
        "bad-address",
        6,
        "name",
    )


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("template.fr.mjml", '"fr" is the language of template.mjml'),
        ("template.fr.txt", '"fr" is the language of template.mjml'),
        ("template.de.txt", "there is no template.de.mjml beside it"),
    ],
)
def test_file_of_a_language_that_is_never_read_is_a_warning(file: str, why: str) -> None:
    found = compiled(text("x"), {f"t/{file}": "x"}).findings
    told = [(one.file, one.severity, one.code) for one in found if one.code == "unused-file"]
    assert told == [(f"t/{file}", "warning", "unused-file")]
    assert why in next(one.message for one in found if one.code == "unused-file")


def test_text_part_of_another_language_is_used() -> None:
    files = {"t/template.en.mjml": text("{{ name }}"), "t/template.en.txt": "{{ name }}"}
    assert "unused-file" not in {one.code for one in compiled(text("x"), files).findings}
