"""Limits of the compiler: no source makes it run for minutes."""

import pytest

from tests.support.template_kit import compiled, text


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("<a " * 20_000, "malformed-tag"),
        ("<a '" * 20_000, "malformed-tag"),
        ("<!--" * 20_000, "malformed-tag"),
        ("<!-- x " * 20_000, "malformed-tag"),
        ("{" * 20_000, "jinja-syntax"),
        ("{% raw %}" * 5_000, "jinja-syntax"),
        ("{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}", "jinja-syntax"),
        ("{% if yes %}" * 300 + "x" + "{% endif %}" * 300, "jinja-syntax"),
        ("<b>" * 3_000 + "</b>" * 3_000, "too-deep"),
    ],
)
def test_limits_stop_what_never_ends(content: str, code: str) -> None:
    findings = compiled(text(content)).findings
    assert [one.code for one in findings if one.is_error] == [code]


@pytest.mark.parametrize("content", ["<" * 20_000, " " * 200_000 + "x", "\n" * 100_000, "x" * 200_000, "&" * 20_000])
def test_limits_leave_much_text_alone(content: str) -> None:
    assert compiled(text(content)).template is not None
