"""VERB: a mail that has not left -> one that never will."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.errors import Conflict, NotFound
from service.models import Caller, Event, EventType, Message, Status
from service.store import message_queries, rate_limits, transitions
from service.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class Canceller:
    """Stops mail that waits."""

    database: Database
    clock: Callable[[], datetime]

    def cancel(self, message_id: str, caller: Caller) -> Message:
        """The message, cancelled; its slot in a limit is free again. Cancelling twice is the same as once.

        Raises NotFound, and Conflict for a message that has left or is leaving.
        """
        now = self.clock()

        def work(tx: Transaction) -> Message:
            event = Event(EventType.CANCELLED, now, "api", f"Cancelled by {caller.name}.")
            if transitions.transition(tx, message_id, Status.CANCELLED, event):
                rate_limits.release_quota(tx, message_id)
            message = message_queries.get(tx, message_id, now=now)
            if message is None:
                raise NotFound("There is no such message.")
            if message.status is not Status.CANCELLED:
                raise Conflict(f"It is too late to cancel this message: it is {message.status}.")
            return message

        return self.database.write(work)
