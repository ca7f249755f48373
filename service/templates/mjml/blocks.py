"""Jinja between the components of an element: the tags that may stand there, and the balance of blocks."""

from service.templates.findings import FindingCollector
from service.templates.jinja.block_balance import BlockBalance
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens
from service.templates.mjml.components import NO_CONTROL
from service.templates.mjml.parse import Element, Slice

#: Control tags that print nothing and close nothing.
SILENT = frozenset({"set", "import", "from"})
_BLOCKS = frozenset({"if", "elif", "else", "endif", "for", "endfor", "with", "endwith"})
_ELSEWHERE = {
    "mj-head": "blocks work inside <mj-title>, <mj-preview>, <mj-style> and <mj-raw>",
    "mjml": "put it into <mj-body>",
    "mj-carousel": "a carousel's pictures are fixed when it is compiled",
    "mj-accordion-element": "put it around the whole <mj-accordion-element>, or inside the title and the text",
}


class Blocks:
    """Checks the text and Jinja between the components of `element`, from its beginning to its end."""

    def __init__(self, element: Element, tokens: Tokens, collector: FindingCollector) -> None:
        self._element = element
        self._tokens = tokens
        self._collector = collector
        self._balance = BlockBalance[None](f"<{element.tag}>", collector, aborts=False)
        #: True once a block decides whether a component is shown, or how often.
        self.decides = False

    @property
    def in_loop(self) -> bool:
        """True between a `{% for %}` and its end."""
        return self._balance.in_loop

    def between(self, text: Slice) -> None:
        """Check the text and tags between two components."""
        last = 0
        for found in PLACEHOLDER.finditer(text.text):
            self._stray(text, last, found.start())
            last = found.end()
            token = self._tokens[int(found[1])]
            self.decides |= token.word in ("if", "for")
            self._tag(token)
        self._stray(text, last, len(text.text))

    def finish(self) -> None:
        """Report the blocks that are still open."""
        self._balance.finish()

    def _tag(self, token: Token) -> None:
        tag = self._element.tag
        if token.kind == "expression":
            self._collector.error(
                token.place, "stray-text", f"{token} stands directly in <{tag}>", "put it into <mj-text>"
            )
        elif token.word not in _BLOCKS | SILENT:
            self._collector.error(
                token.place,
                "block-crosses",
                f"{token} can't stand between components",
                "use it inside <mj-text>, <mj-table> or <mj-raw>; for components use mj-include",
            )
        elif tag in NO_CONTROL:
            if tag not in ("mj-head", "mjml") or token.word not in SILENT:
                message = f"{token} can't stand inside <{tag}>"
                self._collector.error(token.place, "jinja-not-here", message, _ELSEWHERE.get(tag, ""))
        else:
            self._balance.add(token, None)

    def _stray(self, text: Slice, start: int, end: int) -> None:
        stray = text.text[start:end].strip()
        if stray:
            offset = start + len(text.text[start:end]) - len(text.text[start:end].lstrip())
            message = f"text directly in <{self._element.tag}>: {shortened(stray)}"
            self._collector.error(text.place(offset), "stray-text", message, "put it into <mj-text>")


def shortened(text: str) -> str:
    """A text in quotes for a message, cut after 30 characters."""
    text = " ".join(text.split())
    return f'"{text[:30]}…"' if len(text) > 30 else f'"{text}"'
