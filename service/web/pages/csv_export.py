"""Rows -> CSV that a spreadsheet opens without running anything (RFC 4180; OWASP, "CSV Injection")."""

import csv
import io
from collections.abc import Iterable, Sequence

#: A cell that begins so is a formula to a spreadsheet; an apostrophe before it makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 with a byte order mark, by which Excel knows the encoding; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return "\N{BYTE ORDER MARK}".encode() + text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
