"""Prepared sends: a send with its rendered messages, ready for the group commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.models import NewMessage, Send
from service.store.body_codec import PlainBody
from service.store.revisions import Revision


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """One rendering and the messages with it, at least one: they share body and attachments."""

    messages: Sequence[NewMessage]
    body: PlainBody

    @classmethod
    def of(cls, messages: Sequence[NewMessage]) -> "RenderedMessage":
        """Encode the body of the first message, which all have. Raises ValueError for lone surrogates."""
        return cls(messages, PlainBody.of(messages[0].html, messages[0].text))


@dataclass(frozen=True, slots=True)
class PreparedSend:
    """A send that is ready to be stored, with at least one rendered message."""

    send: Send
    rendered: Sequence[RenderedMessage]
    revision: Revision

    @property
    def messages(self) -> list[NewMessage]:
        """All messages of the send, in the order of the request."""
        return [message for rendered in self.rendered for message in rendered.messages]

    @property
    def has_attachments(self) -> bool:
        """Whether any message has files."""
        return any(rendered.messages[0].attachments for rendered in self.rendered)

    @property
    def size(self) -> int:
        """The number of messages."""
        return sum(len(rendered.messages) for rendered in self.rendered)
