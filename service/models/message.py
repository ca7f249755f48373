"""Sends, messages, attachments and events, as features and store exchange them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from service.models.status import EventType, Priority, Role, Status, Stream, WaitingFor


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message; `sha256` is the lower-case hex digest of `data`."""

    filename: str
    content_type: str
    data: bytes
    sha256: str

    @property
    def size_bytes(self) -> int:
        """The size of the decoded content."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rendered subject, headers and bodies of a message.

    `subject` is one line without control characters, not yet encoded. `from_header` and `reply_to` are None where the
    template leaves them to the settings. `locale` is the language that was used.
    """

    subject: str
    html: str
    text: str
    locale: str
    from_header: str | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """A template's delivery policy: priority, attempts, SLA and expiry. None: the settings decide."""

    priority: Priority = Priority.NORMAL
    attempts: int | None = None
    sla_s: int | None = None
    expires_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFields:
    """The fields of a send that each of its messages repeats; `id` is its own.

    `template_ref` is the preview of a pull request that was asked for, such as pr-12.
    """

    id: str
    template_key: str
    template_version: int
    template_revision: str
    created_at: datetime
    is_test: bool = False
    template_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(SendFields):
    """One accepted request.

    `git_commit` is the commit of the template that rendered it, None where its files were in none. `deployment_id` is
    the deployment that served this template; None where none was recorded, or an archived revision was asked for.
    """

    caller_id: str
    caller_name: str
    idempotency_key: str | None = None
    request_digest: str | None = None
    deployment_id: str | None = None
    git_commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFields(SendFields):
    """The fields of a message that are set at acceptance, before and after it is stored.

    `recipient` is the address in the spelling that is sent to; `recipient_hash` is keyed and of the normalised address,
    so that it survives anonymising. `reply_to` and `from_header` are complete header values, not yet encoded.
    `rfc_message_id` is without angle brackets. `date_at` is the Date header, the same over all attempts.
    `unsubscribe_url` goes with marketing alone (RFC 8058). `visible_to` and `visible_cc` are the addresses that To and
    Cc show, separated by commas; without `visible_to` the mail shows its recipient alone. `redirected_to` is the
    address that an environment sends it to instead of `recipient`, "" once that is forgotten. `suppressed_reason` is
    `environment`, or the reason of the suppression.
    """

    send_id: str
    stream: Stream
    priority: Priority
    recipient: str
    recipient_hash: str
    envelope_from: str
    from_header: str
    reply_to: str | None
    subject: str
    locale: str
    status: Status
    expires_at: datetime
    attempts_max: int
    rfc_message_id: str
    date_at: datetime
    source_endpoint: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sla_s: int | None = None
    resend_of: str | None = None
    unsubscribe_url: str | None = None
    role: Role = Role.TO
    visible_to: str | None = None
    visible_cc: str | None = None
    redirected_to: str | None = None
    suppressed_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage(MessageFields):
    """A message that is to be stored, with its bodies and attachments.

    `status` is QUEUED, SUPPRESSED or RATE_LIMITED. `variables` are kept so that an operator can see what the caller
    sent.
    """

    html: str
    text: str
    next_attempt_at: datetime
    variables: Mapping[str, Any] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()
    status_reason: str | None = None


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """An attachment without its bytes. `n` counts from 0 within its message."""

    n: int
    filename: str
    content_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Event:
    """An event in a message's timeline. `detail` is a sentence for people."""

    type: EventType
    at: datetime
    source: str
    detail: str | None = None
    smtp_code: int | None = None
    smtp_reply: str | None = None
    provider_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(MessageFields):
    """A stored message, without its bodies. `recipient` is a pseudonym once `anonymised_at` is set.

    `is_template_named`: the mail has the header X-RGZ-Template, which mails accepted by earlier releases lack.
    """

    caller_id: str
    waiting_for: WaitingFor | None
    next_attempt_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    attempts: int
    attachments_count: int
    sla_due_at: datetime | None
    bounce_type: str | None
    bounce_subtype: str | None
    error_message: str | None
    transfer_encoding: str | None
    wire_sha256: str | None
    anonymised_at: datetime | None
    is_template_named: bool

    @property
    def shown_to(self) -> list[str]:
        """The addresses that the header To shows."""
        return (self.visible_to or self.recipient).split(", ")

    @property
    def shown_cc(self) -> list[str]:
        """The addresses that the header Cc shows."""
        return self.visible_cc.split(", ") if self.visible_cc else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the template of a send came from. `author`, `first_line` and `live_at` are of the recorded deployment."""

    deployment_id: str | None
    commit: str | None
    author: str | None = None
    first_line: str | None = None
    live_at: datetime | None = None


#: Digits that name a revision where its whole digest is too long: 48 bits tell any number of templates apart.
REVISION_DIGITS = 12


class Outgoing(NamedTuple):
    """The fields of a message that delivery needs, and no more: a worker reads thousands a second."""

    id: str
    template_key: str
    stream: Stream
    priority: Priority
    recipient: str
    envelope_from: str
    from_header: str
    reply_to: str | None
    subject: str
    attempts: int
    attempts_max: int
    rfc_message_id: str
    date_at: datetime
    is_test: bool
    unsubscribe_url: str | None
    visible_to: str | None
    visible_cc: str | None
    template_version: int
    template_revision: str
    is_template_named: bool
    redirected_to: str | None = None
    template_ref: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The HTML and text of a message as they were accepted, in UTF-8, as they are stored and sent."""

    html_utf8: bytes
    text_utf8: bytes

    @property
    def html(self) -> str:
        """The HTML part as text."""
        return self.html_utf8.decode()

    @property
    def text(self) -> str:
        """The plain text part as text."""
        return self.text_utf8.decode()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A leased message with all that building its MIME form needs.

    `lapsed_leases` counts the leases that workers let lapse.
    """

    message: Outgoing
    body: Body
    attachments: Sequence[Attachment]
    lapsed_leases: int
