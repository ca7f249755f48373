"""Apply feedback events to messages: status, timeline, and suppression of the recipient.

An event is applied when it comes (`record`), or once the message that it is about is known (`delivery`). The result
depends on the events, never on their order: a complaint beats a bounce, which beats `delivered`, which beats a
provider's `failed`; of two bounces the worse one is kept.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

import structlog
import uuid_utils

from service.feedback.event import FeedbackEvent, FeedbackKind
from service.mail import addresses
from service.mail.smtp_status import clean
from service.models import Event, EventType, Status, Stream
from service.store import feedback, suppressions, transitions
from service.store.database import Transaction
from service.store.feedback import ReportedMessage
from service.store.suppressions import Suppression

#: How long an event waits for the commit that stores its message's provider id. The commit follows the relay's reply
#: at once, unless the database is unavailable; a day outlasts that.
PENDING_FOR = timedelta(days=1)

_STATES = {
    FeedbackKind.DELIVERED: Status.DELIVERED,
    FeedbackKind.BOUNCED: Status.BOUNCED,
    FeedbackKind.COMPLAINT: Status.COMPLAINT,
    FeedbackKind.FAILED: Status.FAILED,
}
#: The spec's VARCHAR(50).
_MAX_SUBTYPE_LENGTH = 50
#: Fewer events than this are applied one by one.
_FEW = 2
_SEVERITY = {None: 0, "temporary": 1, "permanent": 2}
#: Subtypes that name no cause.
_VAGUE = frozenset({None, "General", "Undetermined"})

_log = structlog.get_logger("feedback")


class Effect(StrEnum):
    """Effect of a feedback event."""

    APPLIED = "applied"
    KNOWN = "known"  # it was in the timeline already
    PENDING = "kept"  # stored until its message is known
    IGNORED = "ignored"  # it is about no message or recipient of ours


@dataclass(frozen=True, slots=True)
class SoftBounces:
    """Limit of temporary bounces: with `count` of them within `days` days an address is suppressed."""

    count: int
    days: int


class FeedbackApplier:
    """Applies feedback events; `pseudonym_key` is the key of recipients' hashes."""

    def __init__(self, clock: Callable[[], datetime], pseudonym_key: bytes, soft_bounces: SoftBounces) -> None:
        self._clock = clock
        self._key = pseudonym_key
        self._soft = soft_bounces

    def apply(self, tx: Transaction, events: Sequence[FeedbackEvent]) -> list[Effect]:
        """Apply events in this order, each once; store those whose messages may become known later.

        Plain deliveries, which are nearly all events, share their statements: a message's only event, from `sent` to
        `delivered`.
        """
        plain = self._plainly_delivered(tx, events)
        return [Effect.APPLIED if n in plain else self._apply(tx, event) for n, event in enumerate(events)]

    def _plainly_delivered(self, tx: Transaction, events: Sequence[FeedbackEvent]) -> set[int]:
        """Apply plain deliveries together; returns the indexes of these events."""
        if len(events) < _FEW:
            return set()
        named = {n: one.provider_id for n, one in enumerate(events) if one.provider_id and one.message_id is None}
        times = Counter(named.values())
        found = feedback.find_named(tx, times)
        entries: dict[str, Event] = {}
        places: dict[str, int] = {}
        for n, name in named.items():
            about = found.get(name, ())
            if len(about) == 1 and times[name] == 1 and self._is_plain(events[n], about[0]):
                entries[about[0].id], places[about[0].id] = _entry(events[n]), n
        return {places[message_id] for message_id in transitions.deliver_all(tx, entries)}

    def _is_plain(self, event: FeedbackEvent, message: ReportedMessage) -> bool:
        is_first = message.status is Status.SENT and message.delivered_at is None and message.bounce_type is None
        is_in_clear = message.address is not None
        return is_first and is_in_clear and event.kind is FeedbackKind.DELIVERED and self._is_for(event, message)

    def _apply(self, tx: Transaction, event: FeedbackEvent) -> Effect:
        found = feedback.find(
            tx, message_id=event.message_id, provider_id=event.provider_id, rfc_message_id=event.rfc_message_id
        )
        if not found:
            if event.provider_id is None:
                return Effect.IGNORED
            feedback.store_pending(tx, event.provider_id, event.as_json(), now=self._clock())
            return Effect.PENDING
        # A provider may list all recipients at a domain, and an id may occur twice: only our recipient is meant.
        about = found if event.message_id is not None else [one for one in found if self._is_for(event, one)]
        return self._apply_to(tx, about[0], event) if len(about) == 1 else Effect.IGNORED

    def apply_pending(self, tx: Transaction, provider_ids: Collection[str]) -> int:
        """Apply the events that came before these provider ids were stored; returns how many."""
        return self._apply_taken(tx, feedback.take_pending(tx, provider_ids))

    def sweep(self, tx: Transaction, *, since: datetime | None = None) -> int:
        """Apply pending events received since then whose message is known by now, and drop expired ones.

        On PostgreSQL an event and the commit of its message may miss each other.
        """
        feedback.drop_pending(tx, now=self._clock(), kept_for=PENDING_FOR)
        return self._apply_taken(tx, feedback.take_matching(tx, since=since))

    def _apply_taken(self, tx: Transaction, taken: Sequence[feedback.PendingEvent]) -> int:
        self.apply(tx, [FeedbackEvent.from_json(pending.report) for pending in taken])
        return len(taken)

    def _is_for(self, event: FeedbackEvent, message: ReportedMessage) -> bool:
        if event.recipient is None:
            return True
        try:
            normalised = addresses.parse(event.recipient).normalised
        except addresses.AddressInvalid:
            return False
        if message.redirected_to is not None:
            return message.redirected_to in ("", normalised)
        return addresses.pseudonym(normalised, key=self._key) == message.recipient_hash

    def _apply_to(self, tx: Transaction, message: ReportedMessage, event: FeedbackEvent) -> Effect:
        if event.kind is FeedbackKind.COMPLAINT and not event.suppresses:
            # "not-spam" (RFC 5965, 7.3) withdraws a complaint that may never have reached us: it has no effect.
            _log.info("not_a_complaint", message=message.id, source=event.source)
            return Effect.APPLIED
        if message.address is None:
            # Anonymised: later events must not name the person again.
            event = replace(event, recipient=None, provider_id=None, diagnostic=None)
        entry = _entry(event)
        if (message.id, entry) in feedback.known_events(tx, [message.id]):
            return Effect.KNOWN
        facts = _facts(message, event, entry.detail or "")
        to = _STATES.get(event.kind)
        if to is None or not transitions.transition(tx, message.id, to, entry, changes=facts | _cleared(message, to)):
            transitions.add_event(tx, message.id, entry)
            feedback.note(tx, message.id, _lasting(message, facts, to))
        self._suppress(tx, message, event)
        return Effect.APPLIED

    def _suppress(self, tx: Transaction, message: ReportedMessage, event: FeedbackEvent) -> None:
        if message.redirected_to is not None:
            return  # it says nothing of the recipient
        scope: Literal["all", "marketing"] = "all"
        detail = None
        if event.kind is FeedbackKind.COMPLAINT:
            reason = "complaint"
            scope = "marketing" if message.stream is Stream.MARKETING else "all"
        elif event.kind is FeedbackKind.BOUNCED and event.bounce_type == "permanent" and event.suppresses:
            reason = "bounce"
        elif event.kind is FeedbackKind.BOUNCED and self._bounces_too_often(tx, message, event):
            reason, detail = "bounce", f"{self._soft.count} temporary bounces within {self._soft.days} days."
        else:
            return
        suppression = Suppression(
            id=str(uuid_utils.uuid7()),
            address=message.address,
            recipient_hash=message.recipient_hash,
            scope=scope,
            reason=reason,
            source=event.source,
            since=self._clock(),
            event_id=message.id,
            detail=detail,
        )
        if suppressions.add(tx, suppression):
            _log.info("suppressed", message=message.id, scope=scope, reason=reason, source=event.source)

    def _bounces_too_often(self, tx: Transaction, message: ReportedMessage, event: FeedbackEvent) -> bool:
        """True if any span of that many days around this bounce holds too many, in whatever order they came."""
        if event.bounce_type != "temporary":
            return False
        span = timedelta(days=self._soft.days)
        times = feedback.temporary_bounces(tx, message.recipient_hash, since=event.at - span, until=event.at + span)
        last = self._soft.count - 1
        return any(times[n + last] - times[n] < span for n in range(len(times) - last))


