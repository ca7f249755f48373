"""Guard of CSV cells against formulas: a spreadsheet must show an exported text and never run it.

A cell that begins like a formula gets an apostrophe in front, as spreadsheets themselves write such a text (OWASP, "CSV
Injection"). Reading an exported file takes it away again.
"""

import re

#: Spreadsheets skip blanks before a formula, and take the wide forms of the signs for the signs. Apostrophes in front
#: belong to the pattern, so that one more is added and taken away where a text has its own.
_FORMULA = re.compile(r"'*(?: *[\t\r\n]|\s*[=+\-@＝＋－＠])")


def guard(value: object) -> str:
    """Return the text of a cell, with an apostrophe in front where it begins like a formula; None is an empty cell."""
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(cell: str) -> str:
    """Return the text that `guard` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
