"""The compiler: it loads nothing, makes no Jinja of its own, and whatever fails in it is a finding."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from service.templates import compile_variant
from tests.support.template_kit import column, compiled, errors, html, template, text

STYLE = '<mj-style inline="inline">{}</mj-style>'
_WATCHED = frozenset({"open", "socket.connect", "socket.getaddrinfo", "urllib.Request", "subprocess.Popen"})
_watching: list[list[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in _WATCHED:
        _watching[-1].append(f"{event} {arguments[0]!r}")


@contextmanager
def watched() -> Iterator[list[str]]:
    """What the process opens and connects to meanwhile. A hook can't be taken away, so one is enough."""
    if _hook not in _installed:
        sys.addaudithook(_hook)
        _installed.append(_hook)
    _watching.append([])
    try:
        yield _watching[-1]
    finally:
        _watching.pop()


_installed: list[Any] = []
ATTACKS = [
    ("", STYLE.format('@import url("file:///etc/passwd");')),
    ("", STYLE.format('@\\69mport url("http://127.0.0.1:9/");')),
    ("", STYLE.format('@\\000049 MPORT "file:///etc/passwd";')),
    ("", STYLE.format('@im/**/port url("file:///etc/passwd");')),
    ("", STYLE.format('@IMPORT url("file:///etc/passwd");')),
    ("", "<mj-style>@\\69mport url(file:///etc/passwd);</mj-style>"),
    ("<mj-raw><style>@import url(file:///etc/passwd);</style></mj-raw>", ""),
    ("<mj-raw><STYLE>@\\69 mport url(file:///etc/passwd);</STYLE></mj-raw>", ""),
    ("<mj-raw><!--[if mso]><link rel=stylesheet href=file:///etc/passwd><![endif]--></mj-raw>", ""),
    ('<mj-raw><link rel="alternate Stylesheet" href="http://127.0.0.1:9/"></mj-raw>', ""),
    ('<mj-raw><link rel="preload" as="style" href="http://127.0.0.1:9/"></mj-raw>', ""),
    ('<mj-text><link rel="{{ name }}" href="http://127.0.0.1:9/"></mj-text>', ""),
    ('<mj-raw><base href="http://127.0.0.1:9/"></mj-raw>', ""),
    ('<mj-raw><object data="http://127.0.0.1:9/"></object></mj-raw>', ""),
    ('<mj-raw><iframe src="http://127.0.0.1:9/"></iframe></mj-raw>', ""),
    ('<mj-raw><iframe srcdoc="x"></iframe></mj-raw>', ""),
    ('<mj-raw><p srcdoc="{{ name }}"></p></mj-raw>', ""),
    ('<mj-raw><meta http-equiv="Refresh" content="0; url=javascript:x"></mj-raw>', ""),
    ('<mj-raw><svg><set attributeName="href" to="javascript:x"></set></svg></mj-raw>', ""),
    ("", STYLE.format(".a { background: url(file:///etc/passwd) }")),
    ("", STYLE.format(".a { background: u\\72l('\\6a avascript:x') }")),
    ("", STYLE.format("@font-face { font-family: a; src: url( file:/etc/passwd ) }")),
    ('<mj-text><b style="background:url(&quot;java&#115;cript:x&quot;)">x</b></mj-text>', ""),
]


@pytest.mark.parametrize(("body", "head"), ATTACKS)
def test_compiler_opens_nothing_and_refuses_what_would_load(body: str, head: str) -> None:
    template(text("x"))  # what is imported once is imported by now
    with watched() as seen:
        found = errors(column(body or "<mj-text>x</mj-text>", head))
    assert seen == []
    assert {one.code for one in found} <= {"css-import", "html-refused", "harmful-link"}
    assert found and found[0].line > 10


def test_compiler_opens_nothing_for_css_that_is_allowed() -> None:
    head = STYLE.format(
        '@namespace x url("http://127.0.0.1:9/"); @font-face { src: url(http://127.0.0.1:9/a) } b { a: 1 }'
    )
    template(text("<b>x</b>"))
    with watched() as seen:
        template(column("<mj-text><b>x</b></mj-text>", head))
    assert seen == []


@pytest.mark.parametrize(
    "attribute",
    [
        "href", "src", "action", "formaction", "background", "poster", "data", "cite", "lowsrc", "dynsrc", "ping",
        "xlink:href", "codebase", "srcset", "longdesc",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "link", ["javascript:x", " java&Tab;script:x", "&#106;avascript&colon;x", "VBscript:x", "file:x"]
)
def test_compiler_refuses_harmful_links_in_every_attribute(attribute: str, link: str) -> None:
    assert [one.code for one in errors(text(f'<b {attribute}="{link}">x</b>'))] == ["harmful-link"]


@pytest.mark.parametrize(
    "value",
    [
        "javascript:{{ name }}", "java{{ name }}script:x", "{% if yes %}https://x{% else %}javascript:x{% endif %}",
        "{% if yes %}java{% endif %}script:x",
    ],
)  # fmt: skip
def test_compiler_refuses_harmful_links_with_expressions(value: str) -> None:
    assert {one.code for one in errors(text(f'<a href="{value}">x</a>'))} == {"harmful-link"}


@pytest.mark.parametrize("attribute", ["xlink:href", "lowsrc", "ping", "formaction", "poster"])
def test_compiler_escapes_a_link_in_every_attribute(attribute: str) -> None:
    compiled_ = template(text(f'<b {attribute}="{{{{ link }}}}">{{{{ name }}}}</b>'))
    with pytest.raises(Exception, match="not a valid link"):
        compiled_.render({"name": "", "link": "javascript:x", "yes": True, "number": 1, "color": "", "rows": []})


@pytest.mark.parametrize(
    "reference",
    ["&#2;", "&#2", "&#0002;", "&#x2;", "&#X0002;", "&#x02", "&#0;", "&#31;", "&#x1F;", "&#127;", "&#{# x #}2;"],
)
@pytest.mark.parametrize("place", ['<b title="{}{{ name|safe }}&#3;">x</b>', "{}{{ name|safe }}&#3;"])
def test_compiler_refuses_references_to_control_characters(reference: str, place: str) -> None:
    found = errors(text(place.replace("{}", reference, 1)))
    assert [one.code for one in found] == ["control-character"]
    assert found[0].line > 10


@pytest.mark.parametrize("content", ["&#<!-- x -->2;{ name|safe }&#<!-- x -->3;", "&amp;#2;{ name|safe }&amp;#3;"])
def test_compiler_runs_no_jinja_that_libraries_put_together(content: str) -> None:
    compilation = compiled(text(content))
    codes = [one.code for one in compilation.findings if one.is_error]
    assert codes == ["control-character"] or "name|safe" in html(content)


def test_compiler_keeps_references_to_other_characters() -> None:
    assert "é – a\xa0b" in html("&#233; &#8211; a&#xa0;b &#9;&#10;&#13;&#38;").replace("&nbsp;", "\xa0")


@pytest.mark.parametrize(
    "error",
    [RecursionError("deep"), MemoryError(), SyntaxError("blocks"), ValueError("digits"), BaseException("panic")],
)
def test_compiler_reports_whatever_is_raised_as_a_finding(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> str:
        raise error

    monkeypatch.setattr(compile_variant, "check_tag_sequence", fail)
    (finding,) = errors(text("x"))
    expected = "too-deep" if isinstance(error, RecursionError) else "compiler-error"
    assert (finding.file, finding.line, finding.code) == ("t/template.mjml", 1, expected)
    assert isinstance(error, RecursionError) or type(error).__name__ in finding.message