def _entry(event: FeedbackEvent) -> Event:
    return Event(
        type=EventType(event.kind),
        at=event.at,
        source=event.source,
        detail=_detail(event),
        smtp_code=event.smtp_code,
        smtp_reply=clean(event.diagnostic) if event.diagnostic else None,
        provider_id=event.provider_id,
    )


def _detail(event: FeedbackEvent) -> str:
    """Describe an event in a sentence for people."""
    beginnings = {
        FeedbackKind.DELIVERED: "The recipient's server has taken it",
        FeedbackKind.BOUNCED: "It came back",
        FeedbackKind.COMPLAINT: "The recipient has complained",
        FeedbackKind.DELAYED: "The provider still tries",
        FeedbackKind.FAILED: "The provider did not send it",
    }
    known = [word for word in (event.bounce_type, event.bounce_subtype, event.status) if word]
    beginning = beginnings[event.kind] + (f" ({', '.join(known)})" if known else "")
    return clean(f"{beginning}: {event.diagnostic}" if event.diagnostic else f"{beginning}.")


def _facts(message: ReportedMessage, event: FeedbackEvent, detail: str) -> dict[str, Any]:
    """Columns that an event changes: the earliest delivery, the worst bounce."""
    if event.kind is FeedbackKind.DELIVERED:
        return {"delivered_at": min(message.delivered_at or event.at, event.at)}
    if event.kind is FeedbackKind.BOUNCED:
        subtype = clean(event.bounce_subtype)[:_MAX_SUBTYPE_LENGTH] if event.bounce_subtype else None
        new = _weight(event.bounce_type, subtype, detail)
        old = _weight(message.bounce_type, message.bounce_subtype, message.error_message)
        if message.bounce_type is None or new > old:
            return {"bounce_type": event.bounce_type, "bounce_subtype": subtype, "error_message": detail}
    if event.kind is FeedbackKind.FAILED:
        return {"error_message": detail}
    return {}


def _weight(kind: str | None, subtype: str | None, detail: str | None) -> tuple[int, bool, str, str]:
    """Sort key of bounces: permanent before temporary, a named cause before none, then any fixed order."""
    return _SEVERITY[kind], subtype not in _VAGUE, subtype or "", detail or ""


def _cleared(message: ReportedMessage, to: Status) -> dict[str, Any]:
    """Clear the error of an earlier attempt once the message was delivered after all."""
    has_arrived = to in (Status.DELIVERED, Status.COMPLAINT) and message.bounce_type is None
    return {"error_message": None} if has_arrived else {}


def _lasting(message: ReportedMessage, facts: dict[str, Any], to: Status | None) -> dict[str, Any]:
    """Columns to change where the status stays: a provider's `failed` counts only while that is the status."""
    if to is not Status.FAILED:
        return facts
    if message.status is not Status.FAILED or message.error_message is None:
        return {}
    return {"error_message": min(message.error_message, facts["error_message"])}
