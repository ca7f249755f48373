"""The plain text part that is made from the HTML."""

from urllib.parse import quote

import pytest

from tests.support.template_kit import OTHER_VALUES, VALUES, column, document, plain, template, text


def test_paragraphs_are_apart_by_one_blank_line() -> None:
    assert plain(column("<mj-text><p>Un</p>\n<p>deux<br>trois</p></mj-text><mj-text>quatre</mj-text>")) == (
        "Un\n\ndeux\ntrois\n\nquatre\n"
    )


def test_button_is_its_label_and_its_link() -> None:
    assert plain(column('<mj-button href="{{ link }}/cutover">Valider</mj-button>')) == (
        "Valider : https://portal.example/a?x=1&y=2/cutover\n"
    )


def test_links_and_alternatives_are_text_without_entities() -> None:
    source = column(
        """<mj-image src="https://x.example/a.png" alt='L&apos;été "{% if yes %}&eacute;&quot;{% endif %}' />"""
        '<mj-button href="https://x.example/?a=1&amp;b=2">Caf&eacute;</mj-button>'
    )
    assert plain(source) == 'L\'été "é"\n\nCafé : https://x.example/?a=1&b=2\n'


def test_table_of_two_columns_is_aligned() -> None:
    source = column(
        "<mj-table><tr><td>Montant :</td><td>{{ number|fcfa }}</td></tr>{% if yes %}<tr><td>Numéro de facture</td>"
        "<td><b>{{ name }}</b></td></tr>{% endif %}<tr><td>Date</td><td>x</td></tr></mj-table>"
    )
    assert template(source).render({**VALUES, "name": "F-1"}).text == (
        "Montant           : 3\u00a0FCFA\nNuméro de facture : F-1\nDate              : x\n"
    )
    assert template(source).render(OTHER_VALUES).text == "Montant           : 3\u00a0FCFA\nDate              : x\n"


def test_table_rows_of_a_loop_are_lines() -> None:
    source = column(
        "<mj-text>Liste</mj-text><mj-table><tr><th>A</th><th>B</th><th>C</th></tr>{% for row in rows %}<tr>"
        "<td>{{ row.label }}</td><td>{{ loop.index }}</td><td>x</td></tr>{% endfor %}</mj-table><mj-text>Fin</mj-text>"
    )
    assert template(source).render(VALUES).text == "Liste\n\nA  B  C\nCafé  1  x\n<Thé>  2  x\n\nFin\n"
    assert template(source).render(OTHER_VALUES).text == "Liste\n\nA  B  C\n\nFin\n"


def test_cells_of_several_lines_and_cells_for_the_eye() -> None:
    source = column(
        "<mj-table><tr><td>Cotonou<br>1 incident</td><td>99 %</td><td>8 min</td></tr>"
        '<tr><td width="{{ number }}%">&nbsp;</td><td>&nbsp;</td></tr></mj-table>'
    )
    assert plain(source) == "Cotonou, 1 incident  99 %  8 min\n"


def test_condition_leaves_no_gap() -> None:
    source = column(
        "<mj-text>un</mj-text>{% if not yes %}<mj-text>deux</mj-text>{% endif %}<mj-text>trois</mj-text>"
        "<mj-text>a{% if yes %}, b{% endif %}.</mj-text>"
    )
    assert template(source).render(VALUES).text == "un\n\ntrois\n\na, b.\n"
    assert template(source).render(OTHER_VALUES).text == "un\n\ndeux\n\ntrois\n\na.\n"


def test_list_and_links_are_written_out() -> None:
    source = text(
        '<ul><li>un</li><li>deux</li></ul><a href="https://x.example/">ici</a> <a '
        'href="mailto:a@x.example">a@x.example</a>'
    )
    assert plain(source) == "- un\n- deux\n\nici (https://x.example/) a@x.example\n"


def test_plain_text_leaves_out_what_is_only_for_the_eye() -> None:
    source = document(
        "<mj-section><mj-column><mj-image src='https://x.example/a.png' alt='' /><mj-spacer /><mj-text>a&nbsp;b "
        "<!--[if mso]>non<![endif]--><span style='display: "
        "none'>caché</span></mj-text><mj-raw><style>.a{}</style></mj-raw>"
        "</mj-column></mj-section>",
        "<mj-preview>aperçu</mj-preview><mj-title>titre</mj-title>",
    )
    assert plain(source) == "a\u00a0b\n"


def test_own_text_part_is_taken_as_it_is_written() -> None:
    files = {
        "t/template.txt": "Bonjour {{ name }}\n\n{% if not yes %}\nnon\n{% endif %}\n\n  - {{ number }}\n\n\n\nFin"
    }
    assert plain(text("x"), files) == "Bonjour Zoé <b>&\"'\n\n  - 3\n\nFin\n"


