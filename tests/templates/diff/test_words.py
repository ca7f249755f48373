"""Words that differ: those that a reader would name."""

import pytest

from service.templates.diff.words import changed_words, line_diff, visible_lines


def marked(before: str, after: str) -> str:
    signs = {"same": "{}", "out": "[-{}-]", "in": "[+{}+]"}
    return "".join(signs[one.sign].format(one.text) for one in changed_words(before, after))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("We answer soon.", "We answer soon.", "We answer soon."),
        ("We answer soon.", "We answer within four hours.", "We answer [-soon-][+within four hours+]."),
        ("Prix : 1 200 FCFA", "Prix : 1 300 FCFA", "Prix : 1 [-200-][+300+] FCFA"),
        ("", "All of it", "[+All of it+]"),
        ("All of it", "", "[-All of it-]"),
        ("Good morning to you", "12 345", "[-Good morning to you-][+12 345+]"),
        ("a " * 900, "b " * 900, f"[-{'a ' * 900}-][+{'b ' * 900}+]"),
    ],
)
def test_words_that_differ_are_marked(before: str, after: str, told: str) -> None:
    assert marked(before, after) == told


def shown(before: str, after: str) -> list[tuple[str, str]]:
    found = line_diff(before.split("/"), after.split("/"))
    return [(line.sign, "".join(piece.text for piece in line.pieces)) for line in found if line.sign != "same"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("a/b/c", "a/b/c", []),
        ("one two three/x", "one two four/x", [("changed", "one two threefour")]),
        ("a/the paragraph goes/b", "a/b", [("out", "the paragraph goes")]),
        ("a/b", "a/quite new/b", [("in", "quite new")]),
        (
            "a/the old line/b",
            "a/first a new one/the old lines/b",
            [("in", "first a new one"), ("changed", "the old linelines")],
        ),
        ("x/1/2/3/4/5/6/7/y", "z/1/2/3/4/5/6/7/w", [("out", "x"), ("in", "z"), ("gap", ""), ("out", "y"), ("in", "w")]),
    ],
)
def test_lines_that_differ_are_told_with_the_line_that_they_replace(
    before: str, after: str, told: list[tuple[str, str]]
) -> None:
    assert shown(before, after) == told


def test_lines_are_marked_as_a_whole_when_the_text_is_long() -> None:
    found = line_diff(["one two " * 20_000, "same"], ["one three " * 20_000, "same"])
    assert [line.sign for line in found] == ["out", "in", "same"]


def test_reader_sees_no_preheader_no_style_and_no_comment() -> None:
    html = """<title>t</title><style>p { color: red }</style><!-- c -->
<div style="display: none">Pre<div>header</div></div>
<p>Your <b>invoice</b> of<br>May &amp; June</p><table><tr><td>Total</td><td>12</td></tr></table>"""
    assert visible_lines(html) == ["Your invoice of", "May & June", "Total", "12"]
