"""What one row must be, whatever has happened to it."""

from dataclasses import dataclass
from datetime import datetime

from service.models import TRANSITIONS, EventType, Status, Stream
from tests.support.faults.rows import NOW

FEEDBACK = {
    Status.DELIVERED: EventType.DELIVERED,
    Status.BOUNCED: EventType.BOUNCED,
    Status.COMPLAINT: EventType.COMPLAINT,
}
#: Where a worker that comes late with its `sent` still notes it.
OVERTAKEN = frozenset({*FEEDBACK, Status.FAILED})


@dataclass
class Model:
    """What one row must be."""

    stream: Stream
    hash: str
    status: Status
    due_at: datetime
    expires_at: datetime
    attempts_max: int
    attempts: int = 0
    lapses: int = 0
    owner: str | None = None
    lease_until: datetime = NOW
    data_started: bool = False
    events: int = 1
    was_sent: bool = False

    def to(self, status: Status, *, events: int = 1) -> None:
        self.status, self.owner, self.data_started = status, None, self.data_started and status is not Status.QUEUED
        self.events += events

    def may(self, status: Status) -> bool:
        return status in TRANSITIONS[self.status]


def reachable(status: Status) -> frozenset[Status]:
    """One rule may take a row two steps: claimed and suppressed, or claimed on the way."""
    return TRANSITIONS[status] | frozenset(last for step in TRANSITIONS[status] for last in TRANSITIONS[step])
