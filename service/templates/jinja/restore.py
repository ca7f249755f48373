"""Restoring Jinja: placeholders in compiled HTML and text become Jinja tags, expressions escaped by their place.

The compiled text has delimiters of control characters: nothing that an author or a library writes can look like them.
Each tag begins with a newline after its delimiter (which prints nothing), so that the line of a runtime error leads
back to the tag, and from there to the author's file.
"""

import re
from dataclasses import dataclass, field

from service.mail.html_tokens import unescape
from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.escape_contexts import URL_ATTRIBUTES, Context, EscapeContextTracker, flat_parts, quoted
from service.templates.jinja.html_scanner import HtmlToken, scan_html
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens

EXPRESSION_BEGIN, EXPRESSION_END = "\x02{", "}\x03"
BLOCK_BEGIN, BLOCK_END = "\x02%", "%\x03"
COMMENT_BEGIN, COMMENT_END = "\x02#", "#\x03"

#: RFC 5322 allows 998 octets a line; a tag is broken between attributes well before, values included.
_LINE_OCTETS = 150
_FILTERS = {
    Context.ATTRIBUTE: "_attribute",
    Context.CSS: "_css",
    Context.URL_START: "_url",
    Context.URL_PART: "_url_part",
    Context.URL_MAIL: "_url_mail",
}
_LINK_FILTERS = {
    Context.URL_START: "_style_url",
    Context.URL_PART: "_style_url_part",
    Context.URL_MAIL: "_style_url_mail",
}
#: Around a link of the text part that holds Jinja.
LINK_BEGIN, LINK_END = "\x07", "\x08"
_CONDITION = re.compile(r"<!--\[if[^\]]*\]>")
_CONDITION_END = "<![endif]-->"
_SAFE = re.compile(r"\|\s*safe\b")
_ATTRIBUTE = re.compile(r"""(?<!\s)(\s+)([^\s=/>"']+)(?:(=)(["'])((?:(?!\4).)*)\4)?""", re.S)


@dataclass
class Restored:
    """Jinja source with `count` tags. `tokens` maps its lines to the index of the token there; `used` counts each."""

    source: str = ""
    count: int = 0
    tokens: dict[int, int] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)


def restore_html(html: str, tokens: Tokens, collector: FindingCollector) -> Restored:
    """Restore Jinja in HTML from premailer. Raises CompileAborted for an expression that no escape makes safe."""
    writer = _Writer(tokens)
    _Html(writer, tokens, collector).write(html)
    return writer.finish()


def restore_text(text: str, tokens: Tokens, collector: FindingCollector) -> Restored:
    """Restore Jinja in plain text: the text part, a subject, a header. Only expressions in links are encoded.

    Raises CompileAborted for an expression that begins a link on one branch and continues it on another; reported.
    """
    writer = _Writer(tokens)
    link: EscapeContextTracker | None = None
    for part in flat_parts(text, tokens, unescape):
        if isinstance(part, str):
            for piece in re.split(f"([{LINK_BEGIN}{LINK_END}])", part):
                if piece == LINK_BEGIN:
                    link = EscapeContextTracker(Context.URL_START, tokens, collector)
                elif piece == LINK_END:
                    link = None
                else:
                    writer.literal(piece)
                    if link:
                        link.literal(piece)
        elif part.kind == "control":
            if link:
                link.control(part)
            writer.token(part, "")
        else:
            writer.token(part, _LINK_FILTERS[link.expression(part)] if link else "")
    return writer.finish()


def _unchanged(literal: str) -> str:
    return literal


