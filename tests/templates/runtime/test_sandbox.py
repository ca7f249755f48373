"""The sandbox: a template reaches nothing, changes nothing and ends; errors lead to the author's file."""

import threading

import pytest

from service.errors import RenderError
from service.templates.runtime.sandbox import RenderLimits
from tests.support.template_kit import VALUES, column, compiled, document, errors, front_matter, template, text

SMALL = RenderLimits(max_output_bytes=50_000, max_steps=1_000)


def refused(source: str, **values: object) -> RenderError:
    with pytest.raises(RenderError) as caught:
        template(front_matter() + source, limits=SMALL).render({**VALUES, **values})
    return caught.value


@pytest.mark.parametrize(
    "expression",
    [
        "{{ name.__class__ }}", "{{ name['__class__'] }}", "{{ rows.append }}", "{{ yes.__class__.__mro__ }}",
        "{{ number|attr('real') }}", "{{ rows|map(attribute='__class__')|list }}", "{{ loop }}",
        "{{ self }}", "{{ range }}",
        "{% for row in rows %}{{ row.__class__ }}{% endfor %}", "{% for row in rows %}{{ loop._iterator }}{% endfor %}",
        "{{ cycler }}", "{{ (number|string).__init__ }}", "{{ namespace.__init__ }}",
        "{% set x = namespace() %}{{ x.__class__ }}",
    ],
)  # fmt: skip
def test_sandbox_reaches_nothing_but_data(expression: str) -> None:
    compilation = compiled(text(expression))
    assert compilation.template is None


def test_dotted_access_is_the_key_and_not_the_method() -> None:
    variables = "  box: {type: object, example: {items: [1, 2], keys: k}}\n"
    found = template(front_matter(variables) + text("{{ box.items|join('-') }} {{ box.keys }}")).render(
        {"box": {"items": [1, 2], "keys": "k"}}
    )
    assert found.text == "1-2 k\n"


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(900) %}{% for b in range(900) %}{% endfor %}{% endfor %}",
        "{% for a in range(10**9) %}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{% for row in rows %}{{ (name * 1000) * 1000 }}{% endfor %}",
        "{% set x = namespace(t='aaaaaaaaaa') %}{% for a in range(90) %}{% set x.t = x.t ~ x.t %}{% endfor %}{{ x.t }}",
        "{% set x = namespace(t='aaaaaaaaaa') %}{% for a in range(90) %}{% set x.t = x.t + x.t %}{% endfor %}{{ x.t }}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{{ (name * 900)|replace('a', 'b' * 9000) }}",
        "{{ name|center(100000000) }}",
        "{{ rows|batch(100000000)|list|length }}",
        "{{ 9**9**9**9**9 }}",
        "{{ (2**64) * (2**64) * (2**64) * (2**64) * (2**64) * (2**64) * 2**64 * 2**64 * 2**64 * 2**64 * (2**64)**40 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% for a in range(900) %}{{ name * 100 }}{% endfor %}",
    ],
)
def test_rendering_ends_within_its_budget(source: str) -> None:
    error = refused(text("{% if not yes %}" + source + "{% endif %}"), yes=False, name="abcdefghij")
    assert error.finding.code in ("too-much", "unprintable-value")
    assert error.finding.line == front_matter().count("\n") + 6


