"""Syntax check: a file's Jinja is parsed, and errors get the position of the tag."""

import re

from jinja2 import Environment, TemplateSyntaxError

from service.templates.findings import FindingCollector
from service.templates.jinja.tokens import Piece, Token
from service.templates.positions import Place, Source

_HINTS = (
    (r"Unexpected end of template", "close every {% if %}, {% for %} and {% block %}"),
    (r"Encountered unknown tag", "see the list of tags in the author's guide"),
    (r"expected token 'end of (print statement|statement block)'", "a name has no spaces; join words with _"),
)


def check_syntax(
    source: Source, pieces: list[Piece], collector: FindingCollector, *, environment: Environment, is_known: bool
) -> list[Token] | None:
    """Report syntax errors of a file's Jinja; with `is_known` errors only those of single expressions.

    Returns the expressions that can't be parsed: [] for valid Jinja, None if another error was found. `environment` is
    only used to parse. Jinja gives lines; the column is that of the tag.
    """
    try:
        environment.parse(source.text)
    except TemplateSyntaxError as error:
        tags = [piece for piece in pieces if isinstance(piece, Token)]
        wrong = _report_expressions(tags, collector, environment)
        if wrong or is_known:
            return wrong
        message = error.message or "this is no Jinja"
        line = source.first_line + error.lineno - 1
        _report(collector, _place(source, tags, line, message, environment), message)
        return None
    except RecursionError:
        collector.error(
            source.place(0),
            "jinja-syntax",
            "the expressions are nested too deeply",
            "store parts of them with {% set %}",
        )
        return None
    return []


def parses(pieces: list[Piece], environment: Environment) -> bool:
    """True if the tags without the text between them parse."""
    written = (
        ("{{" + piece.body + "}}" if piece.kind == "expression" else "{% " + piece.body + " %}")
        for piece in pieces
        if isinstance(piece, Token)
    )
    return _error("\n".join(written), environment) is None


def _report_expressions(tags: list[Token], collector: FindingCollector, environment: Environment) -> list[Token]:
    """Report each expression that does not parse on its own, as Jinja stops at a file's first error; returns them."""
    wrong: list[Token] = []
    for token in tags:
        if token.kind == "expression" and (message := _error("{{" + token.body + "}}", environment)):
            _report(collector, token.place, message)
            wrong.append(token)
    return wrong


def _error(text: str, environment: Environment) -> str | None:
    try:
        environment.parse(text)
    except TemplateSyntaxError as error:
        return error.message or "this is no Jinja"
    except RecursionError:
        return "the expression is nested too deeply"
    return None


def _place(source: Source, tags: list[Token], line: int, message: str, environment: Environment) -> Place:
    """The position of the tag in Jinja's message: the one it names on that line, an unclosed block, or any there."""
    here = [token for token in tags if token.place.line <= line <= token.place.line + token.body.count("\n")]
    if word := re.search(r"(?:unknown tag|of tag|for) '(\w+)'", message):
        named = [token for token in here if token.word == word[1]]
        here = named or here
    if "end of template" in message and (unclosed := _unclosed(tags)):
        return unclosed.place
    for token in here:
        if token.kind == "control" and _is_wrong_alone(token, environment):
            return token.place
    if here:
        return here[0].place
    return Place(source.path, max(line, 1), 1)


def _unclosed(tags: list[Token]) -> Token | None:
    stack: list[Token] = []
    for token in tags:
        if token.opens:
            stack.append(token)
        elif token.closes and stack:
            stack.pop()
    return stack[-1] if stack else None


def _is_wrong_alone(token: Token, environment: Environment) -> bool:
    if token.closes or token.continues:
        return False
    closed = "{% " + token.body + " %}" + (f"{{% end{token.word} %}}" if token.opens else "")
    return _error(closed, environment) is not None


def _report(collector: FindingCollector, place: Place, message: str) -> None:
    hint = next((text for pattern, text in _HINTS if re.search(pattern, message)), "")
    collector.error(place, "jinja-syntax", f"Jinja: {message}", hint)
