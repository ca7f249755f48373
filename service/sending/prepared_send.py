"""What is ready to be written: a send, its letters, and the copies of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.models import NewMessage, Send
from service.store.body_codec import PlainBody
from service.store.revisions import Revision


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """One rendering, and the copies of it, at least one: they share body and attachments."""

    messages: Sequence[NewMessage]
    body: PlainBody

    @classmethod
    def of(cls, copies: Sequence[NewMessage]) -> "RenderedMessage":
        """Raises ValueError for lone surrogates."""
        return cls(copies, PlainBody.of(copies[0].html, copies[0].text))


@dataclass(frozen=True, slots=True)
class PreparedSend:
    """A send that is ready to be written: at least one letter."""

    send: Send
    rendered: Sequence[RenderedMessage]
    revision: Revision

    @property
    def messages(self) -> list[NewMessage]:
        """Those of all its letters, in their order."""
        return [copy for letter in self.rendered for copy in letter.messages]

    @property
    def size(self) -> int:
        """How many copies those are."""
        return sum(len(letter.messages) for letter in self.rendered)
