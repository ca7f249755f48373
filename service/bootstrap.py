"""The composition root: the only place that constructs. API, worker, command line and tests come in here."""

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from service.auth.api_keys import Access
from service.auth.sessions import SignIn, signing_key
from service.config import secrets as outside
from service.config.file_lock import Turns
from service.config.settings import Settings
from service.delivery import queue
from service.delivery.context import boot_clock
from service.delivery.deliverer import Deliverer
from service.delivery.dev_mailbox import Mailbox
from service.delivery.outcome import Transport
from service.delivery.queue import Huey
from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.errors import NotFound
from service.feedback.apply import Consequences, SoftBounces
from service.feedback.imap import Inbox
from service.feedback.imap_poller import Collector
from service.feedback.record import Recorder
from service.feedback.webhook import Receiver
from service.mail import addresses
from service.messages.cancel import Canceller
from service.messages.resend import Resender
from service.messages.search import Auditor
from service.messages.search_indexer import Indexer
from service.models import Scope
from service.monitoring.metrics import Metrics
from service.monitoring.overview import Standing
from service.monitoring.prometheus import Observer
from service.monitoring.readiness import Readiness
from service.monitoring.template_stats import Figures
from service.recipients.data_requests import Persons
from service.recipients.retention import Purger
from service.recipients.suppressions import Suppressor
from service.recipients.unsubscribe import Unsubscriber
from service.sending.acceptor import Acceptor
from service.sending.group_commit import Intake
from service.sending.rendering import Drafter
from service.store.database import Database, open_database
from service.store.migrations import migrate
from service.templates.authoring.draft import Drafts
from service.templates.authoring.history import Commits
from service.templates.authoring.publish_plan import Planner
from service.templates.authoring.publisher import Publisher
from service.templates.catalogue import Catalogue
from service.templates.descriptions import Browser
from service.templates.preview import Previewer
from service.templates.revisions import Revisions
from service.templates.runtime.sandbox import Budget
from service.templates.source.authors import Authors

#: The mailbox is for development: what is older than this many mails goes.
MAILBOX_KEEPS = 1_000

_log = structlog.get_logger("services")


@dataclass(frozen=True, slots=True)
class Workbench:
    """What shows templates, and needs neither database nor queue: all there is behind `rgz-email preview`."""

    settings: Settings
    catalogue: Catalogue
    previewer: Previewer
    sign_in: SignIn
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Services(Workbench):
    """Everything that runs, built once and handed down."""

    database: Database
    queue: Huey
    transport: Transport
    mailbox: Mailbox | None
    access: Access
    indexer: Indexer
    intake: Intake
    acceptor: Acceptor
    deliverer: Deliverer
    drafts: Drafts
    figures: Figures
    auditor: Auditor
    browser: Browser
    canceller: Canceller
    commits: Commits
    persons: Persons
    planner: Planner
    publisher: Publisher
    metrics: Metrics
    observer: Observer
    purger: Purger
    readiness: Readiness
    recorder: Recorder
    receiver: Receiver
    collector: Collector | None
    resender: Resender
    suppressor: Suppressor
    unsubscriber: Unsubscriber
    standing: Standing
    migrations: Sequence[str]

    def inbox(self) -> Mailbox:
        """The development mailbox. Raises NotFound where mail goes to a real server."""
        if self.mailbox is None:
            raise NotFound("Mail goes to a real server here; there is no mailbox.")
        return self.mailbox

    def close(self) -> None:
        """Let go of connections, threads and files. Safe to call once everything that uses them has ended."""
        self.intake.close()
        self.figures.close()
        self.transport.close()
        if self.mailbox is not None:
            self.mailbox.stop()
        queue.close_queue(self.queue)
        self.database.close()


