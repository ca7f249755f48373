"""Whether a file's Jinja can be parsed at all, and where it can't."""

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
    """Reports what keeps the file from being Jinja; nothing more where that `is_known` already.

    Returns the expressions that can't be read by themselves: none where all is well. None: something else is wrong.
    `environment` is only used to parse. Jinja gives lines; the column is that of the tag.
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
        collector.error(source.place(0), "jinja-syntax", "the expressions are nested too deeply", "use {% set %}")
        return None
    return []


def parses(pieces: list[Piece], environment: Environment) -> bool:
    """Whether the tags alone are Jinja."""
    written = (
        ("{{" + piece.body + "}}" if piece.kind == "expression" else "{% " + piece.body + " %}")
        for piece in pieces
        if isinstance(piece, Token)
    )
    return _error("\n".join(written), environment) is None


def _report_expressions(tags: list[Token], collector: FindingCollector, environment: Environment) -> list[Token]:
    """Jinja stops at the first mistake; expressions can be looked at one by one. Those that are wrong by themselves."""
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
    """The tag that Jinja means: the named one on that line, else the block that is never closed, else any there."""
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
