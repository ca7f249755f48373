"""Result types of the bounce parsers: the kind of a mail, and the status of each recipient that it names."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class MailKind(StrEnum):
    """Kind of a mail; the gravest where its recipients have several."""

    BOUNCE = "bounce"
    DELAYED = "delayed"
    COMPLAINT = "complaint"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto_reply"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """Status of one recipient.

    `status` is RFC 3463's code as written, or derived from the words where there is none. `smtp_code` is the reply of
    RFC 5321 where one is quoted. `diagnostic` is in the server's words, shortened. `suppresses`: the address leads to
    no mailbox, for good (`smtp_status.Refusal.suppresses`).
    """

    kind: MailKind
    address: str
    status: str | None = None
    smtp_code: int | None = None
    subtype: str | None = None
    diagnostic: str | None = None
    suppresses: bool = False

    @property
    def bounce_type(self) -> Literal["permanent", "temporary"] | None:
        """Class of the status (RFC 3463, 2): 5 is permanent, 4 is temporary; None for a success or without a status."""
        return {"5": "permanent", "4": "temporary"}.get((self.status or "")[:1])  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """Parsed mail. `original_message_id` is the returned mail's Message-ID, without angle brackets."""

    kind: MailKind
    recipients: tuple[RecipientStatus, ...] = ()
    original_message_id: str | None = None
