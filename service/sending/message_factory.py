"""Building the messages of a send, one for each recipient, and those of a resend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import uuid_utils

from service.config.settings import Settings
from service.mail import addresses, unsubscribe_token
from service.mail.addresses import Address
from service.mail.keys import MailKeys
from service.mail.unsubscribe_token import Unsubscription
from service.models import Attachment, Body, Message, NewMessage, Priority, Rendered, Role, Send, Status, Stream
from service.models.requests import AnySendRequest, MessageRequest
from service.templates.template import Template

#: How long a message may wait for delivery where its template says nothing.
DEFAULT_EXPIRY = timedelta(hours=24)
#: The variable for the recipient's unsubscribe link, which marketing templates may declare; we set its value.
UNSUBSCRIBE_VARIABLE = "unsubscribe_url"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient, and the id of the message that goes there. `unsubscribe_url` goes with marketing alone.

    `visible` are the addresses of To and Cc, (None, None) where the recipient is shown alone.
    """

    spelling: str
    message_id: str
    recipient_hash: str
    unsubscribe_url: str | None
    role: Role
    visible: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """What the messages of one message request share; `source` names the part of the caller that asked."""

    send: Send
    template: Template
    request: AnySendRequest
    message_request: MessageRequest
    attachments: Sequence[Attachment]
    source: str


@dataclass(frozen=True, slots=True)
class MessageFactory:
    """Builds messages. `domain` stands in each Message-ID."""

    settings: Settings
    keys: MailKeys
    domain: str

    def recipients(
        self, template: Template, given: Sequence[tuple[Role, Address]], *, is_test: bool
    ) -> list[Recipient]:
        """The recipients of a message request, with the ids of their new messages.

        The template's own copies come last, where nobody else named them; a test has none.
        """
        everybody = list(given)
        if template.manifest.copies and not is_test:
            known = {address.normalised for _, address in given}
            added = map(addresses.parse, template.manifest.copies)
            everybody += [(Role.COPY, address) for address in added if address.normalised not in known]
        visible_to, visible_cc = (
            ", ".join(address.spelling for role, address in given if role is shown) for shown in (Role.TO, Role.CC)
        )
        stream = template.manifest.stream
        return [
            self._recipient(
                address.spelling,
                addresses.pseudonym(address.normalised, key=self.keys.pseudonym),
                stream,
                role,
                # Several recipients without a cc don't see each other.
                (None, None) if role is Role.TO and not visible_cc else (visible_to, visible_cc or None),
            )
            for role, address in everybody
        ]

    def message(self, draft: MessageDraft, to: Recipient, rendered: Rendered) -> NewMessage:
        """A new message for one recipient of an accepted request."""
        send, request, manifest, settings = draft.send, draft.request, draft.template.manifest, self.settings
        policy = manifest.delivery
        send_at = max(send.created_at, request.send_at or send.created_at)
        expires_after = timedelta(seconds=policy.expires_after_s) if policy.expires_after_s else DEFAULT_EXPIRY
        content = _Content(
            stream=manifest.stream,
            priority=policy.priority,
            from_header=rendered.from_header or addresses.header(settings.smtp_from_name, settings.smtp_from_email),
            reply_to=request.reply_to or rendered.reply_to or settings.smtp_reply_to,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            locale=rendered.locale,
            attempts_max=policy.attempts or settings.smtp_retry_max_attempts,
            source_endpoint=draft.source,
            variables=draft.message_request.variables,
            metadata=request.metadata,
            attachments=draft.attachments,
            sla_s=policy.sla_s,
        )
        return self._build(send, to, content, send_at, expires_after)

    def resend(self, old: Message, send: Send, body: Body, attachments: Sequence[Attachment]) -> NewMessage:
        """A new message, due now, with the content, recipient and delivery policy of a stored one."""
        visible = (old.visible_to, old.visible_cc)
        to = self._recipient(old.recipient, old.recipient_hash, old.stream, old.role, visible)
        content = _Content(
            stream=old.stream,
            priority=old.priority,
            from_header=old.from_header,
            reply_to=old.reply_to,
            subject=old.subject,
            html=body.html,
            text=body.text,
            locale=old.locale,
            attempts_max=old.attempts_max,
            source_endpoint=old.source_endpoint,
            variables={},
            metadata=old.metadata,
            attachments=attachments,
            sla_s=old.sla_s,
            resend_of=old.id,
        )
        return self._build(send, to, content, send.created_at, old.expires_at - max(old.created_at, old.date_at))

    def _recipient(
        self,
        spelling: str,
        recipient_hash: str,
        stream: Stream,
        role: Role,
        visible: tuple[str | None, str | None],
    ) -> Recipient:
        message_id = str(uuid_utils.uuid7())
        unsubscribe_url = None
        if stream is Stream.MARKETING:
            unsubscription = Unsubscription(recipient_hash, message_id)
            unsubscribe_url = unsubscribe_token.url(
                self.settings.email_public_url, unsubscription, key=self.keys.unsubscribe.newest
            )
        return Recipient(spelling, message_id, recipient_hash, unsubscribe_url, role, visible)

    def _build(
        self, send: Send, to: Recipient, content: "_Content", send_at: datetime, expires_after: timedelta
    ) -> NewMessage:
        return NewMessage(
            id=to.message_id,
            send_id=send.id,
            template_key=send.template_key,
            template_version=send.template_version,
            template_revision=send.template_revision,
            stream=content.stream,
            priority=content.priority,
            recipient=to.spelling,
            recipient_hash=to.recipient_hash,
            envelope_from=self.settings.envelope_from(to.message_id, key=self.keys.return_path.newest),
            from_header=content.from_header,
            reply_to=content.reply_to,
            subject=content.subject,
            html=content.html,
            text=content.text,
            locale=content.locale,
            status=Status.QUEUED,
            created_at=send.created_at,
            next_attempt_at=send_at,
            expires_at=send_at + expires_after,
            attempts_max=content.attempts_max,
            rfc_message_id=f"{to.message_id}@{self.domain}",
            date_at=send_at.replace(microsecond=0),
            source_endpoint=content.source_endpoint,
            variables=content.variables,
            metadata=content.metadata,
            attachments=content.attachments,
            sla_s=content.sla_s,
            is_test=send.is_test,
            template_ref=send.template_ref,
            resend_of=content.resend_of,
            unsubscribe_url=to.unsubscribe_url,
            role=to.role,
            visible_to=to.visible[0],
            visible_cc=to.visible[1],
        )


class _Content(NamedTuple):
    """What a message says, and its template's delivery policy: all that a resend takes over. Cheap to build."""

    stream: Stream
    priority: Priority
    from_header: str
    reply_to: str | None
    subject: str
    html: str
    text: str
    locale: str
    attempts_max: int
    source_endpoint: str
    variables: Mapping[str, Any]
    metadata: Mapping[str, Any]
    attachments: Sequence[Attachment]
    sla_s: int | None
    resend_of: str | None = None


def has_unsubscribe_link(template: Template) -> bool:
    """Whether each message of this template is rendered for itself, because the unsubscribe link in it differs."""
    is_declared = UNSUBSCRIBE_VARIABLE in template.manifest.schema.get("properties", {})
    return is_declared and template.manifest.stream is Stream.MARKETING
