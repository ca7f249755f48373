"""The states of a message and their transition table, and the words beside them."""

from collections.abc import Mapping
from enum import StrEnum


class Stream(StrEnum):
    """Transactional mail is asked for by what somebody did; marketing is not, and is limited."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class Priority(StrEnum):
    """The order in which due mail leaves."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    BULK = "bulk"

    @property
    def rank(self) -> int:
        """0 leaves first."""
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


class Status(StrEnum):
    """What has become of a message."""

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

#: From each state, the states it may go to. Feedback may overtake our own commit, so it is allowed
#: from `queued` and `sending` too; a late bounce beats `delivered`. Who gave up may be told that it has arrived after
#: all: the server had taken it, and its answer was lost.
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
    """A step in the life of a message; each is there once for what happened once."""

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
    """Why a queued message has not left."""

    SLOT = "slot"  # due, and waits for a worker
    TIME = "time"  # scheduled
    RETRY = "retry"  # between tries
