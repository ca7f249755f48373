"""Limits of the compiler: whatever a template holds, compiling ends with findings at their places."""

import pytest

from service.templates.size_limits import MAX_BLOCKS, MAX_BRANCHES, MAX_LEVELS, MAX_OPERATIONS
from tests.support.template_kit import column, compiled, document, errors, front_matter, text

MANY = 20_000
DEEP = "<div>" * MANY + "</div>" * MANY
STYLE = '<mj-style inline="inline">{}</mj-style>'


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("<a " * 20_000, "malformed-tag"),
        ("<a '" * 20_000, "malformed-tag"),
        ("<!--" * 20_000, "malformed-tag"),
        ("<!-- x " * 20_000, "malformed-tag"),
        ("{" * 20_000, "jinja-syntax"),
        ("{% raw %}" * 5_000, "jinja-syntax"),
        ("{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}", "jinja-syntax"),
        ("{% if yes %}" * 300 + "x" + "{% endif %}" * 300, "jinja-syntax"),
        ("<b>" * 3_000 + "</b>" * 3_000, "too-deep"),
        (DEEP, "too-deep"),
        ("<div>" * MANY, "too-deep"),
        (f"<!--[if mso]>{DEEP}<![endif]-->", "too-deep"),
        ("<!--[if mso]><div><![endif]-->" * MANY, "too-deep"),
        ("<table><tr><td>" * 5_000 + "</td></tr></table>" * 5_000, "too-deep"),
        ("<b " + " ".join(f"a{number}=''" for number in range(5_000)) + ">x</b>", "too-large"),
        ('<b style="color:' + "(" * 50_000 + '">x</b>', "too-deep"),
        ("{% for row in rows %}" * 30 + "x" + "{% endfor %}" * 30, "jinja-syntax"),
        ("{% macro a() %}" * 60 + "x" + "{% endmacro %}" * 60, "jinja-syntax"),
        ("{% if yes %}a" + "{% elif yes %}b" * 5_000 + "{% endif %}", "jinja-syntax"),
        ("{{ " + "[" * 100_000 + "1" + "]" * 100_000 + " }}", "jinja-syntax"),
        ("{{ name" + "|upper" * 10_000 + " }}", "jinja-syntax"),
        ("{{ name" + ".a" * 10_000 + " }}", "jinja-syntax"),
        ("{{ range" + "(1)" * 10_000 + " }}", "jinja-syntax"),
        ("{{ 1" + "+1" * 10_000 + " }}", "jinja-syntax"),
        ("{{ 1" + "<1" * 10_000 + " }}", "jinja-syntax"),
        ("{{ " + "not " * 10_000 + "1 }}", "jinja-syntax"),
        ("{{ " + "-" * 10_000 + "1 }}", "jinja-syntax"),
        ("{{ " + "1 if yes else " * 2_000 + "1 }}", "jinja-syntax"),
        ("{{ " + "9" * 5_000 + " }}", "jinja-syntax"),
        ("{{ 0x" + "f" * 400_000 + " // 3 }}", "jinja-syntax"),
        ("{{ '" + "\\'" * 100_000 + " }}", "jinja-syntax"),
        ("{{ name }}" * 11_000, "too-many-tags"),
        ('{% include "\\x" %}', "jinja-syntax"),
    ],
)
def test_limits_stop_what_never_ends(content: str, code: str) -> None:
    findings = [one for one in compiled(text(content)).findings if one.is_error]
    assert [one.code for one in findings] == [code]
    assert findings[0].line > front_matter().count("\n")


@pytest.mark.parametrize("tag", ["mj-raw", "mj-table", "mj-button"])
def test_limits_refuse_nested_elements_in_every_component(tag: str) -> None:
    (finding,) = errors(column(f"<{tag}>{DEEP}</{tag}>"))
    assert (finding.code, finding.line) == ("too-deep", front_matter().count("\n") + 6)
    assert finding.column == len(f"<{tag}>") + 5 * MAX_LEVELS + 1


