"""Context that a worker's deliveries share: database, transport, clocks, throttle, and caches that outlive a drain."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from service.config.installation import PRODUCTION
from service.delivery.outcome import Transport
from service.delivery.throttle import Throttle
from service.feedback.apply import FeedbackApplier
from service.mail.message_builder import HeaderCache
from service.mail.recipient_rule import EVERYONE, RecipientRule
from service.monitoring.metrics import Metrics
from service.store.body_codec import Unpackers
from service.store.database import Database

#: A lease outlives the slowest step between two renewals three times.
LEASE_S = 30
RENEW_EVERY_S = 10.0
#: Outcomes that share a commit, unless the senders would wait for it: 10 ms of the writer, and two statements' rows.
COMMIT_AT = 128
#: A wall clock that moved this much more or less than the machine's own has been set, in seconds.
CLOCK_STEP_S = 1.0


def boottime_s() -> float:
    """Seconds since the machine started, suspended time included: the clock for the age of leases."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """Everything that delivering uses. `owner` names this process in leases.

    At most `commit_at` outcomes share a commit. `rule` says who may get mail in this environment.
    """

    database: Database
    transport: Transport
    clock: Callable[[], datetime]
    owner: str
    feedback: FeedbackApplier
    metrics: Metrics
    throttle: Throttle
    boottime: Callable[[], float] = boottime_s
    commit_at: int = COMMIT_AT
    rule: RecipientRule = EVERYONE
    environment: str = PRODUCTION
    rng: random.Random = field(default_factory=random.SystemRandom)
    headings: HeaderCache = field(default_factory=HeaderCache)
    unpackers: Unpackers = field(default_factory=Unpackers)
