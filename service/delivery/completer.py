"""Apply the outcome of a delivery attempt: status, event, retry time, suppression, rate-limit quota.

The one place where an Outcome becomes a transition of a message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from service.delivery.backoff import backoff_s
from service.delivery.outcome import Outcome, OutcomeKind
from service.models import Event, EventType, Message, Outgoing, Status, Stream
from service.store import leases, rate_limits, suppressions, transitions
from service.store.database import Transaction

_SOURCE = "worker"


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """One attempt: the message as it was claimed, the outcome, and when the attempt began and ended.

    `is_perhaps_known`: it was written before in a transaction of which nobody knows whether it was committed.
    """

    message: Message | Outgoing
    outcome: Outcome
    began_at: datetime
    ended_at: datetime
    is_perhaps_known: bool = False


def record_all(tx: Transaction, results: Sequence[AttemptResult], *, owner: str, rng: Random) -> None:
    """Record each result: plainly sent messages together in a few statements, the others one by one."""
    plain: dict[str, AttemptResult] = {}
    for result in results:
        if result.outcome.kind is OutcomeKind.SENT and result.outcome.tried and result.outcome.wire_sha256:
            plain.setdefault(result.message.id, result)
    done = transitions.send_all(tx, [_as_sent(result) for result in plain.values()], owner=owner)
    for result in results:
        if result.message.id not in done or plain[result.message.id] is not result:
            record(tx, result, owner=owner, rng=rng)


def record(tx: Transaction, result: AttemptResult, *, owner: str, rng: Random) -> None:
    """Record the outcome of one attempt. A message that this owner no longer holds keeps its state."""
    message, outcome, now = result.message, result.outcome, result.ended_at
    if not outcome.tried:
        leases.hand_back(tx, message.id, owner=owner)
        return
    if result.is_perhaps_known and transitions.exists(tx, message.id, _attempted(result)):
        return
    transitions.add_event(tx, message.id, _attempted(result))
    if outcome.kind is OutcomeKind.AMBIGUOUS:
        transitions.add_event(tx, message.id, _event(EventType.AMBIGUOUS, now, outcome))
    completion = _Completion(tx, result, owner)
    match outcome.kind:
        case OutcomeKind.SENT:
            completion.send()
        case OutcomeKind.AMBIGUOUS if message.stream is Stream.MARKETING:
            completion.send()
        case OutcomeKind.BOUNCED:
            bounce = {"bounce_type": "permanent", "bounce_subtype": outcome.bounce_subtype}
            completion.end(Status.BOUNCED, EventType.BOUNCED, bounce)
            if outcome.suppresses:
                suppressions.suppress_recipient_of(tx, message.id, reason="bounce", source=_SOURCE, now=now)
        case OutcomeKind.FAILED:
            completion.end(Status.FAILED, EventType.FAILED)
        case _:
            completion.retry_or_fail(rng)


def fail(tx: Transaction, message_id: str, detail: str, *, owner: str, now: datetime) -> None:
    """Fail a message that no attempt can send."""
    event = Event(EventType.FAILED, now, _SOURCE, detail)
    if transitions.transition(tx, message_id, Status.FAILED, event, owner=owner, changes={"error_message": detail}):
        rate_limits.release_quota(tx, message_id)


@dataclass(frozen=True, slots=True)
class _Completion:
    """The transition of one message after an attempt."""

    tx: Transaction
    result: AttemptResult
    owner: str

    def send(self) -> None:
        """To `sent`. Where feedback came first its state stands, and only when we sent is noted."""
        message, outcome, now = self.result.message, self.result.outcome, self.result.ended_at
        changes = _attempt_columns(message, outcome) | _sent_columns(outcome, now) | {"error_message": None}
        event = _event(EventType.SENT, now, outcome)
        if not transitions.transition(self.tx, message.id, Status.SENT, event, owner=self.owner, changes=changes):
            transitions.note_sent(self.tx, message.id, event, changes)

    def end(self, status: Status, kind: EventType, more: Mapping[str, Any] | None = None) -> None:
        """To a final state without acceptance, which gives the recipient's quota back."""
        message, outcome = self.result.message, self.result.outcome
        changes = {
            **_attempt_columns(message, outcome),
            **(more or {}),
            "error_message": outcome.detail,
            "smtp_reply": outcome.reply,
        }
        event = _event(kind, self.result.ended_at, outcome)
        if transitions.transition(self.tx, message.id, status, event, owner=self.owner, changes=changes):
            rate_limits.release_quota(self.tx, message.id)

    def retry_or_fail(self, rng: Random) -> None:
        """Back to `queued` until the next attempt, or to `failed` after the last one."""
        message, outcome = self.result.message, self.result.outcome
        changes = _attempt_columns(message, outcome)
        attempts = int(changes["attempts"])
        # Greylisting refuses the first attempt on purpose (RFC 6647): a message with one attempt gets a second.
        attempts_max = max(message.attempts_max, 2) if outcome.greylisted else message.attempts_max
        counts = _counts(outcome)
        if counts and attempts >= attempts_max:
            self.end(Status.FAILED, EventType.FAILED)
            return
        pause_s = outcome.retry_after_s or 1.0
        if counts:
            pause_s = max(backoff_s(attempts, greylisted=outcome.greylisted, random=rng), pause_s)
        next_at = self.result.ended_at + timedelta(seconds=pause_s)
        changes |= {"next_attempt_at": next_at, "error_message": outcome.detail, "smtp_reply": outcome.reply}
        detail = f"{outcome.detail} Next try at {next_at:%Y-%m-%d %H:%M:%S} UTC."
        event = _event(EventType.DEFERRED, self.result.ended_at, outcome, detail)
        transitions.transition(self.tx, message.id, Status.QUEUED, event, owner=self.owner, changes=changes)


def _as_sent(result: AttemptResult) -> transitions.Sent:
    message, outcome, now = result.message, result.outcome, result.ended_at
    changes = _attempt_columns(message, outcome) | _sent_columns(outcome, now)
    return transitions.Sent(message.id, changes, (_attempted(result), _event(EventType.SENT, now, outcome)))


def _counts(outcome: Outcome) -> bool:
    """True where the attempt counts towards `attempts_max`.

    An ambiguous end counts too: a server that never answers the dot would else get the same mail for ever.
    """
    return outcome.answered or outcome.kind is OutcomeKind.AMBIGUOUS


def _attempt_columns(message: Message | Outgoing, outcome: Outcome) -> dict[str, Any]:
    columns: dict[str, Any] = {"attempts": message.attempts + _counts(outcome)}
    if outcome.wire_sha256:
        columns |= {"transfer_encoding": outcome.transfer_encoding, "wire_sha256": outcome.wire_sha256}
    return columns


def _sent_columns(outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {"sent_at": now, "provider_id": outcome.provider_id, "smtp_reply": outcome.reply}


def _attempted(result: AttemptResult) -> Event:
    redirected_to = result.message.redirected_to
    detail = f"Tried at {result.outcome.server}" + (f", redirected to {redirected_to}." if redirected_to else ".")
    return Event(EventType.ATTEMPTED, result.began_at, _SOURCE, detail)


def _event(kind: EventType, at: datetime, outcome: Outcome, detail: str | None = None) -> Event:
    return Event(
        type=kind,
        at=at,
        source=_SOURCE,
        detail=detail or outcome.detail,
        smtp_code=outcome.code,
        smtp_reply=outcome.reply,
        provider_id=outcome.provider_id,
    )
