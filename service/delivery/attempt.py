"""One delivery attempt: build the MIME message, check the lease, hand it to the relay."""

import logging
from dataclasses import dataclass
from datetime import datetime

import structlog

from service.delivery import completer
from service.delivery.completer import AttemptResult
from service.delivery.context import CLOCK_STEP_S, LEASE_S, RENEW_EVERY_S, WorkerContext
from service.delivery.outcome import OutcomeKind
from service.errors import ArchiveCorrupt, StoreBusy
from service.mail import message_builder
from service.models import Claimed, Stream
from service.store import leases

_log = structlog.get_logger("deliver")


@dataclass(slots=True)
class LeasedMessage:
    """A claimed message that this process leases, with the time of the last renewal by both clocks.

    `is_lost`: a renewal failed, so that the message must not be sent.
    """

    claimed: Claimed
    renewed_at: datetime
    renewed_boottime_s: float
    rank: int
    is_lost: bool = False

    @property
    def id(self) -> str:
        """The message's row id."""
        return self.claimed.message.id

    @property
    def is_fresh(self) -> bool:
        """True if it was never tried: no feedback can have come, and no other worker had it."""
        return self.claimed.message.attempts == 0 and self.claimed.lapsed_leases == 0


class Sender:
    """Delivers single messages; the sender threads of a drain share it. Thread-safe."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._logs_all = logging.getLogger("deliver").isEnabledFor(logging.DEBUG)

    def send(self, held: LeasedMessage) -> AttemptResult | None:
        """Build the message's MIME form and deliver it; None if it failed before the relay was asked."""
        message = held.claimed.message
        recipient = self._context.rule.destination(message.recipient, message.redirected_to)
        if recipient is None or recipient != (message.redirected_to or message.recipient):
            self.fail(message.id, "The environment does not let it go to its recipient.")
            return None
        try:
            wire = message_builder.write(
                message, held.claimed.body, held.claimed.attachments, headings=self._context.headings
            )
        except ValueError as error:
            self.fail(message.id, f"It can't be written as a mail: {error}")
            return None
        began_at = self._context.clock()
        outcome = self._context.transport.deliver(
            message.envelope_from,
            recipient,
            wire,
            before_mail=lambda: self._holds_lease(held),
            before_end_of_data=(lambda: self._note_end_of_data(held)) if message.stream is Stream.MARKETING else None,
        )
        # A success is in the message's timeline and counted in the log; a log line each would cost a third of the send.
        if outcome.kind is not OutcomeKind.SENT or self._logs_all:
            log = _log.debug if outcome.kind is OutcomeKind.SENT else _log.info
            log("attempt", message=message.id, template=message.template_key, outcome=outcome.kind, code=outcome.code)
        return AttemptResult(message, outcome, began_at, self._context.clock())

    def _holds_lease(self, held: LeasedMessage) -> bool:
        """Check immediately before MAIL that this worker still holds the lease.

        The lease of a message that was never tried can only be lost by lapsing, and no feedback can have come: while
        it is young, and the clock was not set, the answer is known. In any other case the row is renewed.
        """
        age_s = self._context.boottime() - held.renewed_boottime_s
        was_set = abs((self._context.clock() - held.renewed_at).total_seconds() - age_s) > CLOCK_STEP_S
        if held.is_lost:
            return False
        if held.is_fresh and age_s < 2 * RENEW_EVERY_S and not was_set:
            return True
        now = self._context.clock()
        try:
            return held.id in self._context.database.write(
                lambda tx: leases.renew(tx, [held.id], owner=self._context.owner, now=now, lease_s=LEASE_S)
            )
        except StoreBusy as error:
            # Unknown: the message is handed back untried, and comes again.
            _log.warning("store_busy", asked_for=held.id, reason=str(error))
            return False

    def _note_end_of_data(self, held: LeasedMessage) -> None:
        """Commit that the final dot is about to be written: for marketing a lost mail is better than a second one."""
        owner, now = self._context.owner, self._context.clock()
        self._context.database.write(lambda tx: leases.note_data_started(tx, held.id, owner=owner, now=now))

    def fail_corrupt(self, message_id: str, error: ArchiveCorrupt) -> None:
        """Fail a message whose stored body is damaged: it must not be sent."""
        self.fail(message_id, str(error))

    def fail(self, message_id: str, detail: str) -> None:
        """Store the message as failed: no further attempt can succeed."""
        _log.error("can_not_be_sent", message=message_id)
        owner, now = self._context.owner, self._context.clock()
        self._context.database.write(lambda tx: completer.fail(tx, message_id, detail, owner=owner, now=now))
