"""Bounds of nesting in Jinja, checked on the text before Jinja's parser and CPython's compiler recurse over it."""

import re
from collections.abc import Sequence

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import Piece, Token
from service.templates.size_limits import MAX_BLOCKS, MAX_BRACKETS, MAX_BRANCHES, MAX_DIGITS, MAX_OPERATIONS

#: Strings, which hold none of the others; brackets; numbers; and what makes an expression deeper by one level.
_PARTS = re.compile(
    r"""'(?:[^'\\]|\\.?)*(?:'|\Z)|"(?:[^"\\]|\\.?)*(?:"|\Z)|(?P<opening>[(\[{])|(?P<closing>[)\]}])|(?P<comma>,)|(?P<number>(?<!\w)\d\w*)"""
    r"""|(?P<operation>[-+*/%~|.]|[<>=!]=?|\b(?:and|else|if|in|is|not|or)\b)""",
    re.S,
)


def check_levels(pieces: Sequence[Piece], collector: FindingCollector) -> None:
    """Check the expressions and blocks of one file. Raises CompileAborted; reported."""
    wrong = [piece for piece in pieces if isinstance(piece, Token) and not _is_plain(piece, collector)]
    if wrong:
        raise CompileAborted
    check_blocks(pieces, collector)


def _is_plain(token: Token, collector: FindingCollector) -> bool:
    if len(token.body) <= MAX_BRACKETS:
        return True
    operations = [0]  # since the last comma, of each bracket that is open
    for part in _PARTS.finditer(token.body):
        sign, kind = part[0], part.lastgroup
        if kind == "number" and len(sign) > MAX_DIGITS:
            collector.error(token.place, "jinja-syntax", f"a number has more than {MAX_DIGITS} digits", "shorten it")
            return False
        if kind == "opening":
            operations[-1] += 1
            operations.append(0)
        elif kind == "closing":
            if len(operations) > 1:
                operations.pop()
        elif kind == "comma":
            operations[-1] = 0
        elif kind == "operation":
            operations[-1] += 1
        if len(operations) > MAX_BRACKETS or sum(operations) > MAX_OPERATIONS:
            what = f"{MAX_BRACKETS} brackets" if len(operations) > MAX_BRACKETS else f"{MAX_OPERATIONS} operations"
            collector.error(
                token.place, "jinja-syntax", f"an expression with more than {what}", "store parts of it with {% set %}"
            )
            return False
    return True


def check_blocks(pieces: Sequence[Piece], collector: FindingCollector) -> None:
    """Check how deep blocks stand inside each other, and how many branches they have.

    Raises CompileAborted; reported.
    """
    branches: list[int] = []
    for piece in pieces:
        if not isinstance(piece, Token):
            continue
        if piece.opens:
            branches.append(0)
        elif piece.closes and branches:
            branches.pop()
        elif piece.continues and branches:
            branches[-1] += 1
        if len(branches) > MAX_BLOCKS or (branches and branches[-1] > MAX_BRANCHES):
            message = (
                f"more than {MAX_BLOCKS} blocks inside each other"
                if len(branches) > MAX_BLOCKS
                else f"a block of more than {MAX_BRANCHES} branches"
            )
            collector.error(
                piece.place, "jinja-syntax", message, "use fewer levels, or an object that maps keys to texts"
            )
            raise CompileAborted
