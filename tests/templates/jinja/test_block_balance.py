"""Blocks that open in one part of a template and close in another: one rule for every kind of part."""

import pytest

from tests.support.template_kit import column, compiled, document, errors, text

#: The part -> content in which a block opens before it and closes inside, or the other way round.
CROSSING = {
    "this element": column("{% if yes %}<mj-text>{% endif %}</mj-text>"),
    'the value of "title"': text('<p title="{% if yes %}" class="{% endif %}">x</p>'),
    'the value of "href"': column('<mj-button href="{% if yes %}">x</mj-button>{% endif %}'),
    "the style": text('<p style="{% if yes %}color: red" class="{% endif %}">x</p>'),
    "the conditional comment": text("<!--[if mso]>{% if yes %}<![endif]-->{% endif %}"),
    "<style>": text("<style>{% if yes %}</style>{% endif %}"),
    "<mj-title>": document("{% endif %}", "<mj-title>{% if yes %}</mj-title>"),
    "<mj-column>": column("{% if yes %}") + "{% endif %}",
}


@pytest.mark.parametrize("part", CROSSING)
def test_block_that_crosses_a_part_is_reported_with_the_name_of_the_part(part: str) -> None:
    found = [finding for finding in compiled(CROSSING[part]).findings if finding.code == "block-crosses"]
    assert [finding for finding in found if finding.message.endswith(f" {part}")], [str(one) for one in found]
    assert all("opens and closes in the same element" in finding.hint for finding in found)


def test_blocks_between_components_are_all_reported() -> None:
    found = errors(column("{% if yes %}{% for row in rows %}") + "{% endfor %}{% endif %}")
    crossing = [(finding.column, finding.message) for finding in found if finding.code == "block-crosses"]
    assert crossing == [
        (1, "{% if yes %} is not closed inside <mj-column>"),
        (13, "{% for row in rows %} is not closed inside <mj-column>"),
    ]


def test_branch_that_leaves_an_element_open_is_reported_at_the_element() -> None:
    [found] = errors(text("<b>{% if yes %}x{% else %}<i>{% endif %}</b>"))
    assert (found.code, found.message) == ("unbalanced-html", "<i> is still open at {% endif %}")
    assert "open it outside of {% if yes %}" in found.hint
