"""What is ready to be written: a send, its letters, and the copies of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.models import NewMessage, Send
from service.store.revisions import PlainBody, Revision


@dataclass(frozen=True, slots=True)
class Letter:
    """One rendering, and the copies of it, at least one: they share body and attachments."""

    copies: Sequence[NewMessage]
    body: PlainBody

    @classmethod
    def of(cls, copies: Sequence[NewMessage]) -> "Letter":
        """Raises ValueError for lone surrogates."""
        return cls(copies, PlainBody.of(copies[0].html, copies[0].text))


@dataclass(frozen=True, slots=True)
class Parcel:
    """A send that is ready to be written: at least one letter."""

    send: Send
    letters: Sequence[Letter]
    revision: Revision

    @property
    def copies(self) -> list[NewMessage]:
        """Those of all its letters, in their order."""
        return [copy for letter in self.letters for copy in letter.copies]

    @property
    def size(self) -> int:
        """How many copies those are."""
        return sum(len(letter.copies) for letter in self.letters)
