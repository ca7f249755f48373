"""Inlined CSS is what a browser would compute of the rules: shorthands and longhands, importance, specificity."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.templates.mjml.cascade import merged, specificity
from tests.support.template_kit import VALUES, column, template

SIDES = ("top", "right", "bottom", "left")


def style_of(css: str, html: str) -> str:
    source = column(f"<mj-text>{html}</mj-text>", f'<mj-style inline="inline">{css}</mj-style>')
    found = re.search(r'<p [^>]*style="([^"]*)"', template(source).render(VALUES).html)
    assert found
    return found[1]


def padding(declarations: list[tuple[str, str]]) -> dict[str, str]:
    """What a browser computes: importance first, then the order."""
    computed: dict[str, str] = {}
    for level in ("", "!important"):
        for name, value in declarations:
            if value.endswith("!important") == bool(level):
                sides = SIDES if name == "padding" else (name.removeprefix("padding-"),)
                computed |= dict.fromkeys(sides, value.removesuffix("!important").strip())
    return computed


def declarations_of(style: str) -> list[tuple[str, str]]:
    return [(name.strip(), value.strip()) for name, _, value in (one.partition(":") for one in style.split(";"))]


@pytest.mark.parametrize(
    ("css", "html", "computed"),
    [
        (".a{padding:5px} .b{padding-left:20px} .c{padding:1px}", '<p class="a b c">x</p>', ["1px"] * 4),
        ("p{padding:1px} .a{padding-left:20px} p.a{padding:5px}", '<p class="a">x</p>', ["5px"] * 4),
        (".a{padding:5px} .b{padding-left:20px}", '<p class="a b">x</p>', ["5px", "5px", "5px", "20px"]),
        (".a{padding:5px;padding-left:20px}", '<p class="a" style="padding:1px">x</p>', ["1px"] * 4),
        (".a{padding:5px !important;padding-left:20px}", '<p class="a" style="padding:1px">x</p>', ["5px"] * 4),
        (".a{padding:5px !important} .a.a{padding:1px}", '<p class="a">x</p>', ["5px"] * 4),
        ("[title]{padding:1px} p{padding:2px}", '<p title="t">x</p>', ["1px"] * 4),
        ("p:first-child{padding:1px} p{padding:2px}", '<p title="t">x</p>', ["1px"] * 4),
        ("#i{padding-top:1px} .a{padding:2px}", '<p id="i" class="a">x</p>', ["1px", "2px", "2px", "2px"]),
    ],
)
def test_inline_css_is_what_a_browser_computes(css: str, html: str, computed: list[str]) -> None:
    assert padding(declarations_of(style_of(css, html))) == dict(zip(SIDES, computed, strict=True))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["padding", *(f"padding-{side}" for side in SIDES)]),
            st.sampled_from(["1px", "2px", "3px", "4px !important", "5px !important"]),
        ),
        max_size=8,
    )
)
def test_merged_declarations_say_what_all_of_them_said(declarations: list[tuple[str, str]]) -> None:
    names = [(f"zqr0n{index}-{name}", value) for index, (name, value) in enumerate(declarations)]
    kept = [one for one in declarations_of(merged(names)) if one[0]]
    assert padding(kept) == padding(declarations)
    assert len({name for name, _ in kept}) == len(kept)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("border-left:1px solid red", "border:0"),
        ("border-top-width:4px", "border-width:1px"),
        ("line-height:2", "font:12px Arial"),
        ("background-color:red", "background:none"),
        ("-webkit-border-radius:1px", "border-radius:2px"),
        ("mso-padding-alt:1px", "padding:2px"),
        ("color:red", "all:initial"),
    ],
)
def test_shorthand_of_a_later_rule_stands_behind_the_longhand(first: str, second: str) -> None:
    style = style_of(f".a{{{second}}} .b{{{first}}} .c{{{second}}}", '<p class="a b c">x</p>')
    assert style.index(first.partition(":")[0]) < style.rindex(second.partition(":")[0])


def test_property_that_nothing_resets_keeps_its_place() -> None:
    css = ".a{color:red;padding:1px} .b{color:{{ color }};background:url('https://x.example/a;b.png')}"
    style = style_of(css, '<p class="a b">x</p>')
    assert [name for name, _ in declarations_of(style)][:3] == ["color", "padding", "background"]
    assert style.startswith("color:#ff8800; padding:1px; background:url(")


@pytest.mark.parametrize(
    ("selector", "counts"),
    [
        ("p", (0, 0, 1)),
        ("td > p.a.b", (0, 2, 2)),
        ("#i a[href^='#x.y']", (1, 1, 1)),
        ("li:nth-child(odd)", (0, 1, 1)),
        ("p:not(.a)", (0, 1, 1)),
        ("*", (0, 0, 0)),
    ],
)
def test_specificity_counts_ids_classes_and_tags(selector: str, counts: tuple[int, int, int]) -> None:
    assert specificity(selector) == counts
