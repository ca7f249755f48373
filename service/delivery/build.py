"""Build what delivers."""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.config.settings import Settings
from service.delivery.context import WorkerContext
from service.delivery.deliverer import Deliverer
from service.delivery.dev_mailbox import DevMailbox
from service.delivery.outcome import Transport
from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.delivery.throttle import Throttle
from service.feedback.apply import FeedbackApplier
from service.monitoring.metrics import Metrics
from service.store.database import Database

#: The mailbox is for development: it deletes what is older than this many mails.
MAILBOX_KEEPS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The way to the relay, and what sends along it."""

    transport: Transport
    deliverer: Deliverer


def build_delivery(
    settings: Settings,
    database: Database,
    transport: Transport,
    feedback: FeedbackApplier,
    metrics: Metrics,
    clock: Callable[[], datetime],
    boottime: Callable[[], float],
) -> Delivery:
    """Build; `boottime` is in seconds."""
    throttle = Throttle(connections_max=settings.smtp_max_connections, per_second_max=settings.smtp_max_per_second)
    context = WorkerContext(
        database=database,
        transport=transport,
        clock=clock,
        owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        feedback=feedback,
        metrics=metrics,
        throttle=throttle,
        boottime=boottime,
        rule=settings.recipient_rule,
        environment=settings.email_environment,
    )
    return Delivery(transport=transport, deliverer=Deliverer(context))


def start_mailbox(port: int) -> tuple[DevMailbox, int]:
    """Start the development mailbox on loopback; returns it and its port, a free one for 0."""
    mailbox = DevMailbox(max_messages=MAILBOX_KEEPS)
    return mailbox, mailbox.start("127.0.0.1", port)


def build_transport(settings: Settings, *, mailbox_port: int | None) -> SmtpTransport:
    """Build the transport to SMTP_HOST, or to the development mailbox where that has a port."""
    if mailbox_port is None:
        return SmtpTransport(Server.from_settings(settings))
    timeout_s = settings.smtp_timeout_seconds
    return SmtpTransport(Server(host="127.0.0.1", port=mailbox_port, tls_mode="none", timeout_s=timeout_s))
