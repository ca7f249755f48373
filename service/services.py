"""The composition root: the only place that constructs. API, worker, command line and tests come in here."""

import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydantic import SecretStr

from service import addresses
from service.accept import Acceptor, Drafter
from service.access import Access
from service.audit import Auditor
from service.browse import Browser
from service.cancel import Canceller
from service.collect import Collector
from service.commits import Commits
from service.consequence import Consequences, SoftBounces
from service.deliver import Deliverer, boot_clock
from service.delivery import queue
from service.delivery.mailbox import Mailbox
from service.delivery.outcome import Transport
from service.delivery.queue import Huey
from service.delivery.smtp import Server, SmtpTransport
from service.draft import Drafts
from service.enqueue import Intake
from service.errors import ConfigurationError, NotFound
from service.feedback.inbox import Inbox, InboxPlace
from service.feedback.sns_line import SnsLine
from service.figures import Figures
from service.index import Indexer
from service.metrics import Metrics
from service.models import Scope
from service.observe import Observer
from service.person import Persons
from service.preview import Previewer
from service.publish import Planner, Publisher
from service.purge import Purger
from service.readiness import Readiness
from service.receive import Receiver
from service.record import Recorder
from service.resend import Resender
from service.revisions import Revisions
from service.settings import Settings
from service.signin import SignIn, signing_key
from service.standing import Standing
from service.store.database import Database, open_database
from service.store.migrations import migrate
from service.suppress import Suppressor
from service.templates.authors import Authors
from service.templates.catalogue import Catalogue
from service.templates.sandbox import Budget
from service.turns import Turns
from service.unsubscribe import Unsubscriber

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
    data = _data_directory(settings)
    line = _sns_line(settings)
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
        transport = SmtpTransport(_server(settings, mailbox, mailbox_port))
    secret_key = secret(settings.email_secret_key, data / "secret-key")
    pseudonym_key = secret_key.encode()
    admin_token = secret(settings.email_admin_token, data / "admin-token")
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


def secret(given: SecretStr | None, file: Path) -> str:
    """The secret of the settings, or what this file holds; made at the first start, readable by us alone.

    Several processes may start at once: the file appears whole, and the first one wins.
    """
    if given is not None:
        return given.get_secret_value()
    if not file.exists():
        descriptor, draft = tempfile.mkstemp(dir=file.parent)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, file)
        Path(draft).unlink()
    return file.read_text().strip()


def _data_directory(settings: Settings) -> Path:
    try:
        settings.email_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = f"EMAIL_DATA_DIR: {settings.email_data_dir} can't be made ({error.strerror}); name a directory of yours"
        raise ConfigurationError([hint]) from error
    return settings.email_data_dir.resolve()


def _sns_line(settings: Settings) -> SnsLine:
    """Raises ConfigurationError where the additional authority can't be read."""
    line = SnsLine(settings.email_sns_cert_ca_file, settings.sns_address)
    if line.ca_file is not None:
        _ = line.context
    return line


def _collector(
    settings: Settings, database: Database, recorder: Recorder, signing_key: bytes, clock: Callable[[], datetime]
) -> Collector | None:
    """What reads the mailbox of returned mail, where there is one. Raises ConfigurationError like `_sns_line`."""
    if settings.email_inbox_host is None:
        return None
    password = settings.email_inbox_password.get_secret_value() if settings.email_inbox_password else ""
    place = InboxPlace(
        host=settings.email_inbox_host,
        port=settings.email_inbox_port,
        user=settings.email_inbox_user or "",
        password=password,
        tls=settings.email_inbox_tls,
        folder=settings.email_inbox_folder,
        ca_file=settings.email_inbox_ca_file,
        timeout_s=settings.email_inbox_timeout_seconds,
    )
    deletes = settings.email_inbox_delete
    return Collector(Inbox(place), database, recorder.record, signing_key, clock, deletes=deletes)


def _server(settings: Settings, mailbox: Mailbox | None, mailbox_port: int) -> Server:
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    if mailbox is not None:
        port = mailbox.start("127.0.0.1", mailbox_port)
        return Server(host="127.0.0.1", port=port, tls_mode="none", timeout_s=settings.smtp_timeout_seconds)
    return Server(
        host=settings.smtp_host or "localhost",
        port=settings.smtp_port,
        tls_mode=settings.tls_mode,
        user=settings.smtp_user,
        password=password,
        ca_file=settings.smtp_ca_file,
        timeout_s=settings.smtp_timeout_seconds,
        max_connections=settings.smtp_max_connections,
    )
