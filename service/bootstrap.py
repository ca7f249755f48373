"""The composition root: the only place that constructs. API, worker, command line and tests come in here."""

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from service.auth.api_keys import ApiKeys
from service.auth.sessions import Sessions, signing_key
from service.config.file_lock import FileLock
from service.config.secrets import data_directory, secret
from service.config.settings import Settings
from service.delivery import queue
from service.delivery.context import WorkerContext, boottime_s
from service.delivery.deliverer import Deliverer
from service.delivery.dev_mailbox import DevMailbox
from service.delivery.outcome import Transport
from service.delivery.queue import Huey
from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.delivery.throttle import Throttle
from service.errors import NotFound
from service.feedback.apply import FeedbackApplier, SoftBounces
from service.feedback.imap import ImapAccount, ImapMailbox
from service.feedback.imap_poller import ImapPoller
from service.feedback.record import FeedbackRecorder
from service.feedback.sns.client import SnsClient
from service.feedback.webhook import WebhookReceiver
from service.mail import addresses
from service.messages.cancel import Canceller
from service.messages.resend import Resender
from service.messages.search import MessageSearch
from service.messages.search_indexer import SearchIndexer
from service.models import Scope
from service.monitoring.metrics import Metrics
from service.monitoring.overview import Overview
from service.monitoring.prometheus import MetricsExporter
from service.monitoring.readiness import Readiness
from service.monitoring.template_stats import TemplateStats
from service.recipients.data_requests import DataRequests
from service.recipients.retention import RetentionPurge
from service.recipients.suppressions import SuppressionList
from service.recipients.unsubscribe import Unsubscriber
from service.sending.acceptor import Acceptor
from service.sending.group_commit import MAX_WAITING, GroupCommit
from service.sending.message_factory import MessageFactory
from service.sending.rendering import SendRenderer
from service.store.database import Database, open_database
from service.store.migrations import migrate
from service.templates.authoring.draft import TemplateDrafts
from service.templates.authoring.history import TemplateHistory
from service.templates.authoring.publish_plan import PublishPlanner
from service.templates.authoring.publisher import Publisher
from service.templates.catalogue import Catalogue
from service.templates.descriptions import TemplateDescriber
from service.templates.preview import Previewer
from service.templates.revisions import Revisions
from service.templates.runtime.sandbox import RenderLimits
from service.templates.source.authors import Authors

#: The mailbox is for development: what is older than this many mails goes.
MAILBOX_KEEPS = 1_000

_log = structlog.get_logger("services")


@dataclass(frozen=True, slots=True)
class PreviewServices:
    """What shows templates, and needs neither database nor queue: all there is behind `rgz-email preview`."""

    settings: Settings
    catalogue: Catalogue
    previewer: Previewer
    sessions: Sessions
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Services(PreviewServices):
    """Everything that runs, built once and handed down."""

    database: Database
    queue: Huey
    transport: Transport
    mailbox: DevMailbox | None
    api_keys: ApiKeys
    search_indexer: SearchIndexer
    group_commit: GroupCommit
    acceptor: Acceptor
    deliverer: Deliverer
    drafts: TemplateDrafts
    template_stats: TemplateStats
    message_search: MessageSearch
    template_describer: TemplateDescriber
    canceller: Canceller
    template_history: TemplateHistory
    data_requests: DataRequests
    publish_planner: PublishPlanner
    publisher: Publisher
    metrics: Metrics
    metrics_exporter: MetricsExporter
    retention_purge: RetentionPurge
    readiness: Readiness
    feedback_recorder: FeedbackRecorder
    webhook_receiver: WebhookReceiver
    imap_poller: ImapPoller | None
    resender: Resender
    suppressions: SuppressionList
    unsubscriber: Unsubscriber
    overview: Overview
    migrations: Sequence[str]

    def require_mailbox(self) -> DevMailbox:
        """The development mailbox. Raises NotFound where mail goes to a real server."""
        if self.mailbox is None:
            raise NotFound("Mail goes to a real server here; there is no mailbox.")
        return self.mailbox

    def close(self) -> None:
        """Let go of connections, threads and files. Safe to call once everything that uses them has ended."""
        self.group_commit.close()
        self.webhook_receiver.close()
        self.template_stats.close()
        self.transport.close()
        if self.mailbox is not None:
            self.mailbox.stop()
        queue.close_queue(self.queue)
        self.database.close()


