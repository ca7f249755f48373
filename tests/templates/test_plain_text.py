"""The plain text part that is made from the HTML."""

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
