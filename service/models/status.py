"""The statuses of a message and their transition table, priorities, streams and event types."""

from collections.abc import Mapping
from enum import StrEnum


class Stream(StrEnum):
    """The stream of a template: transactional mail answers an action of its recipient; marketing is rate-limited."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class Role(StrEnum):
    """The role of a recipient in a send. A `copy` is one that the template adds by its `copies`."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"
    COPY = "copy"


class Priority(StrEnum):
    """The order in which due messages are sent."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    BULK = "bulk"

    @property
    def rank(self) -> int:
        """0 is sent first."""
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


class Status(StrEnum):
    """The status of a message."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINT = "complaint"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    RATE_LIMITED = "rate_limited"
    CANCELLED = "cancelled"


_FEEDBACK = frozenset({Status.DELIVERED, Status.BOUNCED, Status.COMPLAINT})

#: The transitions that are allowed from each status. Feedback may come before our own commit, so it is allowed from
#: `queued` and `sending` too; a late bounce beats `delivered`. A failed message may turn out to be delivered: the relay
#: had taken it, and its reply was lost.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: _FEEDBACK | {Status.SENDING, Status.CANCELLED, Status.SUPPRESSED, Status.FAILED},
    Status.SENDING: _FEEDBACK | {Status.SENT, Status.QUEUED, Status.FAILED},
    Status.SENT: _FEEDBACK | {Status.FAILED},
    Status.DELIVERED: frozenset({Status.BOUNCED, Status.COMPLAINT}),
    Status.BOUNCED: frozenset({Status.COMPLAINT}),
    Status.COMPLAINT: frozenset(),
    Status.FAILED: _FEEDBACK,
    Status.SUPPRESSED: frozenset(),
    Status.RATE_LIMITED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class EventType(StrEnum):
    """The type of an event in a message's timeline; what happened once has one event."""

    ACCEPTED = "accepted"
    ATTEMPTED = "attempted"
    DEFERRED = "deferred"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINT = "complaint"
    DELAYED = "delayed"  # a provider's own delay: changes no state
    SUPPRESSED = "suppressed"
    RATE_LIMITED = "rate_limited"
    FAILED = "failed"
    CANCELLED = "cancelled"
    AMBIGUOUS = "ambiguous"
    ANONYMISED = "anonymised"


class WaitingFor(StrEnum):
    """What a queued message waits for."""

    SLOT = "slot"  # due: a worker
    TIME = "time"  # its scheduled time
    RETRY = "retry"  # the next attempt
