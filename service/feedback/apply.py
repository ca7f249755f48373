"""A report about a message -> its state, its timeline, and whether its recipient is written to again.

Stands between the rooms and the verbs: what comes back is recorded when it comes (`record`), or once the message that
it is about is known (`deliver`). What is true afterwards depends on what was said, never on the order in which it was
said: a complaint beats a bounce, which beats `delivered`, which beats a provider's `failed`; of two bounces the worse
one is told.
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

#: How long a report waits for the commit that names its message. The commit follows the server's reply at once, but
#: for a database that is away; a day outlasts that.
PENDING_FOR = timedelta(days=1)

_STATES = {
    FeedbackKind.DELIVERED: Status.DELIVERED,
    FeedbackKind.BOUNCED: Status.BOUNCED,
    FeedbackKind.COMPLAINT: Status.COMPLAINT,
    FeedbackKind.FAILED: Status.FAILED,
}
#: The spec's VARCHAR(50).
_MAX_SUBTYPE_LENGTH = 50
#: Fewer than this are done one by one.
_FEW = 2
_SEVERITY = {None: 0, "temporary": 1, "permanent": 2}
#: Words of a bounce that say nothing.
_VAGUE = frozenset({None, "General", "Undetermined"})

_log = structlog.get_logger("feedback")


class Effect(StrEnum):
    """What a report came to."""

    APPLIED = "applied"
    KNOWN = "known"  # it was in the timeline already
    PENDING = "kept"  # its message is not known yet
    IGNORED = "ignored"  # it is about nothing and nobody of ours


@dataclass(frozen=True, slots=True)
class SoftBounces:
    """So many mails that bounced for a passing reason within so many days: the address is not written to again."""

    count: int
    days: int


class FeedbackApplier:
    """Applies reports; `pseudonym_key` is what recipients are hashed with."""

    def __init__(self, clock: Callable[[], datetime], pseudonym_key: bytes, soft_bounces: SoftBounces) -> None:
        self._clock = clock
        self._key = pseudonym_key
        self._soft = soft_bounces

    def apply(self, tx: Transaction, events: Sequence[FeedbackEvent]) -> list[Effect]:
        """Does what reports mean, in this order, each once; keeps those whose messages may become known later.

        What nearly all of them are, a mail's only report, which was `sent` and is `delivered`, shares its statements.
        """
        plain = self._plainly_delivered(tx, events)
        return [Effect.APPLIED if n in plain else self._apply(tx, report) for n, report in enumerate(events)]

    def _plainly_delivered(self, tx: Transaction, reports: Sequence[FeedbackEvent]) -> set[int]:
        """Which reports were done here."""
        if len(reports) < _FEW:
            return set()
        named = {n: one.provider_id for n, one in enumerate(reports) if one.provider_id and one.message_id is None}
        times = Counter(named.values())
        found = feedback.find_named(tx, times)
        events: dict[str, Event] = {}
        places: dict[str, int] = {}
        for n, name in named.items():
            about = found.get(name, ())
            if len(about) == 1 and times[name] == 1 and self._is_plain(reports[n], about[0]):
                events[about[0].id], places[about[0].id] = _event(reports[n]), n
        return {places[message_id] for message_id in transitions.deliver_all(tx, events)}

    def _is_plain(self, report: FeedbackEvent, message: ReportedMessage) -> bool:
        is_first = message.status is Status.SENT and message.delivered_at is None and message.bounce_type is None
        is_in_clear = message.address is not None
        return is_first and is_in_clear and report.kind is FeedbackKind.DELIVERED and self._is_for(report, message)

    def _apply(self, tx: Transaction, report: FeedbackEvent) -> Effect:
        found = feedback.find(
            tx, message_id=report.message_id, provider_id=report.provider_id, rfc_message_id=report.rfc_message_id
        )
        if not found:
            if report.provider_id is None:
                return Effect.IGNORED
            feedback.store_pending(tx, report.provider_id, report.as_json(), now=self._clock())
            return Effect.PENDING
        # A provider may list everybody at a domain, and a name may be taken twice: it is about whom we wrote to.
        about = found if report.message_id is not None else [one for one in found if self._is_for(report, one)]
        return self._apply_to(tx, about[0], report) if len(about) == 1 else Effect.IGNORED

    def apply_pending(self, tx: Transaction, provider_ids: Collection[str]) -> int:
        """Does what was said about these messages before we knew their names; how many reports that were."""
        return self._apply_kept(tx, feedback.take_pending(tx, provider_ids))

    def sweep(self, tx: Transaction, *, since: datetime | None = None) -> int:
        """The same for whatever has come since then and has its message by now; and ends the wait of what is old.

        On PostgreSQL a report and the commit of its message may pass each other unseen.
        """
        feedback.drop_pending(tx, now=self._clock(), kept_for=PENDING_FOR)
        return self._apply_kept(tx, feedback.take_matching(tx, since=since))

    def _apply_kept(self, tx: Transaction, kept: Sequence[feedback.PendingEvent]) -> int:
        self.apply(tx, [FeedbackEvent.from_json(early.report) for early in kept])
        return len(kept)

    def _is_for(self, report: FeedbackEvent, message: ReportedMessage) -> bool:
        if report.recipient is None:
            return True
        try:
            normalised = addresses.parse(report.recipient).normalised
        except addresses.AddressInvalid:
            return False
        return addresses.pseudonym(normalised, key=self._key) == message.recipient_hash

    def _apply_to(self, tx: Transaction, message: ReportedMessage, report: FeedbackEvent) -> Effect:
        if report.kind is FeedbackKind.COMPLAINT and not report.suppresses:
            # "not-spam" (RFC 5965, 7.3) takes a complaint back that we may never have heard of: it says nothing bad.
            _log.info("not_a_complaint", message=message.id, source=report.source)
            return Effect.APPLIED
        if message.address is None:
            # Anonymised: what is told from here on must not name the person again.
            report = replace(report, recipient=None, provider_id=None, diagnostic=None)
        event = _event(report)
        if (message.id, event) in feedback.known_events(tx, [message.id]):
            return Effect.KNOWN
        facts = _facts(message, report, event.detail or "")
        to = _STATES.get(report.kind)
        if to is None or not transitions.transition(tx, message.id, to, event, changes=facts | _cleared(message, to)):
            transitions.add_event(tx, message.id, event)
            feedback.note(tx, message.id, _lasting(message, facts, to))
        self._suppress(tx, message, report)
        return Effect.APPLIED

    def _suppress(self, tx: Transaction, message: ReportedMessage, report: FeedbackEvent) -> None:
        scope: Literal["all", "marketing"] = "all"
        detail = None
        if report.kind is FeedbackKind.COMPLAINT:
            reason = "complaint"
            scope = "marketing" if message.stream is Stream.MARKETING else "all"
        elif report.kind is FeedbackKind.BOUNCED and report.bounce_type == "permanent" and report.suppresses:
            reason = "bounce"
        elif report.kind is FeedbackKind.BOUNCED and self._bounces_too_often(tx, message, report):
            reason, detail = "bounce", f"{self._soft.count} temporary bounces within {self._soft.days} days."
        else:
            return
        suppression = Suppression(
            id=str(uuid_utils.uuid7()),
            address=message.address,
            recipient_hash=message.recipient_hash,
            scope=scope,
            reason=reason,
            source=report.source,
            since=self._clock(),
            event_id=message.id,
            detail=detail,
        )
        if suppressions.add(tx, suppression):
            _log.info("suppressed", message=message.id, scope=scope, reason=reason, source=report.source)

    def _bounces_too_often(self, tx: Transaction, message: ReportedMessage, report: FeedbackEvent) -> bool:
        """Whether any span of so many days around this bounce holds too many: whichever of them was told last."""
        if report.bounce_type != "temporary":
            return False
        span = timedelta(days=self._soft.days)
        times = feedback.temporary_bounces(tx, message.recipient_hash, since=report.at - span, until=report.at + span)
        last = self._soft.count - 1
        return any(times[n + last] - times[n] < span for n in range(len(times) - last))


def _event(report: FeedbackEvent) -> Event:
    return Event(
        type=EventType(report.kind),
        at=report.at,
        source=report.source,
        detail=_detail(report),
        smtp_code=report.smtp_code,
        smtp_reply=clean(report.diagnostic) if report.diagnostic else None,
        provider_id=report.provider_id,
    )


def _detail(report: FeedbackEvent) -> str:
    """A sentence for people."""
    beginnings = {
        FeedbackKind.DELIVERED: "The recipient's server has taken it",
        FeedbackKind.BOUNCED: "It came back",
        FeedbackKind.COMPLAINT: "The recipient has complained",
        FeedbackKind.DELAYED: "The provider still tries",
        FeedbackKind.FAILED: "The provider did not send it",
    }
    known = [word for word in (report.bounce_type, report.bounce_subtype, report.status) if word]
    beginning = beginnings[report.kind] + (f" ({', '.join(known)})" if known else "")
    return clean(f"{beginning}: {report.diagnostic}" if report.diagnostic else f"{beginning}.")


def _facts(message: ReportedMessage, report: FeedbackEvent, detail: str) -> dict[str, Any]:
    """What a report adds to what is known: the earliest delivery, the worst bounce."""
    if report.kind is FeedbackKind.DELIVERED:
        return {"delivered_at": min(message.delivered_at or report.at, report.at)}
    if report.kind is FeedbackKind.BOUNCED:
        subtype = clean(report.bounce_subtype)[:_MAX_SUBTYPE_LENGTH] if report.bounce_subtype else None
        new = _weight(report.bounce_type, subtype, detail)
        old = _weight(message.bounce_type, message.bounce_subtype, message.error_message)
        if message.bounce_type is None or new > old:
            return {"bounce_type": report.bounce_type, "bounce_subtype": subtype, "error_message": detail}
    if report.kind is FeedbackKind.FAILED:
        return {"error_message": detail}
    return {}


def _weight(kind: str | None, subtype: str | None, detail: str | None) -> tuple[int, bool, str, str]:
    """Permanent before temporary, a word that says something before one that doesn't, and then any fixed order."""
    return _SEVERITY[kind], subtype not in _VAGUE, subtype or "", detail or ""


def _cleared(message: ReportedMessage, to: Status) -> dict[str, Any]:
    """What went wrong before is of no interest once it has arrived after all."""
    has_arrived = to in (Status.DELIVERED, Status.COMPLAINT) and message.bounce_type is None
    return {"error_message": None} if has_arrived else {}


def _lasting(message: ReportedMessage, facts: dict[str, Any], to: Status | None) -> dict[str, Any]:
    """What is noted where the state stays: why a provider did not send it only while that is the state."""
    if to is not Status.FAILED:
        return facts
    if message.status is not Status.FAILED or message.error_message is None:
        return {}
    return {"error_message": min(message.error_message, facts["error_message"])}
