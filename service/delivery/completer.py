"""What a try came to -> the state of its row.

Stands between the rooms and the verbs: the one place where an Outcome becomes a transition.
"""

from collections.abc import Sequence
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
    """One try: the message as it was claimed, what became of it, and when it began and ended.

    `is_perhaps_known`: it was written before, and nobody can say whether that was committed.
    """

    message: Message | Outgoing
    outcome: Outcome
    began_at: datetime
    ended_at: datetime
    is_perhaps_known: bool = False


def record_all(tx: Transaction, results: Sequence[AttemptResult], *, owner: str, rng: Random) -> None:
    """`record` for each: what was plainly sent in a few statements together, the rest one by one."""
    plain: dict[str, AttemptResult] = {}
    for result in results:
        if result.outcome.kind is OutcomeKind.SENT and result.outcome.tried and result.outcome.wire_sha256:
            plain.setdefault(result.message.id, result)
    done = transitions.send_all(tx, [_as_sent(result) for result in plain.values()], owner=owner)
    for result in results:
        if result.message.id not in done or plain[result.message.id] is not result:
            record(tx, result, owner=owner, rng=rng)


def record(tx: Transaction, result: AttemptResult, *, owner: str, rng: Random) -> None:
    """Write what a try came to. The state of a row that this owner holds no more stays as it is."""
    message, outcome, now = result.message, result.outcome, result.ended_at
    if not outcome.tried:
        leases.hand_back(tx, message.id, owner=owner)
        return
    if result.is_perhaps_known and transitions.exists(tx, message.id, _attempted(result)):
        return
    transitions.add_event(tx, message.id, _attempted(result))
    # An ambiguous end counts too: a server that never answers the dot would else get the same mail for ever.
    counts = outcome.answered or outcome.kind is OutcomeKind.AMBIGUOUS
    noted = _noted(message, outcome, counts=counts)
    if outcome.kind is OutcomeKind.AMBIGUOUS:
        transitions.add_event(tx, message.id, _event(EventType.AMBIGUOUS, now, outcome))
    match outcome.kind:
        case OutcomeKind.SENT:
            _sent(tx, message, outcome, noted, now, owner)
        case OutcomeKind.AMBIGUOUS if message.stream is Stream.MARKETING:
            _sent(tx, message, outcome, noted, now, owner)
        case OutcomeKind.BOUNCED:
            noted |= {"bounce_type": "permanent", "bounce_subtype": outcome.bounce_subtype}
            _end(tx, message, Status.BOUNCED, EventType.BOUNCED, outcome, noted, now, owner)
            if outcome.suppresses:
                suppressions.suppress_recipient_of(tx, message.id, reason="bounce", source=_SOURCE, now=now)
        case OutcomeKind.FAILED:
            _end(tx, message, Status.FAILED, EventType.FAILED, outcome, noted, now, owner)
        case _:
            _again(tx, message, outcome, noted, now, owner, rng, counts=counts)


def fail(tx: Transaction, message_id: str, detail: str, *, owner: str, now: datetime) -> None:
    """End a message that no try can help."""
    event = Event(EventType.FAILED, now, _SOURCE, detail)
    if transitions.transition(tx, message_id, Status.FAILED, event, owner=owner, changes={"error_message": detail}):
        rate_limits.release_quota(tx, message_id)


def _as_sent(result: AttemptResult) -> transitions.Sent:
    message, outcome, now = result.message, result.outcome, result.ended_at
    changes = _noted(message, outcome, counts=outcome.answered) | _said(outcome, now)
    return transitions.Sent(message.id, changes, (_attempted(result), _event(EventType.SENT, now, outcome)))


def _noted(message: Message | Outgoing, outcome: Outcome, *, counts: bool) -> dict[str, Any]:
    noted: dict[str, Any] = {"attempts": message.attempts + counts}
    if outcome.wire_sha256:
        noted |= {"transfer_encoding": outcome.transfer_encoding, "wire_sha256": outcome.wire_sha256}
    return noted


def _said(outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {"sent_at": now, "provider_id": outcome.provider_id, "smtp_reply": outcome.reply}


def _attempted(result: AttemptResult) -> Event:
    return Event(EventType.ATTEMPTED, result.began_at, _SOURCE, f"Tried at {result.outcome.server}.")


def _sent(
    tx: Transaction, message: Message | Outgoing, outcome: Outcome, noted: dict[str, Any], now: datetime, owner: str
) -> None:
    """Where feedback has overtaken us its state stands, and when we sent is noted all the same."""
    changes = noted | _said(outcome, now) | {"error_message": None}
    event = _event(EventType.SENT, now, outcome)
    if not transitions.transition(tx, message.id, Status.SENT, event, owner=owner, changes=changes):
        transitions.note_sent(tx, message.id, event, changes)


def _again(
    tx: Transaction,
    message: Message | Outgoing,
    outcome: Outcome,
    noted: dict[str, Any],
    now: datetime,
    owner: str,
    rng: Random,
    *,
    counts: bool,
) -> None:
    attempts = int(noted["attempts"])
    # Greylisting refuses the first try on purpose (RFC 6647): whoever has one attempt gets a second.
    attempts_max = max(message.attempts_max, 2) if outcome.greylisted else message.attempts_max
    if counts and attempts >= attempts_max:
        _end(tx, message, Status.FAILED, EventType.FAILED, outcome, noted, now, owner)
        return
    pause_s = outcome.retry_after_s or 1.0
    if counts:
        pause_s = max(backoff_s(attempts, greylisted=outcome.greylisted, random=rng), pause_s)
    next_at = now + timedelta(seconds=pause_s)
    changes = noted | {"next_attempt_at": next_at, "error_message": outcome.detail, "smtp_reply": outcome.reply}
    event = _event(EventType.DEFERRED, now, outcome, f"{outcome.detail} Next try at {next_at:%Y-%m-%d %H:%M:%S} UTC.")
    transitions.transition(tx, message.id, Status.QUEUED, event, owner=owner, changes=changes)


def _end(
    tx: Transaction,
    message: Message | Outgoing,
    status: Status,
    kind: EventType,
    outcome: Outcome,
    noted: dict[str, Any],
    now: datetime,
    owner: str,
) -> None:
    """A final state without acceptance gives the recipient's slot back."""
    changes = noted | {"error_message": outcome.detail, "smtp_reply": outcome.reply}
    if transitions.transition(tx, message.id, status, _event(kind, now, outcome), owner=owner, changes=changes):
        rate_limits.release_quota(tx, message.id)


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