def test_macro_and_block_set_are_text_too() -> None:
    source = text(
        "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{% set y %}<i>{{ name }}</i>{% endset %}{{ b(name) }} {{ y }}"
    )
    assert plain(source, name="a < b") == "a < b a < b\n"


def test_lines_of_a_value_are_kept() -> None:
    assert plain(text("{{ name|nl2br }}"), name="a\nb") == "a\nb\n"
    assert "a<br>\nb" in template(text("{{ name|nl2br }}")).render({**VALUES, "name": "a\nb"}).html


@pytest.mark.parametrize(
    "inside",
    ["<td><table><tr><td>un</td></tr></table></td>", "<table><tr><td>un</td></tr></table>"],
    ids=["a cell", "a table"],
)
def test_plain_text_includes_what_stands_in_a_table_outside_of_its_rows(inside: str) -> None:
    source = column(f"<mj-table>{inside}<tr><td>deux</td></tr></mj-table>")
    assert plain(source).split() == ["un", "deux"]


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        (
            "<ol><li>un</li><li>deux</li></ol><p>x</p><ol start='3'><li>trois</li></ol>",
            "1. un\n2. deux\n\nx\n\n3. trois",
        ),
        ("<ol type='a'><li>x</li><li value='27'>y</li></ol>", "a. x\naa. y"),
        ("<ol type='I' start='4'><li>x</li><li>y</li></ol>", "IV. x\nV. y"),
        ("<ol reversed><li>x</li><li>y</li></ol>", "2. x\n1. y"),
        ("<ul style='list-style: none'><li>x</li><li>y</li></ul>", "x\ny"),
        ("<ul><li>A<ul><li>B<ol><li>C</li></ol></li></ul></li><li>D</li></ul>", "- A\n  - B\n    1. C\n- D"),
        ("<ol start='9'><li><p>a</p><p>b</p></li><li>c<br>d</li></ol>", "9. a\n\n   b\n10. c\n    d"),
        ("<ul style='list-style: inside upper-alpha'><li>x</li></ul>", "A. x"),
        ("<ol style='list-style-type:none'><li>x</li></ol>", "x"),
        ("<ol start='-1'><li>x</li><li>y</li></ol>", "-1. x\n0. y"),
        ("<ol start='{{ number }}'><li>x</li><li value='{{ number + 5 }}'>y</li></ol>", "3. x\n8. y"),
        ("<ul>\n</ul>x", "x"),
    ],
)
def test_list_has_the_numbers_and_levels_of_the_html(html: str, shown: str) -> None:
    assert plain(text(html)) == f"{shown}\n"


def test_list_of_a_loop_is_numbered_when_it_is_rendered() -> None:
    source = text(
        "<ol>{% for row in rows %}<li>{{ row.label }}<ul>{% if yes %}<li>a</li>{% endif %}<li>b</li></ul></li>"
        "{% endfor %}<li>fin</li></ol>"
    )
    assert plain(source) == "1. Café\n   - a\n   - b\n2. <Thé>\n   - a\n   - b\n3. fin\n"
    assert template(source).render(OTHER_VALUES).text == "1. fin\n"


def test_list_in_a_macro_keeps_its_items_apart() -> None:
    macro = "{% macro m(all) %}<ol><li>un</li><li>deux</li></ol>{% endmacro %}"
    assert plain(text(macro + "{{ m(rows) }}")) == "1. un\n2. deux\n"


def test_lines_of_a_macro_and_of_a_block_are_kept() -> None:
    macro = "{% macro m(all) %}<ol>{% for one in all %}<li>{{ one.label }}</li>{% endfor %}</ol>{% endmacro %}"
    block = "{% set b %}{% if yes %}<p>x</p>{% endif %}<p>{{ name }}</p>{% endset %}"
    assert plain(text(f"{macro}{block}A{{{{ m(rows) }}}}B{{{{ b }}}}"), name="y\x0e\x10z") == (
        "A\n\n1. Café\n2. <Thé>\n\nB\n\nx\n\nyz\n"
    )