def build(
    settings: Settings,
    *,
    database: Database | None = None,
    transport: Transport | None = None,
    clock: Callable[[], datetime] | None = None,
    boottime: Callable[[], float] = boottime_s,
    delivers: bool = True,
    mailbox_port: int = 0,
    max_waiting: int = MAX_WAITING,
) -> Services:
    """Build all services; `database`, `transport` and both clocks (`boottime` is in seconds) may be handed in.

    The database is migrated. A process that `delivers` without SMTP_HOST and without a `transport` of its own
    starts the development mailbox on `mailbox_port` (0: a free one).

    Raises ConfigurationError where a directory, database or queue of the settings can't be used.
    """
    now = clock or (lambda: datetime.now(UTC))
    data = data_directory(settings)
    sns_client = SnsClient.from_settings(settings)
    database = database or open_database(settings.database_url or f"sqlite:///{data / 'rgz-email.db'}")
    migrations = migrate(database)
    huey = queue.open_queue(settings.queue_url or f"sqlite:///{data / 'queue.db'}")
    catalogue = Catalogue(settings.email_templates_dir, limits=render_limits(settings), cache_dir=data / "compiled")
    catalogue.load()
    authors = Authors(settings.email_templates_dir)
    revisions = Revisions(authors)
    mailbox = None
    if transport is None:
        if settings.smtp_host is None and delivers:
            mailbox = DevMailbox(max_messages=MAILBOX_KEEPS)
        server = _mailbox_server(settings, mailbox, mailbox_port) if mailbox else Server.from_settings(settings)
        transport = SmtpTransport(server)
    secret_key = secret(settings.email_secret_key, data / "secret-key")
    pseudonym_key = secret_key.encode()
    admin_token = secret(settings.email_admin_token, data / "admin-token")
    access = ApiKeys(database, admin_token, frozenset(Scope(scope) for scope in settings.email_anonymous_scopes))

    def notify_workers() -> None:
        try:
            queue.notify(huey)
        except Exception as error:
            # Not needed for delivery: workers look for due messages every second, notified or not.
            _log.warning("notify_failed", exc_info=error)

    domain = addresses.parse(settings.smtp_from_email).domain
    message_factory = MessageFactory(settings, pseudonym_key, domain)
    metrics = Metrics()
    group_commit = GroupCommit(database, settings, notify_workers, metrics, max_waiting=max_waiting)
    soft_bounces = SoftBounces(settings.email_soft_bounce_limit, settings.email_soft_bounce_days)
    consequences = FeedbackApplier(now, pseudonym_key, soft_bounces)
    recorder = FeedbackRecorder(database, consequences, now, metrics)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    return Services(
        settings=settings,
        database=database,
        queue=huey,
        catalogue=catalogue,
        transport=transport,
        mailbox=mailbox,
        api_keys=access,
        search_indexer=SearchIndexer(database, now),
        group_commit=group_commit,
        acceptor=Acceptor(
            database,
            SendRenderer(
                database, catalogue, settings, render_limits(settings), message_factory, now, revisions=revisions
            ),
            group_commit,
        ),
        deliverer=Deliverer(
            WorkerContext(
                database=database,
                transport=transport,
                clock=now,
                owner=owner,
                feedback=consequences,
                metrics=metrics,
                throttle=Throttle(
                    connections_max=settings.smtp_max_connections, per_second_max=settings.smtp_max_per_second
                ),
                boottime=boottime,
            )
        ),
        message_search=MessageSearch(database, pseudonym_key, now),
        drafts=TemplateDrafts(catalogue, render_limits(settings)),
        template_stats=TemplateStats(database, now),
        template_describer=TemplateDescriber(catalogue, database, render_limits(settings), authors),
        canceller=Canceller(database, now),
        template_history=TemplateHistory(settings.email_templates_dir, render_limits(settings)),
        data_requests=DataRequests(database, pseudonym_key, now),
        previewer=Previewer(catalogue, settings),
        publish_planner=PublishPlanner(settings.email_templates_dir, catalogue, render_limits(settings)),
        publisher=Publisher(
            settings.email_templates_dir,
            catalogue,
            database,
            render_limits(settings),
            revisions,
            FileLock(data / "publish.lock"),
            domain,
            now,
        ),
        metrics=metrics,
        metrics_exporter=MetricsExporter(metrics, database, catalogue, transport.paused_for_s, data / "metrics", now),
        retention_purge=RetentionPurge(database, settings, now),
        readiness=Readiness(database, catalogue, transport.paused_for_s, now),
        feedback_recorder=recorder,
        imap_poller=_collector(settings, database, recorder, pseudonym_key, now),
        resender=Resender(database, group_commit, message_factory, now),
        webhook_receiver=WebhookReceiver(
            settings.email_sns_topic_arns, sns_client, recorder.record_all, recorder.exists, now
        ),
        suppressions=SuppressionList(database, pseudonym_key, now),
        unsubscriber=Unsubscriber(database, pseudonym_key, now),
        sessions=Sessions(access.find, access.holder, signing_key(secret_key, admin_token), now),
        overview=Overview(database, catalogue, transport.paused_for_s, now),
        clock=now,
        migrations=migrations,
    )


def build_previewer(settings: Settings) -> Previewer:
    """What renders templates without a database, a queue or a data directory."""
    return build_preview_services(settings).previewer


def build_preview_services(settings: Settings) -> PreviewServices:
    """What shows templates without a database, a queue or a data directory. Nobody can sign in."""

    def now() -> datetime:
        return datetime.now(UTC)

    catalogue = Catalogue(settings.email_templates_dir, limits=render_limits(settings))
    catalogue.load()
    return PreviewServices(
        settings=settings,
        catalogue=catalogue,
        previewer=Previewer(catalogue, settings),
        sessions=Sessions(lambda _: None, lambda _: None, secrets.token_bytes(32), now),
        clock=now,
    )


def render_limits(settings: Settings) -> RenderLimits:
    """What a rendering may cost."""
    return RenderLimits(
        max_output_bytes=settings.email_template_max_output_bytes,
        max_steps=settings.email_template_max_steps,
        max_variables_bytes=settings.email_max_variables_bytes,
    )


def _collector(
    settings: Settings,
    database: Database,
    recorder: FeedbackRecorder,
    signing_key: bytes,
    clock: Callable[[], datetime],
) -> ImapPoller | None:
    account = ImapAccount.from_settings(settings)
    if account is None:
        return None
    return ImapPoller(
        ImapMailbox(account), database, recorder.record, signing_key, clock, deletes=settings.email_inbox_delete
    )


def _mailbox_server(settings: Settings, mailbox: DevMailbox, port: int) -> Server:
    port = mailbox.start("127.0.0.1", port)
    return Server(host="127.0.0.1", port=port, tls_mode="none", timeout_s=settings.smtp_timeout_seconds)
