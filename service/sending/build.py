"""Build what accepts sends."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.config.settings import Settings
from service.mail import addresses
from service.mail.keys import MailKeys
from service.monitoring.template_refusals import TemplateRefusals
from service.sending.acceptor import Acceptor
from service.sending.group_commit import GroupCommit
from service.sending.message_factory import MessageFactory
from service.sending.rendering import SendRenderer
from service.sending.template_choice import TemplateChooser
from service.store.database import Database
from service.templates.build import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What accepts sends, and what writes them."""

    message_factory: MessageFactory
    group_commit: GroupCommit
    acceptor: Acceptor


def build_sending(
    settings: Settings,
    database: Database,
    templates: Templates,
    group_commit: GroupCommit,
    clock: Callable[[], datetime],
    *,
    keys: MailKeys,
    refusals: TemplateRefusals,
) -> Sending:
    """Build around the group commit, which writes every send."""
    factory = MessageFactory(settings, keys, addresses.parse(settings.smtp_from_email).domain)
    chooser = TemplateChooser(
        database,
        templates.catalogue,
        templates.archived_templates,
        templates.proposed_templates,
        settings.recipient_rule,
        clock,
    )
    renderer = SendRenderer(database, chooser, settings, factory, clock, refusals, revisions=templates.revisions)
    return Sending(
        message_factory=factory, group_commit=group_commit, acceptor=Acceptor(database, renderer, group_commit)
    )
