"""The suppression list as a CSV file (RFC 4180): write it, and read one with every bad line reported at once.

Cells are guarded against formulas (`csv_cells`), and a file that was written here reads back as it was.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from service.errors import InvalidRequest, Problem
from service.mail import addresses
from service.mail.addresses import Address
from service.recipients import csv_cells

COLUMNS = ("address", "scope", "reason", "since", "source", "event_id", "recipient_hash")
#: Longest reason, in characters.
MAX_CELL_LENGTH = 500
#: Problems that are listed; the rest is counted.
MAX_PROBLEMS = 200

_HASH = re.compile(r"[0-9a-f]{64}")
#: These outlive the address, so they must not be a place for a name.
_SOURCE = re.compile(r"[a-z][a-z0-9 ._:-]{0,39}")
_EVENT_ID = re.compile(r"[A-Za-z0-9._:/=+-]{1,200}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    """A checked row of a file. An anonymised row has no address; its keyed hash alone names the person."""

    address: Address | None
    recipient_hash: str
    scope: str
    reason: str
    since: datetime | None
    source: str | None
    event_id: str | None


def write(rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield the lines of a file, header first, each with its CRLF; `rows` have COLUMNS."""
    cells = io.StringIO()
    writer = csv.writer(cells, lineterminator="\r\n")
    for row in _headed(rows):
        writer.writerow([csv_cells.guard(row[column]) for column in COLUMNS])
        yield cells.getvalue()
        cells.seek(0)
        cells.truncate()


def read(text: str) -> list[SuppressionRow]:
    """Parse the rows of a file. Its first line names the columns, of which only `address` is required.

    Semicolons (from French spreadsheets), a byte order mark and unknown columns are accepted.
    Raises InvalidRequest with every bad line, each with its number as an editor counts it.
    """
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    problems: list[Problem] = []
    lines: list[SuppressionRow] = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if "address" not in names:
            raise InvalidRequest(
                "This is not a suppression list.",
                [Problem("", "header", "line 1: it must name the columns; one of them is address")],
            )
        begin = reader.line_num + 1
        for cells in reader:
            place, begin = f"line {begin}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(names):
                problems.append(Problem("", "cells", f"{place}: {len(cells)} cells under {len(names)} columns"))
                continue
            row = {name: csv_cells.unguard(cell.strip()) for name, cell in zip(names, cells, strict=False)}
            if line := _line(row, place, problems):
                lines.append(line)
    except csv.Error as error:
        problems.append(Problem("", "csv", f"line {reader.line_num}: {error}"))
    if problems:
        more = len(problems) - MAX_PROBLEMS
        shown = problems[:MAX_PROBLEMS] + ([Problem("", "more", f"and {more} more")] if more > 0 else [])
        raise InvalidRequest("Nothing was imported from this file, because it has mistakes.", shown)
    return lines


def _headed(rows: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    yield dict(zip(COLUMNS, COLUMNS, strict=True))
    yield from rows


def _line(row: Mapping[str, str], place: str, problems: list[Problem]) -> SuppressionRow | None:
    """Return the row, or None and append its problems to `problems`."""
    known = len(problems)
    address = None
    written, recipient_hash = row.get("address", ""), row.get("recipient_hash", "").lower()
    if written:
        try:
            address = addresses.parse(written)
        except ValueError as error:
            problems.append(Problem("", "address", f"{place}: {error}"))
    elif not recipient_hash:
        problems.append(Problem("", "address", f"{place}: the address is missing"))
    elif not _HASH.fullmatch(recipient_hash):
        problems.append(Problem("", "recipient_hash", f"{place}: a hash has 64 hex digits"))
    scope = row.get("scope", "").lower() or "all"
    if scope not in ("all", "marketing"):
        problems.append(Problem("", "scope", f"{place}: the scope is all or marketing"))
    if len(row.get("reason", "")) > MAX_CELL_LENGTH or _CONTROL.search(row.get("reason", "")):
        problems.append(
            Problem("", "reason", f"{place}: reason must be one line of at most {MAX_CELL_LENGTH} characters")
        )
    for name, allowed in (("source", _SOURCE), ("event_id", _EVENT_ID)):
        if row.get(name) and not allowed.fullmatch(row[name]):
            problems.append(Problem("", name, f"{place}: {name} must be a short name; it outlives the person"))
    since = _time(row.get("since", ""), place, problems)
    if len(problems) > known:
        return None
    return SuppressionRow(
        address=address,
        recipient_hash=recipient_hash,
        scope=scope,
        reason=row.get("reason", "") or "manual",
        since=since,
        source=row.get("source") or None,
        event_id=row.get("event_id") or None,
    )


def _time(text: str, place: str, problems: list[Problem]) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        problems.append(Problem("", "since", f"{place}: since must be an ISO 8601 time, such as 2026-02-21T14:30:00Z"))
        return None