NESTED = (
    "{% set x = namespace(a=(1,), b=(1,)) %}"
    "{% for i in range(40) %}{% set x.a = (x.a, x.a) %}{% set x.b = (x.b, x.b) %}{% endfor %}"
)
LONG = "{% set t = 'a' * 1000000 %}{% for i in range(9999) %}"
MANY = "{% set t = range(99999)|list %}{% for i in range(9999) %}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1.5|round(200000000, 'ceil') }}", "{{ 1.5|round(-200000000) }}",
        "{{ [[1], [2]]|sum(start=[]) }}", "{{ ['a', 'b']|sum(start='') }}",
        "{{ ('a\n' * 100000)|indent(1000) }}", "{{ ('a\u2028' * 100000)|indent(1000) }}",
        "{{ ('x' * 500000)|wordwrap(1) }}", "{{ ('x ' * 9000)|wordwrap(1, true, 'y' * 1000) }}",
        "{{ '%1000000000d' is even }}", "{{ '%1000000000d' is divisibleby(3) }}",
        "{{ ['%1000000000d']|select('odd')|list|length }}",
        "{{ ('f' * 100000)|int(0, 16) // 3 }}", "{{ ('9' * 100000)|float }}",
        NESTED + "{{ x.a == x.b }}", NESTED + "{{ x.a < x.b }}", NESTED + "{{ x.a in [x.b, 1] }}",
        NESTED + "{{ x.a|string|length }}", NESTED + "{{ (x.a ~ 'y')|length }}", NESTED + "{{ x.a|upper|length }}",
        NESTED + "{{ {x.a: 1}|length }}", NESTED + "{{ rows[0][x.a] }}", NESTED + "{{ [x.a, x.b]|unique|list|length }}",
        NESTED + "{{ [x.a, x.b]|sort|length }}", NESTED + "{{ x.a is eq x.b }}", NESTED + "{{ x.a|date }}",
        NESTED + "{% for i in [1, 2] %}{{ loop.changed(x.a) }}{{ loop.changed(x.b) }}{% endfor %}",
        "{% set x = namespace(a=1) %}{% set x.a = [x, x] %}{{ x|string|length }}",
        LONG + "{% set y = t|upper %}{% endfor %}", LONG + "{% set y = t|replace('b', 'c') %}{% endfor %}",
        LONG + "{% if t|title == 'x' %}{% endif %}{% endfor %}", LONG + "{% set y = t[1:] %}{% endfor %}",
        LONG + "{% if 'b' in t %}{% endif %}{% endfor %}", LONG + "{% set y = t|urlencode|length %}{% endfor %}",
        LONG + "{% set y = 1|plural(t, t) %}{% endfor %}", LONG + "{% set y = t ~ i %}{% endfor %}",
        LONG + "{% filter upper %}{{ t }}{% endfilter %}{% endfor %}", LONG + "{% set y = t|lines %}{% endfor %}",
        MANY + "{% set y = t|sort %}{% endfor %}", MANY + "{% set y = t|max %}{% endfor %}",
        MANY + "{% set y = t[1:] %}{% endfor %}", MANY + "{% set y = t + t %}{% endfor %}",
        MANY + "{% set y = t|map('string')|list %}{% endfor %}", MANY + "{% set y = t|join %}{% endfor %}",
        MANY + "{% set y = t|batch(2)|list %}{% endfor %}", MANY + "{% set y = t|reverse|list %}{% endfor %}",
        MANY + "{% if 1.5 in t %}{% endif %}{% endfor %}", MANY + "{% set y = t|groupby('a')|list %}{% endfor %}",
        "{% for i in range(900) %}{% set x = [0] * 40000 %}{% endfor %}",
        "{% set t = '&' * 40000 %}" + "{{ t }}" * 64,
        "{% set t = '&' * 900 %}{% set x %}{% for i in range(999) %}" + "{{ t }}" * 30 + "{% endfor %}{% endset %}",
        "{% for a in [1,2,3,4,5,6,7,8,9] %}" * 5 + "{% endfor %}" * 5,
    ],
)  # fmt: skip
def test_rendering_is_charged_for_what_it_touches(source: str) -> None:
    error = refused(text("{% if not yes %}" + source + "{% endif %}"), yes=False)
    assert error.finding.code in ("too-much", "unprintable-value")


def test_rendering_ends_at_its_deadline() -> None:
    ticks = iter(range(10**9))
    limits = RenderLimits(2_000_000, 100_000, max_seconds=50, clock=lambda: float(next(ticks)))
    quick = template(text("{% for i in range(90) %}{{ i }}{% endfor %}"), limits=limits)
    assert quick.render(VALUES).text.startswith("0123")
    slow = template(text("{% if not yes %}{% for i in range(9999) %}{{ i }}{% endfor %}{% endif %}"), limits=limits)
    with pytest.raises(RenderError) as caught:
        slow.render({**VALUES, "yes": False})
    assert (caught.value.finding.code, caught.value.finding.message) == (
        "too-much",
        "the rendering takes longer than 50 s",
    )


def test_rendering_of_a_large_table_stays_within_its_steps() -> None:
    rows = [{"label": f"Ligne {number}", "url": f"https://x.example/{number}"} for number in range(3_000)]
    source = (
        "{% for row in rows|sort(attribute='label') %}{% if row.label != name and loop.index is odd %}"
        '<a href="{{ row.url }}">{{ row.label|upper|truncate(20) }}</a>{{ loop.index|number }}{% endif %}{% endfor %}'
        "{{ rows|map(attribute='label')|join(', ') }}{{ rows|selectattr('label', 'in', ['Ligne 1'])|list|length }}"
    )
    compiled_ = template(text(source))
    assert "LIGNE 2999" in compiled_.render({**VALUES, "rows": rows}).html


