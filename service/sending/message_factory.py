"""One recipient's copy of a letter: what names it, and everything that its row says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import uuid_utils

from service.config.settings import Settings
from service.mail import addresses, unsubscribe_token
from service.mail.addresses import Address
from service.mail.unsubscribe_token import Unsubscription
from service.models import Attachment, NewMessage, Rendered, Send, Status, Stream
from service.models.requests import AnySendRequest, MessageRequest
from service.templates.template import Template

#: How long a mail may wait where its template says nothing.
DEFAULT_EXPIRY = timedelta(hours=24)
#: A variable that marketing may declare, and whose value is ours: the link that ends it for this recipient.
UNSUBSCRIBE_VARIABLE = "unsubscribe_url"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient, and what names the copy that goes there. `unsubscribe_url` goes with marketing alone."""

    address: Address
    message_id: str
    recipient_hash: str
    unsubscribe_url: str | None


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """What the copies of one letter share; `source` is which part of the caller asked."""

    send: Send
    template: Template
    order: AnySendRequest
    letter: MessageRequest
    attachments: Sequence[Attachment]
    source: str


@dataclass(frozen=True, slots=True)
class MessageFactory:
    """Makes copies. `domain` stands in each Message-ID; `pseudonym_key` turns addresses into pseudonyms, and signs."""

    settings: Settings
    pseudonym_key: bytes
    domain: str

    def recipient(self, template: Template, recipient: Address) -> Recipient:
        """A new copy's names."""
        message_id = str(uuid_utils.uuid7())
        recipient_hash = addresses.pseudonym(recipient.normalised, key=self.pseudonym_key)
        link = None
        if template.manifest.stream is Stream.MARKETING:
            who = Unsubscription(recipient_hash, message_id)
            link = unsubscribe_token.url(self.settings.email_public_url, who, key=self.pseudonym_key)
        return Recipient(recipient, message_id, recipient_hash, link)

    def message(self, draft: MessageDraft, to: Recipient, rendered: Rendered) -> NewMessage:
        """The row, as it waits to be sent."""
        send, template, order = draft.send, draft.template, draft.order
        policy, settings = template.manifest.delivery, self.settings
        send_at = max(send.created_at, order.send_at or send.created_at)
        expires_after = timedelta(seconds=policy.expires_after_s) if policy.expires_after_s else DEFAULT_EXPIRY
        return NewMessage(
            id=to.message_id,
            send_id=send.id,
            template_key=template.key,
            template_version=template.manifest.version,
            template_revision=template.revision,
            stream=template.manifest.stream,
            priority=policy.priority,
            recipient=to.address.spelling,
            recipient_hash=to.recipient_hash,
            envelope_from=settings.envelope_from(to.message_id, key=self.pseudonym_key),
            from_header=rendered.from_header or addresses.header(settings.smtp_from_name, settings.smtp_from_email),
            reply_to=order.reply_to or rendered.reply_to or settings.smtp_reply_to,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            locale=rendered.locale,
            status=Status.QUEUED,
            created_at=send.created_at,
            next_attempt_at=send_at,
            expires_at=send_at + expires_after,
            attempts_max=policy.attempts or settings.smtp_retry_max_attempts,
            rfc_message_id=f"{to.message_id}@{self.domain}",
            date_at=send_at.replace(microsecond=0),
            source_endpoint=draft.source,
            variables=draft.letter.variables,
            metadata=order.metadata,
            attachments=draft.attachments,
            sla_s=policy.sla_s,
            is_test=send.is_test,
            unsubscribe_url=to.unsubscribe_url,
        )


def has_unsubscribe_link(template: Template) -> bool:
    """Whether each copy of this template has a text of its own, since the link in it differs."""
    is_declared = UNSUBSCRIBE_VARIABLE in template.manifest.schema.get("properties", {})
    return is_declared and template.manifest.stream is Stream.MARKETING
