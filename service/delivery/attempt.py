"""One claimed message: written as a mail, handed over, and what came of it."""

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
    """A claimed message in this process's hands, when its lease was renewed by both clocks, whether that failed."""

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
        """Never tried: no feedback can have come, and nobody else can know of it."""
        return self.claimed.message.attempts == 0 and self.claimed.lapsed_leases == 0


class Sender:
    """Thread-safe: what all senders of a drain share."""

    def __init__(self, means: WorkerContext) -> None:
        self._means = means
        self._says_all = logging.getLogger("deliver").isEnabledFor(logging.DEBUG)

    def send(self, held: LeasedMessage) -> AttemptResult | None:
        """Build the message's MIME form and deliver it; None if it failed before the relay was asked."""
        message = held.claimed.message
        try:
            wire = message_builder.write(
                message, held.claimed.body, held.claimed.attachments, headings=self._means.headings
            )
        except ValueError as error:
            self.fail(message.id, f"It can't be written as a mail: {error}")
            return None
        began_at = self._means.clock()
        outcome = self._means.transport.deliver(
            message.envelope_from,
            message.recipient,
            wire,
            before_mail=lambda: self._is_still_ours(held),
            before_end_of_data=(lambda: self._note_data(held)) if message.stream is Stream.MARKETING else None,
        )
        # What went well is in its timeline, and counted in the log; a line for each would cost a third of sending it.
        if outcome.kind is not OutcomeKind.SENT or self._says_all:
            say = _log.debug if outcome.kind is OutcomeKind.SENT else _log.info
            say("attempt", message=message.id, template=message.template_key, outcome=outcome.kind, code=outcome.code)
        return AttemptResult(message, outcome, began_at, self._means.clock())

    def _is_still_ours(self, held: LeasedMessage) -> bool:
        """Asked immediately before MAIL.

        The lease of a message that was never tried can only be lost by lapsing, and no feedback can have come: while
        it is young, and the clock was not set, the answer is known. In any other case the row itself is asked.
        """
        age_s = self._means.boottime() - held.renewed_boottime_s
        was_set = abs((self._means.clock() - held.renewed_at).total_seconds() - age_s) > CLOCK_STEP_S
        if held.is_lost:
            return False
        if held.is_fresh and age_s < 2 * RENEW_EVERY_S and not was_set:
            return True
        now = self._means.clock()
        try:
            return held.id in self._means.database.write(
                lambda tx: leases.renew(tx, [held.id], owner=self._means.owner, now=now, lease_s=LEASE_S)
            )
        except StoreBusy as error:
            # Nobody can say: it is handed back untried, and comes again.
            _log.warning("store_busy", asked_for=held.id, reason=str(error))
            return False

    def _note_data(self, held: LeasedMessage) -> None:
        """For marketing a lost mail is better than a second one: the moment before the dot is committed first."""
        now = self._means.clock()
        self._means.database.write(lambda tx: leases.note_data_started(tx, held.id, owner=self._means.owner, now=now))

    def fail_corrupt(self, message_id: str, error: ArchiveCorrupt) -> None:
        """What can't be read back as it was accepted must not be sent."""
        self.fail(message_id, str(error))

    def fail(self, message_id: str, detail: str) -> None:
        """Store the message as failed: no further attempt can succeed."""
        _log.error("can_not_be_sent", message=message_id)
        now = self._means.clock()
        self._means.database.write(lambda tx: completer.fail(tx, message_id, detail, owner=self._means.owner, now=now))
