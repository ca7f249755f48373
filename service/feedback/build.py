"""Build what takes in feedback."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.config.settings import Settings
from service.feedback.apply import FeedbackApplier, SoftBounces
from service.feedback.bounce.isolated_reader import isolated_reader
from service.feedback.imap import ImapAccount, ImapMailbox
from service.feedback.imap_poller import ImapPoller
from service.feedback.record import FeedbackRecorder
from service.feedback.sns.client import SnsClient
from service.feedback.sns.known_certificates import KnownCertificates
from service.feedback.webhook import WebhookReceiver
from service.isolation.child_processes import ChildProcesses
from service.mail.keys import MailKeys
from service.monitoring.metrics import Metrics
from service.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What takes in feedback and applies it; `imap_poller` is None where no bounce mailbox is set."""

    feedback_applier: FeedbackApplier
    feedback_recorder: FeedbackRecorder
    webhook_receiver: WebhookReceiver
    imap_poller: ImapPoller | None


def build_feedback(
    settings: Settings,
    database: Database,
    metrics: Metrics,
    children: ChildProcesses,
    clock: Callable[[], datetime],
    *,
    keys: MailKeys,
) -> Feedback:
    """Build. Raises ConfigurationError where EMAIL_SNS_CERT_CA_FILE can't be read."""
    soft_bounces = SoftBounces(settings.email_soft_bounce_limit, settings.email_soft_bounce_days)
    applier = FeedbackApplier(clock, keys.pseudonym, soft_bounces)
    recorder = FeedbackRecorder(database, applier, clock, metrics)
    account = ImapAccount.from_settings(settings)
    poller = None
    if account is not None:
        poller = ImapPoller(
            ImapMailbox(account),
            database,
            recorder.record,
            isolated_reader(children),
            keys.return_path.accepted,
            clock,
            deletes=settings.email_inbox_delete,
        )
    return Feedback(
        feedback_applier=applier,
        feedback_recorder=recorder,
        webhook_receiver=WebhookReceiver(
            settings.email_sns_topic_arns,
            SnsClient.from_settings(settings),
            recorder.record_all,
            recorder.exists,
            clock,
            KnownCertificates(database, clock),
        ),
        imap_poller=poller,
    )
