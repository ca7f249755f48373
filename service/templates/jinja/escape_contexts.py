"""Which escape an expression needs, worked out along every branch.

A value's way is a small machine: CSS outside of `url(…)`, the start of a URL, a later part of it, a part of a mail or
telephone address. Where branches meet, the states add up; an expression that would need two escapes is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from html import unescape

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens

URL_ATTRIBUTES = frozenset(
    {
        "href",
        "src",
        "background",
        "action",
        "poster",
        "cite",
        "longdesc",
        "formaction",
        "data",
        "icon",
        "manifest",
        "srcset",
    }
)


class Context(StrEnum):
    """Where an expression stands."""

    TEXT = "text"
    ATTRIBUTE = "attribute"
    CSS = "css"
    URL_START = "url_start"
    URL_PART = "url_part"
    URL_MAIL = "url_mail"


#: Schemes that run something or carry a document: no author means them, and no mail program follows them.
_HARMFUL = re.compile(r"[\s\x00-\x1f]*(javascript|vbscript|data|file)\s*:", re.I)


LINK_HINT = "begin it with https://, http://, mailto:, tel: or cid:"


def harmful_scheme(name: str, value: str) -> str | None:
    """The scheme of a literal link that must not go out: in `href`, `action` and the like; `data:` pictures may."""
    found = _HARMFUL.match(value) if name.lower() in URL_ATTRIBUTES else None
    if found is None or (found[1].lower() == "data" and name.lower() in ("src", "background", "background-url")):
        return None
    return found[1].lower()


_URL = frozenset({Context.URL_START, Context.URL_PART, Context.URL_MAIL})
_MAIL = re.compile(r"\s*(mailto|tel|sms):", re.I)
#: What made a composite of declarations a declaration.
_DECLARED = re.compile(r":\s?0(?![\d.])")
_URL_OPEN = re.compile(r"url\(", re.I)


def after_literal(context: Context, literal: str, *, is_css: bool) -> Context:
    """The context behind a stretch of the author's own text."""
    text = unescape(literal)
    while True:
        if context is Context.CSS:
            opened = _URL_OPEN.search(text)
            if opened is None:
                return context
            context, text = Context.URL_START, text[opened.end() :]
        if is_css and ")" in text and context in _URL:
            context, text = Context.CSS, text.split(")", 1)[1]
            continue
        if context is Context.URL_START and text.strip(" \t\n\"'"):
            return Context.URL_MAIL if _MAIL.match(text) else Context.URL_PART
        return context


@dataclass
class _Branch:
    before: frozenset[Context]
    after: set[Context] = field(default_factory=set)
    has_else: bool = False
    is_loop: bool = False


class EscapeContextTracker:
    """Walks through one attribute's value or one style block; says the context of each expression in turn."""

    def __init__(self, start: Context, tokens: Tokens, collector: FindingCollector, *, is_css: bool = False) -> None:
        self._states = frozenset({start})
        self._tokens = tokens
        self._collector = collector
        self._is_css = is_css
        self._branches: list[_Branch] = []

    def literal(self, text: str) -> None:
        """Advance over a stretch of the author's own text."""
        self._states = frozenset(after_literal(state, text, is_css=self._is_css) for state in self._states)

    def expression(self, token: Token) -> Context:
        """Refused: on different ways it would need different escapes."""
        states = self._states
        if (Context.URL_START in states and len(states) > 1) or (Context.CSS in states and len(states) > 1):
            self._collector.error(
                token.place,
                "ambiguous-url",
                f"{token} begins a URL on one way and continues it on another",
                "write the whole URL in each branch",
            )
            raise CompileAborted
        context = next(iter(states)) if len(states) == 1 else Context.URL_PART
        if context is Context.URL_START:
            self._states = frozenset({Context.URL_PART})
        return context

    def control(self, token: Token) -> None:
        """Open, continue or close a branch at this control tag."""
        if token.opens:
            branch = _Branch(self._states, is_loop=token.word == "for")
            self._branches.append(branch)
            if branch.is_loop and Context.URL_START in self._states:
                self._states |= {Context.URL_PART}
        elif self._branches and token.continues:
            branch = self._branches[-1]
            branch.after |= self._states
            branch.has_else |= token.word == "else"
            self._states = branch.before
        elif self._branches and token.closes:
            branch = self._branches.pop()
            branch.after |= self._states
            conditional = token.word in ("endif", "endfor")
            self._states = frozenset(branch.after | (set() if branch.has_else or not conditional else branch.before))


def quoted(literal: str) -> str:
    """The author's text inside of a double-quoted attribute; his own entities stay."""
    return literal.replace('"', "&quot;").replace("<", "&lt;")


def flat_parts(text: str, tokens: Tokens, inside: Callable[[str], str] = quoted) -> list[str | Token]:
    """Literals and tokens of a value in turn; composites are opened, `inside` is applied to the literals in them."""
    found: list[str | Token] = []
    position = 0
    for one in PLACEHOLDER.finditer(text):
        if one.start() > position:
            found.append(text[position : one.start()])
        token = tokens[int(one[1])]
        position = one.end()
        if token.kind == "composite":
            parts = flat_parts(token.body, tokens, inside)
            found += [inside(part) if isinstance(part, str) else part for part in parts]
            if ":" in token.body and (zero := _DECLARED.match(text, position)):
                position = zero.end()
        else:
            found.append(token)
    if position < len(text):
        found.append(text[position:])
    return found
