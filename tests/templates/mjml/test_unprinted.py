"""Attributes that mrml does not print are in the mail, with Jinja in them as well, or are reported at their line."""

import re

import pytest

from tests.support.template_kit import VALUES, column, compiled, document, template, text

SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
HERO = '<mj-hero mode="fluid-height" background-url="https://x.example/b.png" {}><mj-text>x</mj-text></mj-hero>'


def html(mjml: str) -> str:
    return template(mjml).render(VALUES).html


def warnings(mjml: str) -> list[str]:
    return [finding.message for finding in compiled(mjml).findings if finding.code == "not-printed"]


@pytest.mark.parametrize(
    ("component", "printed"),
    [
        ('<mj-button href="{{ link }}" title="Voir {{ number }}">x</mj-button>', 'title="Voir 3"'),
        ('<mj-button title="{% if yes %}&eacute;t&eacute;{% endif %}">x</mj-button>', 'title="&eacute;t&eacute;"'),
        ('<mj-image src="{{ link }}" border-top="3px solid {{ color }}" />', ";border-top:3px solid #ff8800"),
        ('<mj-image src="{{ link }}" srcset="a 2x" sizes="{{ number }}00px" />', 'sizes="300px"'),
        ('<mj-table role="presentation"><tr><td>{{ name }}</td></tr></mj-table>', 'role="presentation"'),
    ],
)
def test_attribute_that_mrml_forgets_is_printed_with_its_expressions(component: str, printed: str) -> None:
    found = html(column(component))
    assert printed in found
    assert "zqm" not in found


def test_attribute_that_mrml_forgets_is_printed_for_each_row_of_a_loop() -> None:
    source = column(
        '{% for row in rows %}<mj-button href="{{ row.url }}" title="{{ row.label }}">x</mj-button>{% endfor %}'
    )
    assert re.findall(r'title="([^"]*)"', html(source)) == ["Café", "&lt;Thé&gt;"]


def test_attribute_that_mrml_forgets_is_kept_apart_from_the_authors_classes() -> None:
    head = '<mj-attributes><mj-button css-class="d" title="t" /></mj-attributes>'
    style = '<mj-style inline="inline">.own a { color: #123456 !important } .d { padding: 1px }</mj-style>'
    found = html(
        column(
            '<mj-button href="{{ link }}" css-class="own k{{ number }}">x</mj-button><mj-button>y</mj-button>',
            head + style,
        )
    )
    assert re.findall(r'class="((?:own|d)[^"]*)"', found) == ["own k3", "d"]
    assert found.count('title="t"') == 2


@pytest.mark.parametrize(("mode", "order"), [("vertical", ["Suivez", "<img"]), ("horizontal", ["Suivez", "<img"])])
def test_social_element_has_its_icon_on_the_right_when_it_says_so(mode: str, order: list[str]) -> None:
    element = '<mj-social-element name="github" href="{{ link }}" icon-position="right">Suivez</mj-social-element>'
    found = html(column(f'<mj-social mode="{mode}">{element}</mj-social>'))
    assert re.findall(r"Suivez|<img", found) == order


def test_hero_with_fluid_height_keeps_the_proportions_of_its_picture() -> None:
    found = html(document(HERO.format('background-width="600px" background-height="469px"')))
    assert found.count("padding-bottom:78%;mso-padding-bottom-alt:0;") == 2
    assert 'height="0"' not in found


@pytest.mark.parametrize(
    ("mjml", "message"),
    [
        (document(HERO.format("")), "size of the picture"),
        (document('<mj-section gutter="4px"><mj-column><mj-text>x</mj-text></mj-column></mj-section>'), "gutter"),
        (document('<mj-hero padding="0 40px" height="9px"><mj-text>x</mj-text></mj-hero>'), "padding"),
        (
            document(
                '<mj-wrapper gap="4px">{% if yes %}'
                + SECTION.format("a")
                + "{% endif %}"
                + SECTION.format("b")
                + "</mj-wrapper>"
            ),
            "a block decides",
        ),
    ],
)
def test_attribute_without_effect_is_reported(mjml: str, message: str) -> None:
    found = warnings(mjml)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize("padding", ["0", "40px 0", "9px 0px 9px 0px"])
def test_padding_of_a_hero_that_does_not_narrow_it_is_no_finding(padding: str) -> None:
    assert warnings(document(f'<mj-hero padding="{padding}" height="9px"><mj-text>x</mj-text></mj-hero>')) == []


def test_wrapper_has_its_gap_between_sections_only() -> None:
    found = html(
        document(f'<mj-wrapper gap="24px">{SECTION.format("a")}{SECTION.format("b")}{SECTION.format("c")}</mj-wrapper>')
    )
    assert found.count("margin-top:24px") == found.count("padding-top:24px") == 2
    assert found.index(">a<") < found.index("padding-top:24px") < found.index("margin-top:24px") < found.index(">b<")


def test_html_in_a_wrong_order_is_reported_beside_an_attribute_that_mrml_forgets() -> None:
    source = column('<mj-button title="t">x</mj-button><mj-text><b><p>x</p></b></mj-text>')
    assert [finding.code for finding in compiled(source).findings] == ["html-restructured"]
    assert [finding.code for finding in compiled(text("<b><p>x</p></b>")).findings] == ["html-restructured"]
