"""Jinja tags as tokens: each becomes a placeholder that mrml, cssutils and lxml leave alone.

A placeholder looks like `zqj00001x`: lower case, fixed width, a letter at both ends. Whitespace control (`{%-`, `-}}`)
is worked out here, on the author's text, because lxml later turns `&nbsp;` into a character that Jinja would trim.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.positions import MappedText, Place, Source, TextRun
from service.templates.size_limits import MAX_TAGS

PLACEHOLDER = re.compile(r"zqj(\d{5})x")
#: As a placeholder can number them. Composites and the copies of `super()` are tokens, too.
MAX_TOKENS = 99_999
Kind = Literal["expression", "control", "composite"]

#: Tags that open a block, and those that stand in the middle of one.
OPENING = frozenset({"if", "for", "with", "filter", "call", "macro", "block", "autoescape"})
MIDDLE = frozenset({"else", "elif"})

_OPENING_DELIMITER = re.compile(r"\{\{|\{%|\{#")
_STRING_START_OR_BRACKET = re.compile(r"""['"()\[\]{}%]""")
_STRINGS = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*{quote}", re.S) for quote in "\"'"}
_RAW_BEGIN = re.compile(r"\{%([-+]?)\s*raw\s*(-?)%\}")
_RAW_END = re.compile(r"\{%([-+]?)\s*endraw\s*([-+]?)%\}")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: A reference to one, which an HTML parser would turn into it: decimal or hex, with leading zeros, without a semicolon.
_CONTROL_REFERENCE = re.compile(
    r"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01]|127)(?![0-9])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]|7[fF])(?![0-9a-fA-F]));?"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A Jinja tag of the author's, or a composite: a text with placeholders that is replaced as one.

    `body` is the text between the delimiters, without whitespace-control marks, or the text of a composite. `word` is
    the first word of a control tag; `body_place` is where the body begins.
    """

    index: int
    kind: Kind
    body: str
    place: Place
    word: str = ""
    body_place: Place | None = None

    @property
    def placeholder(self) -> str:
        """The text that stands for this token: `zqj00001x`."""
        return f"zqj{self.index:05d}x"

    @property
    def opens(self) -> bool:
        """True if a block begins here; `{% set x %}` without a value is a block too."""
        return self.kind == "control" and (
            self.word in OPENING or (self.word == "set" and not re.match(r"set\s[^=]*=", self.body))
        )

    @property
    def continues(self) -> bool:
        """True if a further branch of a block begins here (`else`, `elif`)."""
        return self.kind == "control" and self.word in MIDDLE

    @property
    def closes(self) -> bool:
        """True if a block ends here."""
        return self.kind == "control" and self.word.startswith("end")

    def place_of(self, word: str, line: int) -> Place:
        """The position of `word` in the body, on its line `line` (from 0) or below; else the tag's position."""
        start = self.body_place or self.place
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for number, text in enumerate(self.body.split("\n")):
            if number >= line and word and (found := pattern.search(text)):
                return Place(start.file, start.line + number, found.start() + (start.column if number == 0 else 1))
        return self.place

    def __str__(self) -> str:
        """The tag as the author would write it, shortened."""
        body = " ".join(self.body.split())
        body = body if len(body) <= 40 else body[:39] + "…"
        return f"{{{{ {body} }}}}" if self.kind == "expression" else f"{{% {body} %}}"


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of the author's text between two tags, at `offset` of `source`."""

    text: str
    source: Source
    offset: int


Piece = TextPiece | Token


class Tokens:
    """All tokens of one language of a template, by their number."""

    def __init__(self, collector: FindingCollector) -> None:
        self.collector = collector
        self._all: list[Token] = []

    def new(self, kind: Kind, body: str, place: Place, word: str = "", body_place: Place | None = None) -> Token:
        """Add a token with the next number. Raises CompileAborted if there are too many; reported."""
        if len(self._all) >= (MAX_TOKENS if kind == "composite" else MAX_TAGS):
            self.collector.error(place, "too-many-tags", f"more than {MAX_TAGS} Jinja tags", "split the template")
            raise CompileAborted
        token = Token(len(self._all), kind, body, place, word, body_place)
        self._all.append(token)
        return token

    def blank(self, token: Token) -> Token:
        """Replace an expression that can't be parsed by an empty one, so that the rest is still checked."""
        self._all[token.index] = replace(token, body='""')
        return self._all[token.index]

    def __getitem__(self, index: int) -> Token:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)

    def within(self, text: str) -> list[Token]:
        """The tokens whose placeholders are in `text`, in order; composites are not expanded."""
        return [self._all[int(found)] for found in PLACEHOLDER.findall(text)]

    def expanded(self, text: str) -> list[Token]:
        """The tokens whose placeholders are in `text`, with the parts of composites instead of them."""
        found: list[Token] = []
        for token in self.within(text):
            found += self.expanded(token.body) if token.kind == "composite" else [token]
        return found

    def first(self, text: str) -> Token | None:
        """The first token in `text`, composites expanded; None if there is none."""
        return next(iter(self.expanded(text)), None)