def test_limits_count_levels_over_included_files() -> None:
    part = "<mj-wrapper>" * 60 + '<mj-include path="{}"/>' + "</mj-wrapper>" * 60
    files = {"t/a.mjml": part.format("b.mjml"), "t/b.mjml": "<mj-wrapper>" * 60 + "</mj-wrapper>" * 60}
    (finding,) = errors(document('<mj-include path="a.mjml"/>'), files)
    assert (finding.file, finding.line, finding.code) == ("t/b.mjml", 1, "too-deep")
    (finding,) = errors(column('<mj-include path="a.html" type="html"/>'), {"t/a.html": DEEP})
    assert (finding.file, finding.line, finding.code) == ("t/a.html", 1, "too-deep")


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (STYLE.format("/*" * 100_000), "malformed-tag"),
        ("<mj-style>" + "/*" * 100_000 + "</mj-style>", "malformed-tag"),
        (STYLE.format(".a{color:" + "(" * 50_000), "too-deep"),
        (STYLE.format("@media x{" * 5_000), "too-deep"),
        (STYLE.format("* " * 500 + "{color:red}"), "too-large"),
        (STYLE.format("".join(f".a{number}{{}}" for number in range(20_000))), "too-large"),
    ],
)
def test_limits_bound_inline_css(head: str, code: str) -> None:
    found = errors(column("<mj-text>" + "<b>x</b>" * 200 + "</mj-text>", head))
    assert [one.code for one in found] == [code]
    assert found[0].line > front_matter().count("\n")


@pytest.mark.parametrize(
    ("source", "files"),
    [
        (
            text('{% include "a0.html" %}'),
            {f"t/a{level}.html": f'{{% include "a{level + 1}.html" %}}' * 10 for level in range(12)}
            | {"t/a12.html": "x"},
        ),
        (
            column('<mj-include path="a0.mjml"/>'),
            {f"t/a{level}.mjml": f'<mj-include path="a{level + 1}.mjml"/>' * 10 for level in range(12)}
            | {"t/a12.mjml": ""},
        ),
        (
            '{% extends "b0.mjml" %}{% block a %}{{ super() }}{{ super() }}{% endblock %}',
            {
                f"t/b{level}.mjml": f'{{% extends "b{level + 1}.mjml" %}}{{% block a %}}'
                + "{{ super() }}" * 9
                + "{% endblock %}"
                for level in range(12)
            }
            | {"t/b12.mjml": text("{% block a %}<b>x</b>{% endblock %}")},
        ),
        (document("<mj-section/>" * 15_000), {}),
        (text("a" * 1_100_000), {}),
        (text("x"), {f"t/examples/e{number}.yaml": "{}" for number in range(101)}),
        (text("x"), {f"t/template.x{chr(97 + n % 26)}{chr(97 + n // 26)}.mjml": "" for n in range(60)}),
    ],
    ids=["include", "mj-include", "super", "sections", "text", "examples", "languages"],
)
def test_limits_bound_what_a_template_takes_in(source: str, files: dict[str, str]) -> None:
    found = {one.code for one in errors(source, files)}
    assert found and found <= {"too-large", "too-many-tags"}


@pytest.mark.parametrize(
    "content",
    [
        "<" * 20_000, " " * 200_000 + "x", "\n" * 100_000, "x" * 200_000, "&" * 20_000,
        "<b title='" + " " * 100_000 + "x'>y</b>", "<b style='color:" + " " * 100_000 + "{{ color }}'>y</b>",
        "<!--[if mso]><b title='a'" + " " * 50_000 + "></b><![endif]-->",
    ],
)  # fmt: skip
def test_limits_leave_much_text_alone(content: str) -> None:
    assert compiled(text(content)).template is not None


@pytest.mark.parametrize(
    "content",
    [
        "<div>" * 90 + "</div>" * 90,
        "{% if yes %}" * MAX_BLOCKS + "x" + "{% endif %}" * MAX_BLOCKS,
        "{% if yes %}x" + "{% elif yes %}y" * MAX_BRANCHES + "{% endif %}",
        "{{ 1" + "+1" * (MAX_OPERATIONS - 1) + " }}",
    ],
)
def test_limits_are_not_met_just_below_them(content: str) -> None:
    assert errors(text(content)) == []


def test_limits_report_no_more_mistakes_than_an_author_reads() -> None:
    assert len(errors(text("".join(f"{{{{ wrong{number} }}}}" for number in range(1_000))))) == 200
