"""VERB: due rows -> outcomes.

The rows are the truth. A drain claims due rows under a lease, sends each on a connection of its thread, and
commits what became of it. A worker that dies leaves leases behind; the next drain's sweep returns them.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from service import letter
from service.delivery.outcome import Outcome, OutcomeKind, Transport
from service.delivery.pauses import backoff_s
from service.errors import ArchiveCorrupt
from service.models import Claimed, Event, EventType, Message, Status, Stream
from service.store import claims, limits, timeline
from service.store.database import Database, Transaction

#: A lease outlives the slowest step between two renewals three times.
LEASE_S = 30
RENEW_EVERY_S = 10
#: What half a second sends at a usual pace; an urgent mail waits no longer than for one of these.
CLAIM_SIZE = 20

_log = structlog.get_logger("deliver")


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Sends what is due. `owner` names this process in leases; `threads` is how many mails go at once."""

    database: Database
    transport: Transport
    clock: Callable[[], datetime]
    owner: str
    threads: int = 4
    chance: random.Random = field(default_factory=random.SystemRandom)

    def drain(self, stop: threading.Event) -> int:
        """Send until nothing is due, the server is paused, or `stop` is set; how many rows were claimed."""
        claimed = 0
        self.database.write(self._tidy)
        while not stop.is_set() and self.transport.paused_for_s() <= 0:
            ids = self.database.write(self._claim)
            if not ids:
                break
            self._send_all(ids, stop)
            claimed += len(ids)
        return claimed

    def _tidy(self, tx: Transaction) -> None:
        """Take back what dead workers hold, and end what has waited too long."""
        now = self.clock()
        claims.sweep(tx, now=now)
        claims.expire(tx, now)

    def _claim(self, tx: Transaction) -> list[str]:
        return claims.claim(tx, owner=self.owner, now=self.clock(), lease_s=LEASE_S, limit=CLAIM_SIZE)

    def _send_all(self, ids: Sequence[str], stop: threading.Event) -> None:
        """Send one claim, and keep its leases alive meanwhile.

        The threads are daemons: a server that never answers must not keep a process from ending.
        """
        left = deque(claims.load_claimed(self.database, ids, on_corrupt=self._fail_corrupt))
        held = {claimed.message.id for claimed in left}

        def send_what_is_left() -> None:
            while left:
                try:
                    claimed = left.popleft()
                except IndexError:  # another thread took the last one
                    return
                try:
                    self._send(claimed, stop)
                except Exception as error:
                    # The row keeps its lease until it lapses, and is tried again then: nothing is lost.
                    _log.error("delivery_broke", message=claimed.message.id, exc_info=error)
                held.discard(claimed.message.id)

        threads = [
            threading.Thread(target=send_what_is_left, name=f"smtp-{number}", daemon=True)
            for number in range(min(self.threads, len(left)))
        ]
        for thread in threads:
            thread.start()
        renew_at = time.monotonic() + RENEW_EVERY_S
        for thread in threads:
            while thread.is_alive():
                thread.join(max(renew_at - time.monotonic(), 0))
                if time.monotonic() >= renew_at and held:
                    self._renew(list(held))
                    renew_at = time.monotonic() + RENEW_EVERY_S

    def _renew(self, ids: Sequence[str]) -> set[str]:
        """Prolong these leases; which of them are still ours."""
        return self.database.write(
            lambda tx: claims.renew(tx, ids, owner=self.owner, now=self.clock(), lease_s=LEASE_S)
        )

    def _fail_corrupt(self, message_id: str, error: ArchiveCorrupt) -> None:
        """What can't be read back as it was accepted must not be sent."""
        self._fail_at_once(message_id, str(error))

    def _fail_at_once(self, message_id: str, detail: str) -> None:
        """Trying it again would come to the same."""
        _log.error("can_not_be_sent", message=message_id)
        event = Event(EventType.FAILED, self.clock(), "worker", detail)
        changes = {"error_message": detail}
        self.database.write(lambda tx: self._settle(tx, message_id, Status.FAILED, event, changes))

    def _send(self, claimed: Claimed, stop: threading.Event) -> None:
        message = claimed.message
        if stop.is_set():
            self.database.write(lambda tx: claims.hand_back(tx, message.id, owner=self.owner))
            return
        try:
            wire = letter.write(message, claimed.body, claimed.attachments)
        except ValueError as error:
            self._fail_at_once(message.id, f"It can't be written as a mail: {error}")
            return
        started_at = self.clock()
        outcome = self.transport.deliver(
            message.envelope_from,
            message.recipient,
            wire,
            before_mail=lambda: message.id in self._renew([message.id]),
            before_dot=self._note_data(message) if message.stream is Stream.MARKETING else None,
        )
        self.database.write(lambda tx: self._record(tx, message, outcome, started_at))
        _log.info("attempt", message=message.id, template=message.template_key, outcome=outcome.kind, code=outcome.code)

    def _note_data(self, message: Message) -> Callable[[], None]:
        """For marketing a lost mail is better than a second one: the moment before the dot is committed first."""

        def note() -> None:
            now = self.clock()
            self.database.write(lambda tx: claims.note_data_started(tx, message.id, owner=self.owner, now=now))

        return note

    def _record(self, tx: Transaction, message: Message, outcome: Outcome, started_at: datetime) -> None:
        now = self.clock()
        if outcome.tried:
            attempted = Event(EventType.ATTEMPTED, started_at, "worker", f"Tried at {outcome.server}.")
            timeline.add_event(tx, message.id, attempted)
        attempts = message.attempts + (1 if outcome.answered or outcome.kind is OutcomeKind.AMBIGUOUS else 0)
        noted: dict[str, Any] = {"attempts": attempts}
        if outcome.wire_sha256:
            noted |= {"transfer_encoding": outcome.transfer_encoding, "wire_sha256": outcome.wire_sha256}
        match outcome.kind:
            case OutcomeKind.SENT:
                self._sent(tx, message, outcome, noted, now)
            case OutcomeKind.BOUNCED:
                noted |= {"bounce_type": "permanent", "bounce_subtype": outcome.bounce_subtype}
                self._end(tx, message, Status.BOUNCED, EventType.BOUNCED, outcome, noted)
            case OutcomeKind.FAILED:
                self._end(tx, message, Status.FAILED, EventType.FAILED, outcome, noted)
            case OutcomeKind.AMBIGUOUS if message.stream is Stream.MARKETING:
                timeline.add_event(tx, message.id, _event(EventType.AMBIGUOUS, now, outcome))
                self._sent(tx, message, outcome, noted, now)
            case OutcomeKind.AMBIGUOUS:
                timeline.add_event(tx, message.id, _event(EventType.AMBIGUOUS, now, outcome))
                self._again(tx, message, outcome, noted, now)
            case OutcomeKind.DEFERRED | OutcomeKind.PAUSED:
                self._again(tx, message, outcome, noted, now)

    def _sent(self, tx: Transaction, message: Message, outcome: Outcome, noted: dict[str, Any], now: datetime) -> None:
        """Where feedback has overtaken us its state stands, and when we sent is noted all the same."""
        changes = noted | {
            "sent_at": now,
            "provider_id": outcome.provider_id,
            "smtp_reply": outcome.reply,
            "error_message": None,
        }
        event = _event(EventType.SENT, now, outcome)
        if not timeline.transition(tx, message.id, Status.SENT, event, owner=self.owner, changes=changes):
            timeline.note_sent(tx, message.id, event, changes)

    def _again(self, tx: Transaction, message: Message, outcome: Outcome, noted: dict[str, Any], now: datetime) -> None:
        attempts = int(noted["attempts"])
        answered = attempts > message.attempts
        # RFC 5321, 4.5.4.1 wants several tries; greylisting refuses the first one on purpose.
        attempts_max = max(message.attempts_max, 2) if outcome.greylisted else message.attempts_max
        if answered and attempts >= attempts_max:
            self._end(tx, message, Status.FAILED, EventType.FAILED, outcome, noted)
            return
        if answered:
            pause_s = max(
                backoff_s(attempts, greylisted=outcome.greylisted, random=self.chance), outcome.retry_after_s or 0
            )
        else:
            pause_s = outcome.retry_after_s or 1.0
        next_at = now + timedelta(seconds=pause_s)
        changes = noted | {"next_attempt_at": next_at, "error_message": outcome.detail}
        event = _event(
            EventType.DEFERRED, now, outcome, f"{outcome.detail} Next try at {next_at:%Y-%m-%d %H:%M:%S} UTC."
        )
        if outcome.tried:
            timeline.transition(tx, message.id, Status.QUEUED, event, owner=self.owner, changes=changes)
        else:
            claims.hand_back(tx, message.id, owner=self.owner)

    def _end(
        self,
        tx: Transaction,
        message: Message,
        status: Status,
        kind: EventType,
        outcome: Outcome,
        noted: dict[str, Any],
    ) -> None:
        changes = noted | {"error_message": outcome.detail, "smtp_reply": outcome.reply}
        self._settle(tx, message.id, status, _event(kind, self.clock(), outcome), changes)

    def _settle(self, tx: Transaction, message_id: str, status: Status, event: Event, changes: dict[str, Any]) -> None:
        """A final state without acceptance gives the recipient's slot back."""
        if timeline.transition(tx, message_id, status, event, owner=self.owner, changes=changes):
            limits.release_slot(tx, message_id)


def _event(kind: EventType, at: datetime, outcome: Outcome, detail: str | None = None) -> Event:
    return Event(
        type=kind,
        at=at,
        source="worker",
        detail=detail or outcome.detail,
        smtp_code=outcome.code,
        smtp_reply=outcome.reply,
        provider_id=outcome.provider_id,
    )
