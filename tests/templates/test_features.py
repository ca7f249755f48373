"""Compiling once, then Jinja, equals Jinja first, for every place where Jinja may stand."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.jinja_first import JINJA_FIRST, as_a_mail_program_sees
from tests.support.template_kit import OTHER_VALUES, VALUES, column, document, front_matter, template

SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
FEATURES = {
    "expressions in text": column(
        "<mj-text>Bonjour {{ name }}, 1 &lt; 2 &amp; &nbsp;é 🎉 {{ number + 1 }} {{ '}}' }} "
        "{{ 'a' if number < 4 and number > 1 else 'b>' }}</mj-text>"
    ),
    "expressions in attributes": column(
        '<mj-image src="{{ link }}" alt="Photo de {{ name }} à 12\u00a0€" href="{{ link }}" css-class="k{{ number }}" '
        'width="200px"/><mj-button href="{{ link }}" background-color="{{ color }}">Voir {{ number }}</mj-button>'
        '<mj-text color="{{ color }}" css-class="z {{ number }}">a</mj-text>'
    ),
    "parts of links": column(
        '<mj-text><a href="https://x.example/p/{{ number }}?q={{ number }}&amp;u=1#z" title="{{ name }}">a</a>'
        '<a href="mailto:a+b@x.example?subject={{ number }}">m</a>'
        '<a href="{{ rows[0].url if rows else link }}">u</a></mj-text>'
    ),
    "values in styles": column(
        '<mj-text><p class="p" style="width:{{ number }}%;color:{{ color }}; margin:0 {{ number '
        '}}px;font-weight:bold">x</p>'
        '<div style="{% if yes %}color:red{% else %}color:{{ color }}{% endif %}" class="p">y</div></mj-text>',
        '<mj-style inline="inline">.p{ padding:{{ number }}px; border:1px solid {{ color }}; width:10% }</mj-style>',
    ),
    "values in a style block": column(
        '<mj-text css-class="c1">x</mj-text>',
        "<mj-style>.c1{color:{{ color }} !important} @media (max-width:{{ number }}00px){ .c1{width:{{ number }}%} "
        "{% if yes %}.c2{color:red}{% endif %} }</mj-style>",
    ),
    "conditions around sections": document(
        "{% if yes %}\n"
        + SECTION.format("A")
        + "\n{% elif number == 9 %}"
        + SECTION.format("B")
        + "{% else %}\n"
        + SECTION.format("C")
        + "{% endif %}\n"
        + SECTION.format("D")
    ),
    "loops around sections, nested": document(
        '{% for row in rows %}<mj-section background-color="{{ color }}"><mj-column>{% if loop.first %}'
        "<mj-text>First {{ row.label }}</mj-text>{% else %}<mj-divider/>{% endif %}{% for x in rows "
        "%}<mj-text>{{ x.label }}"
        "{{ ',' if not loop.last }}</mj-text>{% endfor %}</mj-column></mj-section>{% else %}"
        + SECTION.format("none")
        + "{% endfor %}"
    ),
    "loops around columns of one width": document(
        '<mj-section>{% for row in rows %}<mj-column width="25%"><mj-text>{{ row.label '
        "}}</mj-text></mj-column>{% endfor %}"
        '<mj-column width="25%"><mj-text>x</mj-text></mj-column></mj-section>'
    ),
    "conditions around components of a column": column(
        "<mj-text>t</mj-text>\n{% if yes %}\n<mj-divider />\n{% endif %}\n{% for row in rows %}"
        '<mj-button href="{{ row.url }}">{{ row.label }}</mj-button>{% endfor %}<mj-spacer height="10px"/>'
    ),
    "rows and cells of a table": column(
        "<mj-table><thead><tr><th>Q</th></tr></thead><tbody>{% for row in rows %}"
        "<tr class=\"{{ loop.cycle('odd', 'even') }}\"><td>{{ row.label }}</td>{% if yes %}"
        '<td align="right" width="{{ number }}%">{{ row.url }}</td>{% endif %}</tr>{% else %}'
        '<tr><td colspan="3">rien</td></tr>{% endfor %}</tbody></mj-table>',
        '<mj-style inline="inline">td{padding:3px}</mj-style>',
    ),
    "social elements": column(
        '<mj-social mode="horizontal">{% for row in rows %}<mj-social-element '
        'name="facebook-noshare" href="{{ row.url }}">'
        "{{ row.label }}</mj-social-element>{% endfor %}{% if not yes %}"
        '<mj-social-element name="twitter-noshare" href="{{ link }}"/>{% endif %}'
        '<mj-social-element name="github" href="https://g.example">g</mj-social-element></mj-social>'
    ),
    "links of a navbar": column(
        '<mj-navbar base-url="https://x.example">{% for row in rows %}<mj-navbar-link href="/{{ '
        'number }}">{{ row.label }}'
        '</mj-navbar-link>{% endfor %}{% if yes %}<mj-navbar-link href="/p/{{ number }}">p</mj-navbar-link>{% endif %}'
        "</mj-navbar>"
    ),
    "sections of a wrapper": document(
        '<mj-wrapper background-color="#fff" padding="10px">{% for row in rows %}'
        + SECTION.format("{{ row.label }}")
        + "{% endfor %}{% if not yes %}"
        + SECTION.format("no")
        + "{% endif %}</mj-wrapper>"
    ),
    "background pictures": document(
        '<mj-section background-url="{{ link }}" background-color="{{ color }}" background-size="cover"><mj-column>'
        '<mj-text>x</mj-text></mj-column></mj-section><mj-hero mode="fixed-height" height="100px" '
        'background-url="{{ link }}" background-width="600px" background-height="100px">{% if yes '
        "%}<mj-text>h</mj-text>"
        "{% endif %}</mj-hero>"
    ),
    "the head": document(
        '<mj-section><mj-column><mj-text mj-class="big">x</mj-text></mj-column></mj-section>',
        "<mj-title>Facture {{ number }} de {{ name }}{% if yes %} !{% endif %}</mj-title><mj-preview>Bonjour {{ name }}"
        '</mj-preview><mj-raw><meta name="color-scheme" content="light dark">{% if yes %}<meta name="x" '
        'content="{{ name }}">{% endif %}</mj-raw><mj-attributes><mj-all '
        'font-family="Arial"/><mj-text color="{{ color }}"/>'
        '<mj-class name="big" font-size="{{ number }}0px"/></mj-attributes>',
    ),
    "conditional comments": document(
        '<mj-raw><!--[if mso]><p class="m">{{ name }}</p>{% if yes %}<i>y</i>{% endif %}<![endif]-->'
        "<!--[if !mso]><!--><p>{{ number }}</p><!--<![endif]--></mj-raw>" + SECTION.format("x")
    ),
    "whitespace control": column(
        "<mj-text>a {%- if yes -%} b {%- else -%} c {%- endif -%} d {{- number -}} e {# comment }} #} f {#- x -#} g "
        "{%- raw -%} h {% endraw %} &nbsp; {{- number -}} &emsp; i</mj-text>"
    ),
    "groups and accordions": document(
        '<mj-section><mj-group>{% if yes %}<mj-column width="50%"><mj-text>1</mj-text></mj-column>{% endif %}'
        '<mj-column width="50%"><mj-accordion>{% for row in rows '
        "%}<mj-accordion-element><mj-accordion-title>{{ row.label }}"
        "</mj-accordion-title><mj-accordion-text>{{ row.url }}</mj-accordion-text></mj-accordion-element>{% endfor %}"
        "</mj-accordion></mj-column></mj-group></mj-section>"
    ),
    "set, with, macro, filter": column(
        "{% set total = number * 3 %}{% with z = total + 1 %}<mj-text>{{ total }} {{ z "
        "}}</mj-text>{% endwith %}<mj-text>"
        "{% macro m(x) %}<b>{{ x }}</b>{% endmacro %}{{ m(name) }} {% set u %}<i>{{ number }}</i>{% endset %}{{ u }} "
        "{% filter upper %}abc{% endfilter %}</mj-text>"
    ),
    "attributes over lines": column(
        '<mj-text><p style="color:red;\n   font-size:{{ number }}0px" title="d\u00e9j\u00e0 '
        '\u2764\ufe0f \u202f! \\d">x</p>'
        '</mj-text><mj-image alt="ligne1\nligne2 {{ name }}" src="{{ link }}"/>'
    ),
    "void elements as people write them": column("<mj-text>a<BR>b<br/>c<br></br>d<HR></mj-text>"),
    "blocks in mj-raw": column(
        "<mj-raw>{% if yes %}</mj-raw><mj-text>x</mj-text><mj-raw>{% else %}</mj-raw><mj-raw>{% endif %}</mj-raw>"
    ),
    "hover and media in inline CSS": column(
        "<mj-text><a class='l' href='https://x.example'>x</a></mj-text>",
        "<mj-style inline='inline'>.l{color:{{ color }}} .l:hover{color:blue} @media "
        "(max-width:600px){.l{color:green}}</mj-style>",
    ),
    "a picture in a style": column('<mj-text><p style="background:url({{ link }}) no-repeat">x</p></mj-text>'),
}


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("values", [VALUES, OTHER_VALUES], ids=["values", "other values"])
def test_compile_once_is_jinja_first(name: str, values: Mapping[str, Any]) -> None:
    once = template(FEATURES[name]).render(values).html

    rendered_first = JINJA_FIRST.from_string(FEATURES[name]).render(values)
    first = template(front_matter(variables="") + rendered_first).render({}).html

    assert as_a_mail_program_sees(once) == as_a_mail_program_sees(first)