def build(
    settings: Settings,
    *,
    transport: Transport | None = None,
    clock: Callable[[], datetime] | None = None,
    boot: Callable[[], float] = boot_clock,
    delivers: bool = True,
    mailbox_port: int = 0,
) -> Services:
    """Build all services; `transport` and both clocks (`boot` is in seconds) may be handed in.

    The database is migrated. A process that `delivers` without SMTP_HOST and without a `transport` of its own
    starts the development mailbox on `mailbox_port` (0: a free one).

    Raises ConfigurationError where a directory, database or queue of the settings can't be used.
    """
    now = clock or (lambda: datetime.now(UTC))
    data = outside.data_directory(settings)
    line = outside.sns_line(settings)
    database = open_database(settings.database_url or f"sqlite:///{data / 'rgz-email.db'}")
    migrations = migrate(database)
    huey = queue.open_queue(settings.queue_url or f"sqlite:///{data / 'queue.db'}")
    catalogue = Catalogue(settings.email_templates_dir, budget=budget(settings), cache_dir=data / "compiled")
    catalogue.load()
    authors = Authors(settings.email_templates_dir)
    revisions = Revisions(authors)
    mailbox = None
    if transport is None:
        if settings.smtp_host is None and delivers:
            mailbox = Mailbox(max_messages=MAILBOX_KEEPS)
        server = _mailbox_server(settings, mailbox, mailbox_port) if mailbox else outside.smtp_server(settings)
        transport = SmtpTransport(server)
    secret_key = outside.secret(settings.email_secret_key, data / "secret-key")
    pseudonym_key = secret_key.encode()
    admin_token = outside.secret(settings.email_admin_token, data / "admin-token")
    access = Access(database, admin_token, frozenset(Scope(scope) for scope in settings.email_anonymous_scopes))

    def ring() -> None:
        try:
            queue.ring(huey)
        except Exception as error:
            # The rows are the truth: a worker looks for them every second, with or without a ring.
            _log.warning("ring_failed", exc_info=error)

    domain = addresses.parse(settings.smtp_from_email).domain
    metrics = Metrics()
    intake = Intake(database, settings, ring, metrics)
    soft_bounces = SoftBounces(settings.email_soft_bounce_limit, settings.email_soft_bounce_days)
    consequences = Consequences(now, pseudonym_key, soft_bounces)
    recorder = Recorder(database, consequences, now, metrics)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    return Services(
        settings=settings,
        database=database,
        queue=huey,
        catalogue=catalogue,
        transport=transport,
        mailbox=mailbox,
        access=access,
        indexer=Indexer(database, now),
        intake=intake,
        acceptor=Acceptor(
            database,
            Drafter(database, catalogue, settings, budget(settings), pseudonym_key, now, domain, revisions=revisions),
            intake,
        ),
        deliverer=Deliverer(
            database,
            transport,
            now,
            owner,
            consequences,
            metrics,
            connections_max=settings.smtp_max_connections,
            per_second_max=settings.smtp_max_per_second,
            boot=boot,
        ),
        auditor=Auditor(database, pseudonym_key, now),
        drafts=Drafts(catalogue, budget(settings)),
        figures=Figures(database, now),
        browser=Browser(catalogue, database, budget(settings), authors),
        canceller=Canceller(database, now),
        commits=Commits(settings.email_templates_dir, budget(settings)),
        persons=Persons(database, pseudonym_key, now),
        previewer=Previewer(catalogue, settings),
        planner=Planner(settings.email_templates_dir, catalogue, budget(settings)),
        publisher=Publisher(
            settings.email_templates_dir,
            catalogue,
            database,
            budget(settings),
            revisions,
            Turns(data / "publish.lock"),
            domain,
            now,
        ),
        metrics=metrics,
        observer=Observer(metrics, database, catalogue, transport, data / "metrics", now),
        purger=Purger(database, settings, now),
        readiness=Readiness(database, catalogue, transport, now),
        recorder=recorder,
        collector=_collector(settings, database, recorder, pseudonym_key, now),
        resender=Resender(database, intake, now, settings, pseudonym_key),
        receiver=Receiver(settings.email_sns_topic_arns, line, recorder.record_all, recorder.knows, now),
        suppressor=Suppressor(database, pseudonym_key, now),
        unsubscriber=Unsubscriber(database, pseudonym_key, now),
        sign_in=SignIn(access.find, access.holder, signing_key(secret_key, admin_token), now),
        standing=Standing(database, catalogue, transport, now),
        clock=now,
        migrations=migrations,
    )


def build_previewer(settings: Settings) -> Previewer:
    """What renders templates without a database, a queue or a data directory."""
    return build_workbench(settings).previewer


def build_workbench(settings: Settings) -> Workbench:
    """What shows templates without a database, a queue or a data directory. Nobody can sign in."""

    def now() -> datetime:
        return datetime.now(UTC)

    catalogue = Catalogue(settings.email_templates_dir, budget=budget(settings))
    catalogue.load()
    return Workbench(
        settings=settings,
        catalogue=catalogue,
        previewer=Previewer(catalogue, settings),
        sign_in=SignIn(lambda _: None, lambda _: None, secrets.token_bytes(32), now),
        clock=now,
    )


def budget(settings: Settings) -> Budget:
    """What a rendering may cost."""
    return Budget(
        max_output_bytes=settings.email_template_max_output_bytes,
        max_steps=settings.email_template_max_steps,
        max_variables_bytes=settings.email_max_variables_bytes,
    )


def _collector(
    settings: Settings, database: Database, recorder: Recorder, signing_key: bytes, clock: Callable[[], datetime]
) -> Collector | None:
    place = outside.inbox_place(settings)
    if place is None:
        return None
    return Collector(Inbox(place), database, recorder.record, signing_key, clock, deletes=settings.email_inbox_delete)


def _mailbox_server(settings: Settings, mailbox: Mailbox, port: int) -> Server:
    port = mailbox.start("127.0.0.1", port)
    return Server(host="127.0.0.1", port=port, tls_mode="none", timeout_s=settings.smtp_timeout_seconds)
