"""Suppressions as CSV: written files are read back, and every bad line is named."""

import csv
import io

import pytest

from service.errors import InvalidRequest
from service.recipients import suppression_csv

HASH = "ab" * 32


def row(address: str | None, reason: str = "manual") -> dict[str, object]:
    since = "2026-02-21T14:30:00+00:00"
    return {
        "address": address, "scope": "all", "reason": reason, "since": since, "source": "api",
        "event_id": None, "recipient_hash": HASH,
    }  # fmt: skip


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "=1+1@example.com", "+229@example.com", "-x@example.com", "'quoted@example.com",
     "'=1@example.com", "''+1@example.com", "é@exämple.com"],
)  # fmt: skip
def test_suppression_csv_reads_back_what_it_wrote_and_has_no_cell_that_is_a_formula(address: str) -> None:
    reason = '=HYPERLINK("https://evil.example"), "quoted"; and more'
    text = "".join(suppression_csv.write([row(address, reason)]))
    for cells in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    [line] = suppression_csv.read(text)
    assert line.address is not None
    assert line.address.spelling == address
    assert (line.reason, line.scope, line.source, line.event_id) == (reason, "all", "api", None)
    assert line.since is not None and line.since.isoformat() == "2026-02-21T14:30:00+00:00"


def test_suppression_csv_knows_an_anonymised_row_by_its_hash() -> None:
    [line] = suppression_csv.read("".join(suppression_csv.write([row(None)])))
    assert (line.address, line.recipient_hash) == (None, HASH)


def test_suppression_csv_reads_files_of_spreadsheets() -> None:
    text = "\ufeffAddress;Nom;Scope\r\na@example.com;Ada;marketing\r\n;;\r\n\r\nb@example.com;\r\n"
    lines = suppression_csv.read(text)
    assert [(line.address.spelling, line.scope) for line in lines if line.address] == [
        ("a@example.com", "marketing"),
        ("b@example.com", "all"),
    ]
    assert suppression_csv.read("address\n") == []


def test_suppression_csv_names_each_bad_line_by_its_number() -> None:
    text = (
        "address,scope,since,reason,source\n"
        "a@example.com\n"
        "nobody\n"
        '"b@example.com",some,yesterday\n'
        'c@example.com,all,,"two\nlines"\n'
        ",all\n"
        "f@example.com,all,,x,Ada Lovelace\n"
        "d@example.com,all,,x,y,z,1\n"
        "e@example.com,all,0001-01-01T00:00:00+14:00\n"
    )
    with pytest.raises(InvalidRequest) as refused:
        suppression_csv.read(text)
    told = [problem.message for problem in refused.value.problems]
    assert [message.partition(":")[0] for message in told] == [
        "line 3", "line 4", "line 4", "line 5", "line 7", "line 8", "line 9", "line 10",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a@example.com\n", "scope,reason\nall,manual\n"])
def test_suppression_csv_without_a_column_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        suppression_csv.read(text)


def test_suppression_csv_names_a_broken_quote_and_no_more_mistakes_than_help() -> None:
    with pytest.raises(InvalidRequest) as refused:
        suppression_csv.read('address\n"a@example.com" b\n')
    assert refused.value.problems[0].message.startswith("line 2")
    with pytest.raises(InvalidRequest) as refused:
        suppression_csv.read("address\n" + "x\n" * 1_000)
    assert refused.value.problems[-1].message == "and 800 more"
