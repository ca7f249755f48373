"""What a provider or a mail server says became of one recipient's mail: the noun that all ways in share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


class ReportKind(StrEnum):
    """What is said; `record` knows what each does to a message."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINT = "complaint"
    DELAYED = "delayed"  # they still try: no state changes
    FAILED = "failed"  # the provider refused it, or gave up for a reason that is not the recipient's


@dataclass(frozen=True, slots=True)
class Report:
    """One statement about one recipient.

    A message is found by `provider_id` (the next hop's own name for it), or by `message_id` (our Message-ID without
    angle brackets), or by `our_id` (the id that a signed return path carries), and by the recipient where given.
    `suppresses`: a reason never to write again, as its source means it; `record` decides with `bounce_type`.
    """

    kind: ReportKind
    at: datetime
    source: str
    recipient: str | None = None
    provider_id: str | None = None
    message_id: str | None = None
    our_id: str | None = None
    bounce_type: Literal["permanent", "temporary"] | None = None
    bounce_subtype: str | None = None
    smtp_code: int | None = None
    status: str | None = None  # RFC 3463, such as 5.1.1
    diagnostic: str | None = None  # the server's words
    suppresses: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """What came in one piece; `id` is its own name within `source` (sns, inbox ...), by which it counts once."""

    id: str
    source: str
    reports: Sequence[Report] = ()
