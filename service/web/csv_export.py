"""CSV export of a page's rows, as a spreadsheet opens it (RFC 4180); cells are guarded against formulas."""

import csv
import io
from collections.abc import Iterable, Sequence

from service.recipients import csv_cells


def write(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 with a byte order mark, by which Excel knows the encoding; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    writer.writerows([csv_cells.guard(value) for value in row] for row in rows)
    return "\N{BYTE ORDER MARK}".encode() + text.getvalue().encode("utf-8", "replace")
