"""Resend: a new message with the content of a stored one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import uuid_utils

from service.errors import Gone, NotFound
from service.models import Caller, NewMessage, Send
from service.sending.group_commit import GroupCommit
from service.sending.message_factory import MessageFactory
from service.sending.prepared_send import PreparedSend, RenderedMessage
from service.store import attachments, message_queries, revisions
from service.store.database import Database


@dataclass(frozen=True, slots=True)
class Resender:
    """Resends stored messages."""

    database: Database
    group_commit: GroupCommit
    messages: MessageFactory
    clock: Callable[[], datetime]

    def resend(self, message_id: str, caller: Caller) -> NewMessage:
        """Store a new message with the same subject, bodies and attachments; its `resend_of` names the old one.

        Template, deployment and commit are those of the old one, which rendered the content.

        Its Message-ID and Date are its own; suppressions and rate limits apply as to any message.
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
        origin = message_queries.origin(self.database, old.send_id)
        send = Send(
            id=str(uuid_utils.uuid7()),
            caller_id=caller.id,
            caller_name=caller.name,
            template_key=old.template_key,
            template_version=old.template_version,
            template_revision=old.template_revision,
            created_at=now,
            is_test=old.is_test,
            template_ref=old.template_ref,
            deployment_id=origin.deployment_id,
            git_commit=origin.commit,
        )
        new = self.messages.resend(old, send, body, [file for file in files if file is not None])
        [stored] = self.group_commit.submit(PreparedSend(send, [RenderedMessage.of([new])], revision))
        return stored
