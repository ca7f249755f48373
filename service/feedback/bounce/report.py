"""What one mail that came back says: the noun of the readers of this room, before anybody asks which message it is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class MailKind(StrEnum):
    """What a mail is. Where it says several things of several recipients, the gravest."""

    BOUNCE = "bounce"
    DELAYED = "delayed"
    COMPLAINT = "complaint"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto_reply"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What the mail says of one recipient.

    `status` is RFC 3463's code, written or, for a failure told in words only, meant. `smtp_code` is the reply of
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
        """The class of the status (RFC 3463, 2): 5 is permanent, 4 is temporary; None for a success, or without one."""
        return {"5": "permanent", "4": "temporary"}.get((self.status or "")[:1])  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """All that a mail says. `original_message_id` is the returned mail's, without angle brackets."""

    kind: MailKind
    recipients: tuple[RecipientStatus, ...] = ()
    original_message_id: str | None = None
