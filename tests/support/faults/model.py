"""A model of one message: the status and events that its row must have after each step of a history."""

from dataclasses import dataclass
from datetime import datetime

from service.models import TRANSITIONS, EventType, Status, Stream
from tests.support.faults.rows import NOW

FEEDBACK = {
    Status.DELIVERED: EventType.DELIVERED,
    Status.BOUNCED: EventType.BOUNCED,
    Status.COMPLAINT: EventType.COMPLAINT,
}
#: States in which a late `sent` of a worker is still recorded as an event.
OVERTAKEN = frozenset({*FEEDBACK, Status.FAILED})


@dataclass
class Model:
    """The expected row of one message."""

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
    """The states that one rule can lead to: a claim may claim and suppress in one step."""
    return TRANSITIONS[status] | frozenset(last for step in TRANSITIONS[status] for last in TRANSITIONS[step])
