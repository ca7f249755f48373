"""Word diff of two texts, for people who read a mail and not its source."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from service.mail.html_tokens import tokens, unescape

_AROUND = 2
#: Longer texts are compared by their beginnings: difflib is quadratic where much repeats.
_MAX_LINES = 2_000
_MAX_WORDS = 1_500
#: Of longer texts whole lines are marked.
_MAX_CHARACTERS = 200_000
#: difflib's exact comparison of more takes seconds.
_MAX_EXACT = 400
#: Lines that have less in common are other lines, and not the same one with other words.
_ALIKE = 0.35
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_HIDDEN = frozenset({"style", "title", "script", "noscript", "template", "noembed", "noframes", "xmp"})
_INLINE = frozenset(
    "a abbr b bdi bdo code em font i mark s small span strong sub sup u wbr".split()  # noqa: SIM905
)


#: Elements that have no end.
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Words that both texts have, that only the first has (out), or only the second (in)."""

    sign: Literal["same", "out", "in"]
    text: str


@dataclass(frozen=True, slots=True)
class WordLine:
    """A line of a text: the same on both sides, changed, only on one side, or a gap of lines that are the same."""

    sign: Literal["same", "changed", "out", "in", "gap"]
    pieces: Sequence[Piece]


def changed_words(before: str, after: str) -> list[Piece]:
    """The words of two texts: what stays, what goes and what comes, in order."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if before == after:
        return [Piece("same", before)]
    if max(len(old), len(new)) > _MAX_WORDS:
        return _pieces(before, after)
    matcher = _matcher(old, new)
    if matcher.ratio() < _ALIKE:
        return _pieces(before, after)
    out: list[Piece] = []
    gone, come = "", ""
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        same = "".join(old[i:i_end])
        if kind == "equal" and not ((gone or come) and not same.strip() and i_end < len(old) and j_end < len(new)):
            out += [*_pieces(gone, come), Piece("same", same)]
            gone, come = "", ""
        else:  # a blank between two changes belongs to both, so that a phrase stays in one piece
            gone, come = gone + same, come + "".join(new[j:j_end])
    return [*out, *_pieces(gone, come)]


def line_diff(before: Sequence[str], after: Sequence[str]) -> list[WordLine]:
    """The lines that differ, with two lines around them; [] if all are the same."""
    old, new = before[:_MAX_LINES], after[:_MAX_LINES]
    has_words = sum(map(len, (*old, *new))) <= _MAX_CHARACTERS
    found: list[WordLine] = []
    for number, group in enumerate(
        difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_AROUND)
    ):
        if number:
            found.append(WordLine("gap", ()))
        for kind, i, i_end, j, j_end in group:
            if kind == "equal":
                found += [WordLine("same", [Piece("same", line)]) for line in old[i:i_end]]
            else:
                lines = _replaced(old[i:i_end], new[j:j_end]) if has_words else _whole(old[i:i_end], new[j:j_end])
                found += lines
    return found


def visible_lines(html: str) -> list[str]:
    """The words that a reader of the mail sees, a line for each block; without the preheader, which is hidden."""
    lines = [""]
    hidden, depth = "", 0
    for token in tokens(html):
        if hidden:
            depth += (token.name == hidden) * ((token.kind == "open") - (token.kind == "close"))
            hidden = hidden if depth else ""
        elif token.kind == "open" and token.name not in _VOID and _is_hidden(dict(token.attributes).get("style")):
            hidden, depth = token.name, 1
        elif token.kind in ("open", "close") and token.name not in _INLINE:
            lines.append("")
        elif token.kind == "text" or (token.kind == "raw" and token.name not in _HIDDEN):
            lines[-1] += unescape(token.text)
    return [line for line in (" ".join(line.split()) for line in lines) if line]


def _is_hidden(style: str | None) -> bool:
    return "display:none" in "".join((style or "").lower().split())


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterator[WordLine]:
    """Lines in place of others: those that are alike are one changed line."""
    pairs = min(len(old), len(new))
    if len(old) != len(new) and pairs:
        # The pair that is most alike decides which lines are new.
        best = max(range(abs(len(old) - len(new)) + 1), key=lambda shift: _likeness(old, new, shift))
        longer, sign = (old, "out") if len(old) > len(new) else (new, "in")
        yield from _one_sided(longer[:best], sign)
        yield from _paired(*((old[best:], new) if sign == "out" else (old, new[best:])))
        yield from _one_sided(longer[best + pairs :], sign)
        return
    yield from _paired(old, new)
    yield from _one_sided(old[pairs:], "out")
    yield from _one_sided(new[pairs:], "in")


def _likeness(old: Sequence[str], new: Sequence[str], shift: int) -> float:
    shifted = zip(old[shift:], new, strict=False) if len(old) > len(new) else zip(old, new[shift:], strict=False)
    return sum(difflib.SequenceMatcher(None, one[:200], other[:200]).quick_ratio() for one, other in list(shifted)[:10])


def _paired(old: Iterable[str], new: Iterable[str]) -> Iterator[WordLine]:
    for one, other in zip(old, new, strict=False):
        pieces = changed_words(one, other)
        if any(piece.sign == "same" for piece in pieces):
            yield WordLine("changed", pieces)
        else:
            yield WordLine("out", [Piece("out", one)])
            yield WordLine("in", [Piece("in", other)])


def _one_sided(lines: Iterable[str], sign: str) -> Iterator[WordLine]:
    for line in lines:
        yield WordLine("out", [Piece("out", line)]) if sign == "out" else WordLine("in", [Piece("in", line)])


def _whole(old: Iterable[str], new: Iterable[str]) -> Iterator[WordLine]:
    yield from _one_sided(old, "out")
    yield from _one_sided(new, "in")


def _matcher(old: Sequence[str], new: Sequence[str]) -> difflib.SequenceMatcher[str]:
    return difflib.SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > _MAX_EXACT)


def _pieces(gone: str, come: str) -> list[Piece]:
    return [*([Piece("out", gone)] if gone else []), *([Piece("in", come)] if come else [])]