def test_rendering_leaves_the_variables_as_they_were() -> None:
    variables = {**VALUES, "rows": [{"label": "b", "url": "u"}, {"label": "a", "url": "u"}]}
    template(text("{{ rows|sort(attribute='label')|map(attribute='label')|join }}{% set rows = [] %}")).render(
        variables
    )
    assert variables["rows"] == [{"label": "b", "url": "u"}, {"label": "a", "url": "u"}]


def test_error_names_the_tag_and_the_variable() -> None:
    source = front_matter() + column("<mj-text>a</mj-text>\n<mj-text>\n  {{ name }}\n  {{ number / 0 }}\n</mj-text>")
    found = errors(source)
    line = front_matter().count("\n") + 9
    assert [(one.file, one.line, one.column, one.hint) for one in found] == [
        ("t/template.mjml", line, 3, "in {{ number / 0 }}")
    ]


def test_error_of_a_loop_blames_the_variable_that_is_looped_over() -> None:
    source = text('{% for row in rows %}<a href="{{ row.url }}">{{ row.label }}</a>{% endfor %}')
    error = refused(source, rows=[{"label": "x", "url": "javascript:x"}])
    assert error.variable == "rows"


def test_error_in_a_macro_leads_into_the_imported_file() -> None:
    files = {"_shared/m.html": '\n{% macro a(u) %}<a href="{{ u }}">x</a>{% endmacro %}'}
    compiled_ = template(text('{% import "../_shared/m.html" as m %}{{ m.a(link) }}'), files)
    with pytest.raises(RenderError) as caught:
        compiled_.render({**VALUES, "link": "javascript:x"})
    assert (caught.value.finding.file, caught.value.finding.line, caught.value.finding.column) == (
        "_shared/m.html",
        2,
        26,
    )


def test_missing_variable_is_an_error_that_names_it() -> None:
    compiled_ = template(text("Bonjour {{ name }}"))
    with pytest.raises(RenderError) as caught:
        compiled_.render({key: value for key, value in VALUES.items() if key != "name"})
    assert (caught.value.variable, caught.value.finding.message) == ("name", "name is missing")


def test_error_in_another_language_names_the_variable_of_its_own_file() -> None:
    english = text("{{ name }} {{ color }} {{ number|fcfa }}")
    compiled_ = template(text("{{ number|fcfa }} {{ name }} {{ link }}"), {"t/template.en.mjml": english})
    for locale, file in (("fr", "t/template.mjml"), ("en", "t/template.en.mjml")):
        with pytest.raises(RenderError) as caught:
            compiled_.render({**VALUES, "number": 10**40}, locale=locale)
        assert (caught.value.variable, caught.value.finding.file) == ("number", file)


def test_optional_variable_is_false_in_a_condition_and_an_error_where_it_is_printed() -> None:
    variables = "  when: {type: string, required: false, example: '2026-02-21'}\n"
    source = front_matter(variables) + text(
        "{% if when %}le {{ when|date }}{% else %}bientôt{% endif %} {{ when|default('-') }}"
    )
    compiled_ = template(source)
    assert compiled_.render({"when": "2026-02-21"}).text == "le 21 février 2026 2026-02-21\n"
    assert compiled_.render({}).text == "bientôt -\n"
    with pytest.raises(RenderError) as caught:
        template(front_matter(variables) + text("{{ when }}")).render({})
    assert caught.value.variable == "when"


def test_renders_from_many_threads_do_not_mix() -> None:
    compiled_ = template(
        document(
            "<mj-section><mj-column><mj-table>{% for row in rows %}<tr><td>{{ row.label }}{{ name "
            "}}</td></tr>{% endfor %}"
            "</mj-table></mj-column></mj-section>"
        )
    )
    wrong: list[str] = []

    def work(name: str) -> None:
        values = {**VALUES, "name": name, "rows": [{"label": name, "url": "u"}] * 50}
        expected = compiled_.render(values).html
        is_whole = expected.count(f"<td>{name}{name}</td>") == 50
        wrong.extend(name for _ in range(40) if not is_whole or compiled_.render(values).html != expected)

    threads = [threading.Thread(target=work, args=(f"n{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
