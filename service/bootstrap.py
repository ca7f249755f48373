"""The composition root: builds all services from the settings. API, worker, command line and tests come in here.

Each package builds its own parts (`build_sending`, ...); here they are put together, in the order of the import table.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from typing_extensions import override

from service.auth.admin_actions import AdminActions
from service.auth.api_keys import ApiKeys
from service.auth.form_tokens import FormTokens
from service.auth.refusals import Refusals
from service.auth.sessions import Sessions, signing_key
from service.auth.wrong_tokens import WrongTokens
from service.config.secret_key import Purpose, SecretKey
from service.config.secret_url import SecretUrl
from service.config.secrets import data_directory, read_secret_key, secret
from service.config.settings import Settings
from service.delivery import queue
from service.delivery.build import Delivery, build_delivery, build_transport, start_mailbox
from service.delivery.context import boottime_s
from service.delivery.dev_mailbox import DevMailbox
from service.delivery.outcome import Transport
from service.delivery.queue import Huey
from service.deployments import replay
from service.deployments.build import (
    Clocks,
    Deployments,
    build_branch_publisher,
    build_deployments,
    deployment_details,
)
from service.deployments.follower import Follower
from service.errors import NotFound
from service.feedback.bounce import isolated_reader
from service.feedback.build import Feedback, build_feedback
from service.isolation.child_processes import ChildProcesses
from service.mail.keys import MailKeys
from service.messages.build import Messages, build_messages
from service.models import Scope
from service.monitoring.build import Counters, Monitoring, build_monitoring
from service.monitoring.metrics import Metrics
from service.monitoring.template_refusals import TemplateRefusals
from service.recipients import pseudonym_key
from service.recipients.build import Recipients, build_recipients
from service.recipients.pseudonym_key import NewPseudonyms
from service.sending.build import Sending, build_sending
from service.sending.group_commit import MAX_WAITING, GroupCommit
from service.store.database import Database, open_database
from service.store.migrations import migrate
from service.templates import isolated_compiler, mails
from service.templates.build import Templates, build_templates
from service.templates.build_tools import build_catalogue, site_values
from service.templates.catalogue import Catalogue
from service.templates.preview import Previewer

_log = structlog.get_logger("services")


@dataclass(frozen=True, slots=True)
class PreviewServices:
    """The services that show templates without a database or a queue: what `rgz-email preview` runs on."""

    settings: Settings
    catalogue: Catalogue
    previewer: Previewer
    form_tokens: FormTokens
    children: ChildProcesses
    clock: Callable[[], datetime]

    @property
    def features(self) -> Sequence[Any]:
        """The parts of each package, a dataclass each; a preview has none."""
        return ()

    def close(self) -> None:
        """End the child processes. Safe to call once everything that uses the services has ended."""
        self.children.close()


@dataclass(frozen=True, slots=True)
class Services(PreviewServices):
    """All services, by package; built once and handed down."""

    database: Database
    migrations: Sequence[str]
    queue: Huey
    mailbox: DevMailbox | None
    api_keys: ApiKeys
    sessions: Sessions
    wrong_tokens: WrongTokens
    refusals: Refusals
    admin_actions: AdminActions
    templates: Templates
    sending: Sending
    messages: Messages
    feedback: Feedback
    recipients: Recipients
    delivery: Delivery
    deployments: Deployments
    monitoring: Monitoring

    @property
    @override
    def features(self) -> Sequence[Any]:
        return (
            self.templates,
            self.sending,
            self.messages,
            self.feedback,
            self.recipients,
            self.delivery,
            self.deployments,
            self.monitoring,
        )

    def require_mailbox(self) -> DevMailbox:
        """Return the development mailbox. Raises NotFound where mail goes to a real server."""
        if self.mailbox is None:
            raise NotFound("Mail goes to a real server here; there is no mailbox.")
        return self.mailbox

    @override
    def close(self) -> None:
        """Close connections, threads and files. Safe to call once everything that uses them has ended."""
        self.sending.group_commit.close()
        self.refusals.close()
        self.feedback.webhook_receiver.close()
        self.monitoring.template_stats.close()
        self.monitoring.template_refusals.close()
        self.children.close()
        self.delivery.transport.close()
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
    mailbox_port: int | None = 0,
    max_waiting: int = MAX_WAITING,
) -> Services:
    """Build all services; `database`, `transport` and both clocks (`boottime` is in seconds) may be handed in.

    The database is migrated. Without SMTP_HOST and without a `transport` of its own, the process starts the development
    mailbox on `mailbox_port` (0: a free one; None: it delivers nothing and needs no mailbox).

    Raises ConfigurationError where a directory, database or queue of the settings can't be used, or the database
    belongs to another secret key.
    """
    now = clock or (lambda: datetime.now(UTC))
    data = data_directory(settings)
    secret_key = read_secret_key(settings, data)
    admin_token = secret(settings.email_admin_token, data / "admin-token")
    session_key = signing_key(secret_key.newest.key(Purpose.SESSIONS), admin_token)
    metrics = Metrics()
    opened = database or _database(settings, data)
    try:
        migrations = migrate(opened)
        keys = _mail_keys(secret_key, pseudonym_key.agree(opened, secret_key, now=now()))
    except BaseException:
        if database is None:
            opened.close()
        raise
    database = opened
    children = ChildProcesses([isolated_compiler.MODULE, isolated_reader.MODULE, mails.MODULE, replay.MODULE])
    feedback = build_feedback(settings, database, metrics, children, now, keys=keys)
    queue_url = settings.queue_url or SecretUrl(f"sqlite:///{data / 'queue.db'}")
    huey = queue.open_queue(queue_url.get_secret_value())
    catalogue = build_catalogue(settings, children, cache_dir=data / "compiled")
    templates = build_templates(settings, database, catalogue, children, data, now)
    preview_keys = [version.key(Purpose.PREVIEW_LINKS) for version in secret_key.versions]
    deployments = build_deployments(
        settings, database, templates, children, Clocks(now, boottime), preview_keys=preview_keys
    )
    if publisher := build_branch_publisher(settings, database, templates, deployments, now):
        templates = replace(templates, publisher=publisher)
    if isinstance(deployments.served, Follower):
        deployments.served.load()  # what was live before this start is served from its first request on
    group_commit = GroupCommit(database, settings, _notifying(huey), metrics, max_waiting=max_waiting)
    template_refusals = TemplateRefusals(database, now)
    sending = build_sending(settings, database, templates, group_commit, now, keys=keys, refusals=template_refusals)
    mailbox, port = None, None
    if transport is None and settings.smtp_host is None and mailbox_port is not None:
        mailbox, port = start_mailbox(mailbox_port)
    transport = transport or build_transport(settings, mailbox_port=port)
    api_keys = ApiKeys(database, admin_token, frozenset(Scope(scope) for scope in settings.email_anonymous_scopes))
    wrong_tokens, refusals = WrongTokens(now), Refusals(database, keys.pseudonym, now)
    return Services(
        settings=settings,
        clock=now,
        database=database,
        migrations=migrations,
        queue=huey,
        mailbox=mailbox,
        api_keys=api_keys,
        sessions=Sessions(database, api_keys, session_key, now, wrong_tokens, refusals),
        form_tokens=FormTokens(session_key),
        wrong_tokens=wrong_tokens,
        refusals=refusals,
        admin_actions=AdminActions(database, keys.pseudonym, now, refusals),
        children=children,
        catalogue=catalogue,
        previewer=Previewer(catalogue, settings),
        templates=templates,
        sending=sending,
        messages=build_messages(database, sending, now, pseudonym_key=keys.pseudonym),
        feedback=feedback,
        recipients=build_recipients(settings, database, now, keys=keys),
        delivery=build_delivery(settings, database, transport, feedback.feedback_applier, metrics, now, boottime),
        deployments=deployments,
        monitoring=build_monitoring(
            database,
            catalogue,
            Counters(metrics, template_refusals),
            now,
            paused_for_s=transport.paused_for_s,
            deployment_details=lambda: deployment_details(deployments.deployment_status),
            metrics_dir=data / "metrics",
        ),
    )


def _mail_keys(secret_key: SecretKey, pseudonyms: bytes) -> MailKeys:
    return MailKeys(
        pseudonym=pseudonyms,
        return_path=secret_key.signing_keys(Purpose.RETURN_PATH),
        unsubscribe=secret_key.signing_keys(Purpose.UNSUBSCRIBE),
    )


def accept_new_secret(settings: Settings) -> NewPseudonyms:
    """Let the database go on with a secret key that does not fit it: see `recipients.pseudonym_key`.

    Raises ConfigurationError as `build` does otherwise, StoreBusy.
    """
    data = data_directory(settings)
    secret_key = read_secret_key(settings, data)
    with closing(_database(settings, data)) as database:
        migrate(database)
        return pseudonym_key.accept_new_secret(database, secret_key, lambda: datetime.now(UTC))


def _database(settings: Settings, data: Path) -> Database:
    url = settings.database_url or SecretUrl(f"sqlite:///{data / 'rgz-email.db'}")
    return open_database(url.get_secret_value())


def build_preview_services(settings: Settings) -> PreviewServices:
    """Build what shows templates without a database, a queue or a data directory. Nobody can sign in.

    Declared examples stand for values that this installation lacks.
    """

    def now() -> datetime:
        return datetime.now(UTC)

    children = ChildProcesses([isolated_compiler.MODULE])
    catalogue = build_catalogue(settings, children, values=site_values(settings, fills_gaps=True))
    return PreviewServices(
        settings=settings,
        catalogue=catalogue,
        previewer=Previewer(catalogue, settings),
        form_tokens=FormTokens(secrets.token_bytes(32)),
        children=children,
        clock=now,
    )


def _notifying(huey: Huey) -> Callable[[], None]:
    def notify() -> None:
        try:
            queue.notify(huey)
        except Exception as error:
            # Not needed for delivery: workers look for due messages every second, notified or not.
            _log.warning("notify_failed", exc_info=error)

    return notify