def scan(source: Source, tokens: Tokens, collector: FindingCollector) -> list[Piece]:
    """Split a file into text and Jinja tags. Raises CompileAborted for a reserved word or an unclosed tag; reported."""
    text = source.text
    if reserved := PLACEHOLDER.search(text):
        collector.error(
            source.place(reserved.start()), "reserved-word", f'"{reserved[0]}" is reserved', "use another word"
        )
        raise CompileAborted
    if control := _CONTROL_CHARACTER.search(text):
        collector.error(
            source.place(control.start()),
            "control-character",
            f"the text has the control character {control[0]!r}",
            "delete it",
        )
        raise CompileAborted
    pieces: list[Piece] = []
    ends = _TagEnds(text)
    position = 0
    strip_next = False
    while True:
        opening = _OPENING_DELIMITER.search(text, position)
        end = opening.start() if opening else len(text)
        start = position
        if strip_next:
            start = end - len(text[position:end].lstrip())
        strip_before = bool(opening) and text[end + 2 : end + 3] == "-"
        literal = text[start:end].rstrip() if strip_before else text[start:end]
        if literal:
            pieces.append(TextPiece(literal, source, start))
        if opening is None:
            return pieces
        if raw := _RAW_BEGIN.match(text, end):
            position, strip_next = _raw(source, raw, pieces, collector)
            continue
        position, strip_next = _tag(source, opening[0], end, ends, tokens, pieces)


def _raw(source: Source, begin: re.Match[str], pieces: list[Piece], collector: FindingCollector) -> tuple[int, bool]:
    """The text between raw and endraw, as it is."""
    end = _RAW_END.search(source.text, begin.end())
    if end is None:
        collector.error(
            source.place(begin.start()), "jinja-syntax", "{% raw %} is never closed", "close it with {% endraw %}"
        )
        raise CompileAborted
    text, start = source.text[begin.end() : end.start()], begin.end()
    if begin[2] == "-":
        start += len(text) - len(text.lstrip())
        text = text.lstrip()
    text = text.rstrip() if end[1] == "-" else text
    if text:
        pieces.append(TextPiece(text, source, start))
    return end.end(), end[2] == "-"


def _tag(
    source: Source, delimiter: str, start: int, ends: "_TagEnds", tokens: Tokens, pieces: list[Piece]
) -> tuple[int, bool]:
    text, collector = source.text, tokens.collector
    place = source.place(start)
    body_start = start + 2 + (text[start + 2 : start + 3] in ("-", "+"))
    if delimiter == "{#":
        end = text.find("#}", body_start)
        if end < 0:
            collector.error(place, "jinja-syntax", "the comment {# is never closed", "close it with #}")
            raise CompileAborted
        return end + 2, text[end - 1] == "-"
    closing = "}}" if delimiter == "{{" else "%}"
    end = ends.find(body_start, closing)
    if end < 0:
        collector.error(place, "jinja-syntax", f"{delimiter} is never closed", f"close it with {closing}")
        raise CompileAborted
    strip_next = text[end - 1] == "-"
    inside = text[body_start : end - (text[end - 1] in ("-", "+"))]
    body = inside.strip()
    body_place = source.place(body_start + len(inside) - len(inside.lstrip()))
    if not body:
        collector.error(place, "jinja-syntax", f"{delimiter} {closing} is empty", "name a variable, or delete it")
        return end + 2, strip_next
    if delimiter == "{{":
        pieces.append(tokens.new("expression", body, place, "", body_place))
    else:
        pieces.append(tokens.new("control", body, place, (re.match(r"\w*", body) or [""])[0], body_place))
    return end + 2, strip_next


class _TagEnds:
    """Finds the ends of tags, outside of strings and brackets, as Jinja's lexer sees them."""

    def __init__(self, text: str) -> None:
        self._text = text
        #: Quotes that open no string any more, because the text holds no other one behind them.
        self._never_closed: set[str] = set()

    def find(self, position: int, closing: str) -> int:
        """The offset of the closing delimiter of the tag whose body begins at `position`; -1 if there is none."""
        depth = 0
        while found := _STRING_START_OR_BRACKET.search(self._text, position):
            sign, position = found[0], found.start()
            if depth <= 0 and self._text.startswith(closing, position):
                return position
            position += 1
            if sign in "([{":
                depth += 1
            elif sign in ")]}":
                depth -= 1
            elif sign in "\"'" and sign not in self._never_closed:
                string = _STRINGS[sign].match(self._text, position)
                if string is None:
                    self._never_closed.add(sign)
                else:
                    position = string.end()
        return -1


def assemble(pieces: Sequence[Piece]) -> MappedText:
    """Join the pieces into one text with placeholders and a source map."""
    texts: list[str] = []
    runs: list[TextRun] = []
    length = 0
    for piece in pieces:
        if isinstance(piece, Token):
            runs.append(TextRun(length, piece.place))
            texts.append(piece.placeholder)
        else:
            runs.append(TextRun(length, piece.source, piece.offset))
            texts.append(piece.text)
        length += len(texts[-1])
    return MappedText("".join(texts), runs or [TextRun(0, Place("", 1, 1))])


def refuse_control_references(mapped: MappedText, collector: FindingCollector) -> None:
    """Refuse `&#2;` and the like: an HTML parser makes control characters of them, which our own delimiters hold.

    Raises CompileAborted; reported.
    """
    if found := _CONTROL_REFERENCE.search(mapped.text):
        collector.error(
            mapped.place(found.start()),
            "control-character",
            f"{found[0]} stands for a control character",
            "delete it",
        )
        raise CompileAborted
