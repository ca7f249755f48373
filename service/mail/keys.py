"""Keys that mails need: of pseudonyms, of return paths, and of unsubscribe links."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Keys of one purpose: the newest signs; `accepted` verify, the newest first."""

    accepted: tuple[bytes, ...] = field(repr=False)

    @property
    def newest(self) -> bytes:
        """The key of new signatures."""
        return self.accepted[0]


@dataclass(frozen=True, slots=True)
class MailKeys:
    """Keys of a mail. That of pseudonyms never changes: a pseudonym is found by making it again."""

    pseudonym: bytes = field(repr=False)
    return_path: SigningKeys
    unsubscribe: SigningKeys
