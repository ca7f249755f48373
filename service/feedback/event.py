"""Feedback events: what a provider or mail server says about one recipient's message, one form for all sources."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec


class FeedbackKind(StrEnum):
    """Kind of a feedback event; `apply` maps it to a message's status."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINT = "complaint"
    DELAYED = "delayed"  # delivery is still tried: no status changes
    FAILED = "failed"  # the provider refused it, or gave up for another reason than the recipient


#: RFC 5965, 7.3, RFC 6430 and RFC 6591: types of feedback reports that are no complaint of the recipient.
NOT_A_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc"})


@dataclass(frozen=True, slots=True)
class FeedbackEvent:
    """One event about one recipient's message.

    A message is found by `provider_id` (the relay's own name for it), by `rfc_message_id` (the Message-ID header
    without angle brackets) or by `message_id` (the row's id, which a signed return path carries), and by the recipient
    where given.
    `suppresses`: its source names a reason to suppress the recipient; a bounce must also be permanent.
    """

    kind: FeedbackKind
    at: datetime
    source: str
    recipient: str | None = None
    provider_id: str | None = None
    rfc_message_id: str | None = None
    message_id: str | None = None
    bounce_type: Literal["permanent", "temporary"] | None = None
    bounce_subtype: str | None = None
    smtp_code: int | None = None
    status: str | None = None  # RFC 3463, such as 5.1.1
    diagnostic: str | None = None  # the server's words
    suppresses: bool = False

    def as_json(self) -> str:
        """Return the stored form of a pending event, in ASCII: a lone surrogate is an escape there."""
        values = msgspec.to_builtins(self)
        stored = {_STORED_NAMES.get(name, name): value for name, value in values.items()}
        return json.dumps(stored, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "FeedbackEvent":
        """Read the stored form. Raises msgspec.ValidationError for anything else."""
        stored = json.loads(text)
        return msgspec.convert({name: stored[_STORED_NAMES.get(name, name)] for name in _FIELDS}, cls)


#: Rows hold these names since version 0.1; the fields have better ones now.
_STORED_NAMES = {"rfc_message_id": "message_id", "message_id": "our_id"}
_FIELDS = tuple(field.name for field in fields(FeedbackEvent))


@dataclass(frozen=True, slots=True)
class Notification:
    """Events that came together. `id` is unique within `source` (sns, inbox ...): a notification is applied once."""

    id: str
    source: str
    events: Sequence[FeedbackEvent] = ()
