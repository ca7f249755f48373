"""VERB: a stored message -> a new one with the same content."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import uuid_utils

from service.config.settings import Settings
from service.errors import Gone, NotFound
from service.mail import unsubscribe_token
from service.mail.unsubscribe_token import Unsubscription
from service.models import Caller, NewMessage, Send, Status, Stream
from service.sending.group_commit import GroupCommit
from service.sending.prepared_send import PreparedSend, RenderedMessage
from service.store import attachments, message_queries, revisions
from service.store.database import Database


@dataclass(frozen=True, slots=True)
class Resender:
    """Sends again what was sent before."""

    database: Database
    intake: GroupCommit
    clock: Callable[[], datetime]
    settings: Settings
    signing_key: bytes

    def resend(self, message_id: str, caller: Caller) -> NewMessage:
        """A new message with the same subject, bodies and attachments, which names the old one.

        Its Message-ID and Date are its own; suppressions and limits hold as for any mail.
        Raises NotFound, Gone for an anonymised message, StoreBusy.
        """
        now = self.clock()
        old = message_queries.get(self.database, message_id, now=now)
        if old is None:
            raise NotFound("There is no such message.")
        body = message_queries.body(self.database, message_id)
        revision = revisions.revision(self.database, old.template_revision)
        if old.anonymised_at is not None or body is None or revision is None:
            raise Gone("This message has been anonymised; there is nothing left to send again.")
        infos = attachments.infos(self.database, message_id)
        files = [attachments.get(self.database, message_id, info.n) for info in infos]
        send = Send(
            id=str(uuid_utils.uuid7()),
            caller_id=caller.id,
            caller_name=caller.name,
            template_key=old.template_key,
            template_version=old.template_version,
            template_revision=old.template_revision,
            created_at=now,
            is_test=old.is_test,
        )
        new_id = str(uuid_utils.uuid7())
        unsubscribe_url = None
        if old.stream is Stream.MARKETING:
            who = Unsubscription(old.recipient_hash, new_id)
            unsubscribe_url = unsubscribe_token.url(self.settings.email_public_url, who, key=self.signing_key)
        copy = NewMessage(
            id=new_id,
            send_id=send.id,
            template_key=old.template_key,
            template_version=old.template_version,
            template_revision=old.template_revision,
            stream=old.stream,
            priority=old.priority,
            recipient=old.recipient,
            recipient_hash=old.recipient_hash,
            envelope_from=self.settings.envelope_from(new_id, key=self.signing_key),
            from_header=old.from_header,
            reply_to=old.reply_to,
            subject=old.subject,
            html=body.html,
            text=body.text,
            locale=old.locale,
            status=Status.QUEUED,
            created_at=now,
            next_attempt_at=now,
            expires_at=now + (old.expires_at - max(old.created_at, old.date_at)),
            attempts_max=old.attempts_max,
            rfc_message_id=f"{new_id}@{old.rfc_message_id.partition('@')[2]}",
            date_at=now.replace(microsecond=0),
            source_endpoint=old.source_endpoint,
            metadata=old.metadata,
            attachments=[file for file in files if file is not None],
            sla_s=old.sla_s,
            is_test=old.is_test,
            resend_of=old.id,
            unsubscribe_url=unsubscribe_url,
        )
        [stored] = self.intake.submit(PreparedSend(send, [RenderedMessage.of([copy])], revision))
        return stored
