"""Escapes: a value never begins a tag, an attribute, a header line or a link of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RenderError
from service.templates.jinja.html_scanner import tag_sequence
from service.templates.runtime.escapes import strip_tags
from tests.support.template_kit import VALUES, column, document, front_matter, html, template, text

WILD = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "</style><b>",
    "--><b><!--",
    "<![endif]--><b>",
    "{{ 7 * 7 }}{% if %}",
    "\x02{ name }\x03",
    "zqj00001x",
    "javascript:alert(1)",
    "\u202egpj.exe",
    "a\x00b\x08c\x85d",
    "\ud800",
    "\r\nBcc: evil@x.example",
    "=?utf-8?q?x=0d=0aBcc:_evil@x.example?=",
    "]]>",
    "&lt;b&gt;",
    "${jndi:x}",
]
EVERYWHERE = front_matter().replace("subject: Objet", 'subject: "Sujet {{ name }}"') + document(
    "<mj-section><mj-column><mj-text>{{ name }}<a href='https://x.example/{{ name }}' title='{{ name }}'>a</a>"
    "{% if yes %}<b class='{{ name }}'>{{ name }}</b>{% endif %}</mj-text>"
    "<mj-raw><!--[if mso]><p title='{{ name }}'>{{ name }}</p><![endif]--></mj-raw>"
    "<mj-table>{% for row in rows %}<tr><td width='{{ name }}'>{{ name }}</td></tr>{% endfor %}</mj-table>"
    "<mj-image alt='{{ name }}' src='https://x.example/a.png' /></mj-column></mj-section>",
    "<mj-title>{{ name }}</mj-title><mj-preview>{{ name }}</mj-preview>",
)


@pytest.mark.parametrize("value", WILD)
def test_wild_value_changes_neither_tags_nor_headers(value: str) -> None:
    compiled = template(EVERYWHERE)
    tame, wild = compiled.render({**VALUES, "name": "x"}), compiled.render({**VALUES, "name": value})
    assert tag_sequence(wild.html) == tag_sequence(tame.html)
    assert not set(wild.subject) & set("\r\n\x00\x85\u202e")
    assert "=?" not in wild.subject
    wild.html.encode()
    wild.text.encode()


@given(st.text(st.characters(codec=None), max_size=200))
def test_text_of_any_kind_changes_neither_tags_nor_headers(value: str) -> None:
    wild = _COMPILED.render({**VALUES, "name": value})
    assert tag_sequence(wild.html) == _TAME
    assert wild.subject.isprintable() or not set(wild.subject) & set("\r\n\x00")
    wild.html.encode()


_COMPILED = template(EVERYWHERE)
_TAME = tag_sequence(_COMPILED.render({**VALUES, "name": "x"}).html)


@pytest.mark.parametrize(
    "link", ["https://x.example/a?b=1&c=d#e", "HTTP://x.example", "mailto:a+b@x.example", "tel:+22990", "cid:logo@x"]
)
def test_start_of_a_link_takes_the_schemes_of_mail(link: str) -> None:
    assert f'href="{link.replace("&", "&amp;")}"' in html('<a href="{{ link }}">x</a>', link=link)


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "java\nscript:x", " JaVaScRiPt:x", "data:text/html,x", "vbscript:x", "//x.example", "",
     "x.example",
     "javascript&colon;alert(1)", "file:///etc/passwd", "\x01javascript:x"],
)  # fmt: skip
def test_start_of_a_link_refuses_every_other_scheme(link: str) -> None:
    with pytest.raises(RenderError) as refused:
        html('<a href="{{ link }}">x</a>', link=link)
    assert refused.value.variable == "link"
    assert refused.value.finding.code == "unprintable-value"


def test_start_of_a_link_is_the_start_in_each_branch() -> None:
    source = '<a href="{% if yes %}{{ link }}{% else %}https://y.example/{{ name }}{% endif %}">x</a>'
    assert 'href="https://portal.example/a?x=1&amp;y=2"' in html(source)
    assert 'href="https://y.example/a%2Fb"' in html(source, yes=False, name="a/b")
    with pytest.raises(RenderError):
        html(source, link="javascript:x")


def test_later_part_of_a_link_is_encoded() -> None:
    assert 'href="https://x.example/a%2F..%2F%3Fb%26c%20%C3%A9"' in html(
        '<a href="https://x.example/{{ name }}">x</a>', name="a/../?b&c é"
    )


def test_address_in_a_mail_link_keeps_its_signs() -> None:
    found = html('<a href="mailto:{{ name }}?subject={{ number }}">x</a>', name="a+b@x.example?bcc=c@x.example")
    assert 'href="mailto:a+b@x.example%3Fbcc%3Dc@x.example?subject=3"' in found


def test_link_of_a_share_button_is_a_later_part() -> None:
    source = column('<mj-social><mj-social-element name="facebook" href="{{ link }}">f</mj-social-element></mj-social>')
    found = template(source).render(VALUES).html
    assert "sharer.php?u=https%3A%2F%2Fportal.example%2Fa%3Fx%3D1%26y%3D2" in found


@pytest.mark.parametrize(
    "value", ["red;background:url(//x)", "expression(alert(1))", "url(x)", "a\\62", "</style>", "'", "{"]
)
def test_style_refuses_what_is_no_plain_value(value: str) -> None:
    for source in ('<p style="color:{{ color }}">x</p>', '<p style="{% if yes %}color:{{ color }}{% endif %}">x</p>'):
        with pytest.raises(RenderError) as refused:
            html(source, color=value)
        assert refused.value.variable == "color"
    with pytest.raises(RenderError):
        template(column("<mj-text>x</mj-text>", "<mj-style>.a{color:{{ color }}}</mj-style>")).render(
            {**VALUES, "color": value}
        )


def test_picture_in_a_style_is_a_link() -> None:
    source = '<p style="background:url({{ link }})">x</p>'
    assert "background:url(https://x.example/a%28b%29.png)" in html(source, link="https://x.example/a(b).png")
    with pytest.raises(RenderError):
        html(source, link="javascript:x")


def test_safe_prints_html_in_text_only() -> None:
    compiled = template(text("{{ name|safe }}"))
    found = compiled.render({**VALUES, "name": "<b>gras</b>"})
    assert "<b>gras</b>" in found.html
    assert found.text == "gras\n"


def test_captured_html_does_not_end_an_attribute() -> None:
    source = '{% set x %}"<b>{{ name }}{% endset %}<p title="{{ x }}">x</p>'.replace("<b>", "<b>b</b>")
    found = html(source, name='"><script>')
    assert "<script>" not in found
    assert 'title="&#34;&lt;b&gt;b&lt;/b&gt;&#34;&gt;&lt;script&gt;"' in found


def test_value_that_is_no_text_is_refused() -> None:
    for values in ({"name": None}, {"name": [1]}, {"name": {"a": 1}}):
        with pytest.raises(RenderError) as refused:
            html("{{ name }}", **values)
        assert refused.value.variable == "name"


def test_subject_is_not_escaped_as_html_and_is_one_line() -> None:
    source = front_matter().replace("subject: Objet", 'subject: "{{ name }}"') + text("x")
    assert template(source).render({**VALUES, "name": "A & <B>\r\nBcc: x\u202e"}).subject == "A & <B> Bcc: x"


@pytest.mark.parametrize(
    ("markup", "stripped"),
    [
        ("a <b>c</b> d", "a c d"),
        ("1 < 2", "1 < 2"),
        ("<a <b>c", "c"),
        ("<" * 80_000, "<" * 80_000),
        ("<" * 80_000 + ">", ""),
        ("&lt;b&gt;&#" + "9" * 5_000 + ";", "<b>\ufffd"),
    ],
)
def test_tags_are_stripped_from_any_text(markup: str, stripped: str) -> None:
    assert strip_tags(markup) == stripped
