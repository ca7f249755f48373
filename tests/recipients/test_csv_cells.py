"""CSV cells: no export holds a formula, and the exported list reads back as it was."""

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.recipients import csv_cells, suppression_csv
from service.web import csv_export

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\t1", " =1", "  =1", "\u00a0=1", "\n=1", "\r\n=1", "\r1", "＝1+1", "＋1",
    "－1", "＠SUM(A1)", " ＝1", "'=1", "'' =1",
]  # fmt: skip
TEXTS = ["a=1", "ops@example.com", "'quoted'", " text", "", "1-1", "é"]


def page_export(text: str) -> str:
    content = csv_export.write(["a"], [[text]]).decode("utf-8-sig")
    [_, [cell]] = csv.reader(io.StringIO(content, newline=""))
    return cell


def command_line_export(text: str) -> str:
    row = dict.fromkeys(suppression_csv.COLUMNS) | {"reason": text}
    [_, cells] = csv.reader(io.StringIO("".join(suppression_csv.write([row])), newline=""))
    return cells[suppression_csv.COLUMNS.index("reason")]


@pytest.mark.parametrize("export", [page_export, command_line_export])
def test_csv_cell_that_begins_like_a_formula_gets_an_apostrophe_in_each_export(export: Callable[[str], str]) -> None:
    assert [export(text) for text in FORMULAS] == [f"'{text}" for text in FORMULAS]
    assert [export(text) for text in TEXTS] == TEXTS


@given(st.text(st.sampled_from("'=+-@ \t\r\n＝a"), max_size=6))
def test_csv_cell_is_read_back_as_it_was_written(text: str) -> None:
    assert csv_cells.unguard(csv_cells.guard(text)) == text


@pytest.mark.parametrize("reason", [text for text in FORMULAS if not set(text) & set("\t\r\n")])
def test_suppression_csv_reads_back_a_reason_that_begins_like_a_formula(reason: str) -> None:
    row = dict.fromkeys(suppression_csv.COLUMNS) | {"address": "a@example.com", "reason": reason}
    [read] = suppression_csv.read("".join(suppression_csv.write([row])))
    assert read.reason == reason
