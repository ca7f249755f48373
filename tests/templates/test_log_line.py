"""A line of a log acts on nothing, whatever a stranger's text in it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.templates.log_line import log_line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("rma/template.mjml:3:1: error: x", "rma/template.mjml:3:1: error: x"),
        ("  ::stop-commands::x", "  \ufffd::stop-commands::x"),
        ("::add-mask::x", "\ufffd::add-mask::x"),
        ("a ##[add-mask]x", "a ## [add-mask]x"),
        ("\x1b[31mred\x07\r\n::x", "\ufffd[31mred\ufffd\ufffd\ufffd::x"),
        ("Montant\u00a0: 12\u202f000", "Montant\u00a0: 12\u202f000"),
        ("a\u202eb\ud800", "a\ufffdb\ufffd"),
    ],
)
def test_log_line_is_as_it_was_unless_it_would_act(line: str, shown: str) -> None:
    assert log_line(line) == shown


@given(st.text(st.sampled_from(list(":#[ \t\n\r\x1b\u2028\u202eaé")), max_size=12))
def test_log_line_is_one_line_and_no_command(line: str) -> None:
    shown = log_line(line)
    assert len(shown.splitlines()) <= 1
    assert not shown.strip().startswith("::")
    assert "##[" not in shown
