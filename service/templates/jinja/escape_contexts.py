"""Escape contexts: the escape that each expression in an attribute or style needs, computed along every branch.

The states are CSS outside of `url(…)`, the start of a URL, a later part of it, and a part of a mail or telephone
address. Where branches meet, the states are united; an expression that would need two escapes is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from service.mail.html_tokens import unescape
from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens

#: Attributes that hold one link, or several.
_LISTS = frozenset(["archive", "imagesrcset", "ping", "srcset"])
URL_ATTRIBUTES = _LISTS | frozenset(
    {
        *("action", "background", "cite", "classid", "codebase", "data", "dynsrc", "formaction", "href", "icon"),
        *("longdesc", "lowsrc", "manifest", "poster", "profile", "src", "usemap", "xlink:href"),
    }
)


class Context(StrEnum):
    """The place of an expression, which decides its escape."""

    TEXT = "text"
    ATTRIBUTE = "attribute"
    CSS = "css"
    URL_START = "url_start"
    URL_PART = "url_part"
    URL_MAIL = "url_mail"


#: Schemes that run code or carry a document: mail programs do not follow them.
_HARMFUL = re.compile(r"(javascript|vbscript|livescript|mocha|data|file):", re.I)
#: What browsers take out of a link before they read it.
_IGNORED = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]+")
#: Pieces of a link between Jinja tags that may form its scheme together.
_MOST_PIECES = 12
_PICTURES = frozenset(["src", "background", "background-url"])


LINK_HINT = "begin it with https://, http://, mailto:, tel: or cid:"


def harmful_scheme(name: str, value: str) -> str | None:
    """The forbidden scheme of a link, None if it is allowed; `data:` is allowed for pictures.

    References in the value are resolved. It may hold placeholders, each of which may print nothing, or be a branch.
    """
    name = name.lower()
    if name not in URL_ATTRIBUTES and not name.endswith(("href", "src", "url")):
        return None
    text = unescape(value)
    for link in [text, *(re.split(r"[\s,]+", text) if name in _LISTS else ())]:
        pieces = PLACEHOLDER.sub("\0", _IGNORED.sub("", link)).split("\0")
        for index in range(len(pieces)):
            found = _HARMFUL.match("".join(pieces[index : index + _MOST_PIECES]))
            if found and (found[1].lower() != "data" or name not in _PICTURES):
                return found[1].lower()
    return None


_URL = frozenset({Context.URL_START, Context.URL_PART, Context.URL_MAIL})
_MAIL = re.compile(r"\s*(mailto|tel|sms):", re.I)
#: The end of the declaration that `composite_css` made of a composite.
_DECLARED = re.compile(r":\s?0(?![\d.])")
_URL_OPEN = re.compile(r"url\(", re.I)


def after_literal(context: Context, literal: str, *, is_css: bool) -> Context:
    """The context after a piece of the author's own text."""
    text = unescape(literal)
    position = 0
    while True:
        if context is Context.CSS:
            opened = _URL_OPEN.search(text, position)
            if opened is None:
                return context
            context, position = Context.URL_START, opened.end()
        if is_css and context in _URL and (end := text.find(")", position)) >= 0:
            context, position = Context.CSS, end + 1
            continue
        if context is Context.URL_START and (link := text[position:]).strip(" \t\n\"'"):
            return Context.URL_MAIL if _MAIL.match(link) else Context.URL_PART
        return context


@dataclass
class _Branch:
    before: frozenset[Context]
    after: set[Context] = field(default_factory=set)
    has_else: bool = False
    is_loop: bool = False


class EscapeContextTracker:
    """Computes the context of each expression in one attribute's value or one style block, in order."""

    def __init__(self, start: Context, tokens: Tokens, collector: FindingCollector, *, is_css: bool = False) -> None:
        self._states = frozenset({start})
        self._tokens = tokens
        self._collector = collector
        self._is_css = is_css
        self._branches: list[_Branch] = []

    def literal(self, text: str) -> None:
        """Advance over a piece of the author's own text."""
        self._states = frozenset(after_literal(state, text, is_css=self._is_css) for state in self._states)

    def expression(self, token: Token) -> Context:
        """The context of an expression. Raises CompileAborted if it differs between branches; reported."""
        states = self._states
        if (Context.URL_START in states and len(states) > 1) or (Context.CSS in states and len(states) > 1):
            self._collector.error(
                token.place,
                "ambiguous-url",
                f"{token} begins a URL on one branch and continues it on another",
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
    """Escape the author's text for a double-quoted attribute; entities in it are kept."""
    return literal.replace('"', "&quot;").replace("<", "&lt;")


def flat_parts(text: str, tokens: Tokens, inside: Callable[[str], str] = quoted) -> list[str | Token]:
    """The literals and tokens of a value in order; composites are expanded, with `inside` applied to their literals."""
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
