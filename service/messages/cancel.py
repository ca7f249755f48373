"""Cancel queued messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.errors import Conflict, NotFound
from service.models import Caller, Event, EventType, Message, Status
from service.store import message_queries, rate_limits, transitions
from service.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class Canceller:
    """Cancels messages that have not been sent."""

    database: Database
    clock: Callable[[], datetime]

    def cancel(self, message_id: str, caller: Caller) -> Message:
        """Cancel a message and release its rate-limit quota; a cancelled message stays as it is.

        Raises NotFound, and Conflict for a message that is sent or being sent.
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