class _Writer:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._out: list[str] = []
        self._line = 1
        self._column = 0
        self._restored = Restored()

    def literal(self, text: str) -> None:
        self._out.append(text)
        newlines = text.count("\n")
        self._line += newlines
        last = text.rpartition("\n")[2] if newlines else text
        octets = len(last) if last.isascii() else len(last.encode())
        self._column = octets if newlines else self._column + octets

    def separator(self, space: str) -> None:
        """Write the space between two attributes, the only place where a long line may be broken."""
        self.literal("\n" if self._column > _LINE_OCTETS else space)

    def token(self, token: Token, filter_name: str) -> None:
        self._restored.count += 1
        self._restored.used[token.index] = self._restored.used.get(token.index, 0) + 1
        if token.kind == "control":
            text = f"{BLOCK_BEGIN}\n{token.body}{BLOCK_END}"
        else:
            body = f"({token.body})|{filter_name}" if filter_name else token.body
            text = f"{EXPRESSION_BEGIN}\n{body}{EXPRESSION_END}"
        first = self._line + 1
        self._out.append(text)
        self._line += text.count("\n")
        self._column += 40  # what a value may need
        for line in range(first, self._line + 1):
            self._restored.tokens[line] = token.index

    def finish(self) -> Restored:
        self._restored.source = "".join(self._out)
        return self._restored


class _Html:
    def __init__(self, writer: _Writer, tokens: Tokens, collector: FindingCollector) -> None:
        self._writer = writer
        self._tokens = tokens
        self._collector = collector

    def write(self, html: str) -> None:
        for part in scan_html(html):
            if part.kind == "comment":
                self._comment(part.text)
            elif part.kind == "raw":
                self._raw(part)
            elif part.kind == "open":
                self._tag(part.text)
            else:
                self._text(part.text)

    def _text(self, text: str) -> None:
        for one in flat_parts(text, self._tokens):
            if isinstance(one, str):
                self._writer.literal(one)
            else:
                self._writer.token(one, "")

    def _comment(self, text: str) -> None:
        if re.fullmatch(r"<!--zqj\d{5}x-->", text):
            self._text(text[4:-3])
        elif (condition := _CONDITION.match(text)) and text.endswith(_CONDITION_END):
            self._writer.literal(condition[0])
            self.write(text[condition.end() : -len(_CONDITION_END)])
            self._writer.literal(_CONDITION_END)
        else:
            self._writer.literal(text)

    def _raw(self, part: HtmlToken) -> None:
        if part.name == "style":
            self._value(
                part.text,
                EscapeContextTracker(Context.CSS, self._tokens, self._collector, is_css=True),
                style_block=True,
            )
        else:
            self._text(part.text)

    def _tag(self, tag: str) -> None:
        position = 0
        for found in _ATTRIBUTE.finditer(tag):
            self._writer.literal(tag[position : found.start()])
            position = found.end()
            self._writer.separator(found[1])
            self._writer.literal(found[2])
            if found[3]:
                self._writer.literal('="')
                self._attribute(found[2].lower(), found[5].replace('"', "&quot;"))
                self._writer.literal('"')
        self._writer.literal(tag[position:])

    def _attribute(self, name: str, value: str) -> None:
        if not PLACEHOLDER.search(value):
            self._writer.literal(value)
            return
        if name.startswith("on") and (token := self._tokens.first(value)):
            self._collector.error(
                token.place, "jinja-in-script", f"Jinja in {name} can't be made safe", "mail has no scripts"
            )
            raise CompileAborted
        if name == "style":
            self._value(value, EscapeContextTracker(Context.CSS, self._tokens, self._collector, is_css=True))
        elif name in URL_ATTRIBUTES:
            self._value(value, EscapeContextTracker(Context.URL_START, self._tokens, self._collector))
        else:
            self._value(value, None)

    def _value(self, value: str, tracker: EscapeContextTracker | None, *, style_block: bool = False) -> None:
        for one in flat_parts(value, self._tokens, _unchanged if style_block else quoted):
            if isinstance(one, str):
                self._writer.literal(one)
                if tracker:
                    tracker.literal(one)
            elif one.kind == "control":
                if tracker:
                    tracker.control(one)
                self._writer.token(one, "")
            else:
                self._expression(one, tracker.expression(one) if tracker else Context.ATTRIBUTE, style_block)

    def _expression(self, token: Token, context: Context, style_block: bool) -> None:
        if _SAFE.search(token.body):
            self._collector.error(
                token.place,
                "safe-outside-text",
                f"|safe can't be used here: {token} stands in an attribute or a style",
                "leave out |safe; it works in text",
            )
            raise CompileAborted
        name = _FILTERS[context]
        self._writer.token(token, f"_style{name}" if style_block and context is not Context.CSS else name)