def test_list_in_a_cell_is_on_the_line_of_its_row() -> None:
    source = column("<mj-table><tr><td>a</td><td><ol><li>b</li><li>c</li></ol></td><td>d</td></tr></mj-table>")
    assert plain(source) == "a  1. b, 2. c  d\n"


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("10<sup>6</sup> bit/s, 10<sup>−3</sup>, m<sup>2</sup>", "10⁶ bit/s, 10⁻³, m²"),
        ("CO<sub>2</sub>, v<sub>max</sub>, x<sup>a+b</sup>", "CO₂, v_max, x^(a+b)"),
        ("10<sup>{{ number }}</sup>", "10^3"),
        (
            "le 1<sup>er</sup>, la 2<sup>e</sup>, n<sup>o</sup> 4, RGZ<sup>®</sup> X<sup>TM</sup>",
            "le 1er, la 2e, no 4, RGZ® X™",
        ),
        ("<s>12 000</s> 9 000", "~~12 000~~ 9 000"),
        ("<del>a</del> <strike>b</strike> <span style='text-decoration: line-through'>c</span>", "~~a~~ ~~b~~ ~~c~~"),
        ("<q>oui</q><span hidden>non</span>", '"oui"'),
    ],
)
def test_plain_text_says_what_is_raised_or_struck(html: str, shown: str) -> None:
    assert plain(text(html)) == f"{shown}\n"


def test_preformatted_text_keeps_its_white_space() -> None:
    source = text(
        "<pre>\nset vlan {{ number }}\n  name  support\n\n\n\tend\n</pre>{% if yes %}<pre>  x</pre>{% endif %}"
    )
    assert plain(source) == "set vlan 3\n  name  support\n\n\n        end\n\n  x\n"
    assert plain(text("a<div style='white-space: pre-wrap'>b\n c</div>")) == "a\nb\n c\n"
    assert plain(text("<pre>{% for row in rows %}{{ row.label }}\n{% endfor %}</pre>")) == "Café\n<Thé>\n"


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ('<a href="mailto:a@x.example?subject=Bonjour">Écrivez-nous</a>', "Écrivez-nous (a@x.example)"),
        ('<a href="mailto:a%2Bb@x.example">nous</a>', "nous (a+b@x.example)"),
        ('<a href="mailto:a@x.example">à a@x.example</a>', "à a@x.example"),
        ('<a href="tel:+22900000000">appelez</a>', "appelez (+22900000000)"),
        ('<a href="tel:+22900000000">+229 00 00 00 00</a>', "+229 00 00 00 00"),
        ('<a href="tel:{{ number }}">{{ number }}</a> <a href="tel:{{ number }}">x</a>', "3 x (3)"),
        ('<a href="mailto:?subject=x">partager</a> <a href="#a">plus bas</a>', "partager plus bas"),
        ('<a href="{{ link }}">{{ link }}</a>', "https://portal.example/a?x=1&y=2"),
    ],
)
def test_plain_text_says_the_address_behind_a_link(html: str, shown: str) -> None:
    assert plain(text(html)) == f"{shown}\n"


def test_link_of_a_navbar_has_its_base_url() -> None:
    source = column('<mj-navbar base-url="https://x.example"><mj-navbar-link href="/a">A</mj-navbar-link></mj-navbar>')
    assert plain(source) == "A : https://x.example/a\n"
    assert 'href="https://x.example/a"' in template(source).render(VALUES).html


def test_icon_without_text_is_its_alternative() -> None:
    source = column(
        '<mj-social><mj-social-element src="https://x.example/i.png" href="{{ link }}" alt="Portail" /></mj-social>'
    )
    assert plain(source) == "Portail : https://portal.example/a?x=1&y=2\n"


def test_address_behind_a_button_is_said() -> None:
    assert plain(column('<mj-button href="mailto:a@x.example">Nous</mj-button>')) == "Nous : a@x.example\n"


@pytest.mark.parametrize("value", ["a b&c", "50%", "é/\"'<", "a=1&b=2"])
@pytest.mark.parametrize("expression", ["{{ name }}", "{{ name|urlencode }}"])
def test_links_are_the_same_in_html_and_text_and_encoded_once(expression: str, value: str) -> None:
    rendered = template(text(f'<a href="https://x.example/s?q={expression}">z</a>')).render({**VALUES, "name": value})
    link = f"https://x.example/s?q={quote(value, safe='')}"
    assert f'href="{link}"' in rendered.html
    assert rendered.text == f"z ({link})\n"


def test_names_and_values_are_encoded_once() -> None:
    rendered = template(text("""<a href="https://x.example/?{{ {'a': name, 'b': 'é'}|urlencode }}">z</a>""")).render(
        {**VALUES, "name": "1 2&3"}
    )
    assert 'href="https://x.example/?a=1+2%263&amp;b=%C3%A9"' in rendered.html
    assert rendered.text == "z (https://x.example/?a=1+2%263&b=%C3%A9)\n"


def test_blanks_at_the_end_of_a_line_are_left_out_whatever_follows() -> None:
    source = text("{{ name }}")
    name = "a \nb" + " " * 40_000 + "x\t \nc  "
    assert template(source).render({**VALUES, "name": name}).text == "a\nb" + " " * 40_000 + "x\nc\n"
