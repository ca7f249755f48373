"""Random templates and values: compiling once, then Jinja, equals Jinja first, then MJML and premailer."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.jinja_first import JINJA_FIRST, as_a_mail_program_sees
from tests.support.template_kit import column, compiled, document, front_matter, template

#: Pieces of text; each ends and begins with a letter so that white space between blocks is the same on both ways.
TEXTS = st.sampled_from(
    ["un", "{{ name }}", "a {{ number }} b", "<b>gras {{ name }}</b>", "&nbsp;x&amp;", "é🎉",
     '<a href="{{ link }}">voir</a>',
     '<i title="{{ name }}">i</i>', "{{ rows|length }}", '<span style="color:{{ color }}">c</span>', "{{- number -}}",
     "{% set v = number + 1 %}{{ v }}", "<br>", '<a href="https://x.example/?q={{ name }}">q</a>']
)  # fmt: skip
CONDITIONS = st.sampled_from(["yes", "not yes", "number > 3", "rows", "name == 'x'"])


def _blocks(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    together = st.lists(children, min_size=1, max_size=3).map("".join)
    return st.one_of(
        together,
        st.tuples(CONDITIONS, together).map(lambda one: f"{{% if {one[0]} %}}{one[1]}{{% endif %}}"),
        st.tuples(CONDITIONS, together, together).map(
            lambda one: f"{{% if {one[0]} %}}{one[1]}{{% else %}}{one[2]}{{% endif %}}"
        ),
        together.map(lambda one: f"{{% for row in rows %}}{one}{{% endfor %}}"),
        together.map(lambda one: f"{{% with w = number %}}{one}{{% endwith %}}"),
    )


INLINE = st.recursive(TEXTS, _blocks, max_leaves=6)
ROW = INLINE.map(lambda cell: f'<tr class="r"><td>{cell}</td><td width="{{{{ number }}}}%">x</td></tr>')
COMPONENT = st.one_of(
    INLINE.map(lambda content: f"<mj-text>{content}</mj-text>"),
    INLINE.map(lambda content: f'<mj-text css-class="r" color="{{{{ color }}}}"><p>{content}</p></mj-text>'),
    st.just('<mj-button href="{{ link }}">{{ name }}</mj-button>'),
    st.just('<mj-image src="{{ link }}" alt="{{ name }}" width="100px" />'),
    st.just("<mj-divider /><mj-spacer />"),
    st.recursive(ROW, _blocks, max_leaves=4).map(lambda rows: f"<mj-table>{rows}</mj-table>"),
)
COMPONENTS = st.recursive(COMPONENT, _blocks, max_leaves=5)
SECTION = COMPONENTS.map(lambda content: f"<mj-section><mj-column>{content}</mj-column></mj-section>")
SECTIONS = st.recursive(SECTION, _blocks, max_leaves=3)
VALUES = st.fixed_dictionaries(
    {
        "name": st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"),
            max_size=20,
        ),
        "link": st.sampled_from(["https://x.example/a?b=1&c=d", "mailto:a@x.example"]),
        "yes": st.booleans(),
        # not 0: cssutils writes "0px" of Jinja first as "0"
        "number": st.integers(1, 100),
        "color": st.sampled_from(["#ff8800", "red", "rgb(1, 2, 3)"]),
        "rows": st.lists(st.just({"label": "Café", "url": "https://x.example/"}), max_size=3),
    }
)
STYLE = '<mj-style inline="inline">.r { padding: {{ number }}px; color: #123456 } p { margin: 0 }</mj-style>'


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(SECTIONS, VALUES)
def test_compile_once_is_jinja_first_for_random_templates(sections: str, values: dict[str, Any]) -> None:
    # A section without anything has a media query less; one that is always there keeps the heads equal.
    source = document(column("").split("<mj-body>")[1].split("</mj-body>")[0] + sections, STYLE)
    once = template(source).render(values).html

    first_source = JINJA_FIRST.from_string(
        source.replace("?q={{ name }}", "?q={{ name|urlencode|replace('/', '%2F') }}")
    ).render(values)
    first = template(front_matter(variables="") + first_source).render({}).html

    assert as_a_mail_program_sees(once) == as_a_mail_program_sees(first)


WORDS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "<mj-text>",
    "</mj-text>",
    "<b>",
    "</b>",
    "<!--",
    "-->",
    "if ",
    "endif",
    "name",
    "set ",
]


@given(st.lists(st.sampled_from([*"<>/{}%#\"'= \nabz-!&;:", *WORDS]), max_size=40).map("".join))
def test_text_of_any_kind_never_fails_the_compiler(content: str) -> None:
    for source in (column(f"<mj-text>{content}</mj-text>"), column(content), front_matter() + content, content):
        compilation = compiled(source)
        assert compilation.template is not None or compilation.findings
