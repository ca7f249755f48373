"""Generated code prints what Jinja prints; where it can't decide, Jinja renders."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from markupsafe import Markup

from service.errors import RenderError
from service.templates.runtime.escapes import ESCAPES
from service.templates.runtime.sandbox import RenderLimits, Sandbox
from service.templates.runtime.site import NO_SITE
from tests.support.template_kit import LIMITS, VALUES, html, plain, template, text

#: A call, which prints nothing: what stands beside it is printed in the careful way.
CALL = "\x02{ range(0)|join }\x03"
FILTERS = ("", *(f"|{name}" for name in ESCAPES))

WILD: list[Any] = [
    "plain",
    "é & <b> \"'",
    "a\x00b\x85c\ud800d",
    "https://x.example/a?b=1&c=d",
    "https://x.example/é <",
    "#ff8800",
    "12px",
    "red",
    "url(x)",
    3,
    3.5,
    Decimal("4.50"),
    True,
    date(2026, 2, 28),
    Markup("<i>a&amp;b\x01</i>"),
    Markup("#ff8800"),
    None,
    ["a"],
    {"a": 1},
]


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("value", WILD, ids=repr)
def test_generated_code_and_jinja_print_the_same(filter_: str, value: Any) -> None:
    for expression in ("name", "row.key", "row['key']"):
        source = f"a\x02{{ ({expression}){filter_} }}\x03b"
        assert _printed(source, value) == _printed(source + CALL, value)


def _printed(source: str, value: Any) -> str:
    sandbox = Sandbox(LIMITS, "fr", html_modules={}, text_modules={}, site=NO_SITE)
    sandbox.start()
    environment = sandbox.html
    try:
        return environment.render(environment.from_string(source), {"name": value, "row": {"key": value}})
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_literal_is_escaped_once_wherever_it_stands() -> None:
    found = html("<b title=\"{{ 'a&b' }}\">{{ 'a&b' }}</b>")
    assert '<b title="a&amp;b">a&amp;b</b>' in found


def test_function_calls_are_made_once() -> None:
    rows = [{"label": "a"}, {"label": "a"}, {"label": "b"}]
    source = text("{% for row in rows %}{{ loop.changed(row.label) }},{{ row.url|default('-') }};{% endfor %}")
    assert "True,-;False,-;True,-;" in template(source).render({**VALUES, "rows": rows}).html


def test_function_call_is_found_wherever_it_hides() -> None:
    rows = [{"label": "a"}, {"label": "a"}]
    for hidden in ("loop.changed(row.label)|string|upper", "row.url|default(loop.changed(row.label), boolean=true)"):
        source = text(f"{{% for row in rows %}}{{{{ {hidden} }}}},{{{{ row.url|default('-') }}}};{{% endfor %}}")
        assert "true,-;false,-;" in template(source).render({**VALUES, "rows": rows}).html.lower()


def test_steps_are_counted_once_where_the_quick_way_gives_up() -> None:
    source = text("{% for row in rows %}{{ row.url|default(1) }}{{ loop.index }}{% endfor %}")
    compiled = template(source, limits=RenderLimits(max_output_bytes=100_000, max_steps=10))
    assert "111213" in compiled.render({**VALUES, "rows": [{}, {}, {}]}).html


def test_key_that_is_missing_among_others_is_named_with_its_tag() -> None:
    with pytest.raises(RenderError) as refused:
        template(text("{% for row in rows %}{{ row.label }} {{ row.url }}{% endfor %}")).render(
            {**VALUES, "rows": [{"label": "a", "url": "b"}, {"label": "a"}]}
        )
    assert refused.value.finding.message == 'there is no "url" in this object'
    assert refused.value.finding.hint == "in {{ row.url }}"


@pytest.mark.parametrize("container", ["a text", ["a", "list"], 3, None])
def test_key_of_a_value_that_is_no_object_is_an_error(container: Any) -> None:
    printed = _printed("\x02{ name.label }\x03", container)
    assert printed.startswith(("UndefinedError", "SecurityError"))
    assert printed == _printed("\x02{ name.label }\x03" + CALL, container)


def test_prints_in_a_row_come_in_their_order() -> None:
    content = "".join(f"{index}{{{{ number }}}}." for index in range(200))
    expected = "".join(f"{index}3." for index in range(200))
    assert expected in html(content)
    assert expected in plain(text(content), **VALUES)


def test_output_limit_is_found_between_two_blocks() -> None:
    compiled = template(text("{{ name }}" * 300), limits=RenderLimits(max_output_bytes=50_000, max_steps=10))
    with pytest.raises(RenderError) as refused:
        compiled.render({**VALUES, "name": "x" * 1_000})
    assert refused.value.finding.code == "too-much"
    assert refused.value.finding.hint == "in {{ name }}"
