"""Balance of Jinja blocks: each opens and closes in one part of a template, and its branches leave equal states."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import Token

State = TypeVar("State")
_HINT = "a block opens and closes in the same element, attribute or style"


@dataclass(frozen=True, slots=True)
class OpenBlock(Generic[State]):
    """A block that is not closed yet, and the state at its opening tag."""

    token: Token
    state: State


class BlockBalance(Generic[State]):
    """The stack of open blocks in one part of a template: an element, an attribute's value, a style.

    `State` is what each branch must leave as it found it, such as the HTML elements that are open; None for nothing.
    `part` names the part in findings. With `aborts` the first finding raises CompileAborted; without, all are reported.
    """

    def __init__(self, part: str, collector: FindingCollector, *, aborts: bool = True) -> None:
        self._part = part
        self._collector = collector
        self._aborts = aborts
        self._blocks: list[OpenBlock[State]] = []

    @property
    def innermost(self) -> OpenBlock[State] | None:
        """The block opened last; None outside of all blocks."""
        return self._blocks[-1] if self._blocks else None

    @property
    def in_loop(self) -> bool:
        """True between a `{% for %}` and its end."""
        return any(block.token.word == "for" for block in self._blocks)

    def add(self, token: Token, state: State) -> OpenBlock[State] | None:
        """Open, continue or close a block at `token`; other tokens change nothing.

        Returns the block if one of its branches ends here in another `state` than it began, else None.
        """
        if token.opens:
            self._blocks.append(OpenBlock(token, state))
        elif token.closes or token.continues:
            if not self._blocks:
                self._report(token, f"{token} belongs to a block that began outside of {self._part}")
                return None
            block = self._blocks.pop() if token.closes else self._blocks[-1]
            return block if block.state != state else None
        return None

    def finish(self) -> None:
        """Report the blocks that are still open at the end of the part."""
        for block in reversed(self._blocks):
            self._report(block.token, f"{block.token} is not closed inside {self._part}")

    def _report(self, token: Token, message: str) -> None:
        self._collector.error(token.place, "block-crosses", message, _HINT)
        if self._aborts:
            raise CompileAborted


def check_balance(tokens: list[Token], part: str, collector: FindingCollector) -> None:
    """Refuse a block that does not open and close among `tokens`: reported, then CompileAborted."""
    blocks = BlockBalance[None](part, collector)
    for token in tokens:
        blocks.add(token, None)
    blocks.finish()
