"""Amazon SES events: parse a verified one into feedback events.

Both shapes are read: event publishing (`eventType`) and identity notifications (`notificationType`). Source: "Contents
of event data that Amazon SES publishes to Amazon SNS" and "Amazon SNS notification contents for Amazon SES" of the
Amazon SES Developer Guide.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from service.feedback.event import NOT_A_COMPLAINT, FeedbackEvent, FeedbackKind
from service.mail.smtp_status import classify, parse_status, settle_status

_SOURCE = "ses"
#: What people did with a mail, or that SES accepted it, as its 250 said: no status changes.
_WITHOUT_EFFECT = frozenset({"Send", "Open", "Click", "Subscription"})
#: A reply code, after the type of diagnostic (RFC 3464) or at the beginning (RFC 5321, 4.2).
_CODE = re.compile(r"\s*(?:smtp;\s*)?([245][0-9]{2})(?=[ -]|$)", re.IGNORECASE)
_MAX_RECIPIENTS = 100


class NotAnEvent(ValueError):
    """The message is not an event of SES; the text says why."""


@dataclass(frozen=True, slots=True)
class SesEvent:
    """An event by SES's own name, and the feedback events of its recipients."""

    kind: str
    events: Sequence[FeedbackEvent]


class _Shape(msgspec.Struct, rename="camel"):
    pass


class _Header(_Shape):
    name: Any = None
    value: Any = None


class _CommonHeaders(_Shape):
    message_id: Any = None


class _Mail(_Shape):
    message_id: str
    timestamp: Any = None
    destination: list[str] | None = None
    headers: list[_Header] | None = None
    common_headers: _CommonHeaders | None = None


class _Recipient(_Shape):
    email_address: str
    status: Any = None
    diagnostic_code: Any = None


class _Bounce(_Shape):
    bounce_type: str
    bounce_sub_type: Any = None
    bounced_recipients: list[_Recipient] | None = None
    timestamp: Any = None


class _Complaint(_Shape):
    complained_recipients: list[_Recipient] | None = None
    timestamp: Any = None
    complaint_feedback_type: Any = None
    complaint_sub_type: Any = None


class _Delivery(_Shape):
    recipients: list[str] | None = None
    timestamp: Any = None
    smtp_response: Any = None


class _Reject(_Shape):
    reason: Any = None


class _Failure(_Shape):
    error_message: Any = None


class _Delay(_Shape):
    delayed_recipients: list[_Recipient] | None = None
    delay_type: Any = None
    timestamp: Any = None


class _Event(_Shape):
    mail: _Mail
    event_type: str | None = None
    notification_type: str | None = None
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None
    delivery: _Delivery | None = None
    reject: _Reject | None = None
    failure: _Failure | None = None
    delivery_delay: _Delay | None = None


def parse(message: str, *, at: datetime) -> SesEvent:
    """Parse the Message of a notification; `at` is the time of an event that has none.

    Raises NotAnEvent for other messages: the sentence with which SES tests a topic, other services' messages.
    """
    try:
        event = msgspec.json.decode(message, type=_Event)
    except (ValueError, RecursionError) as error:
        raise NotAnEvent(f"not an event of SES: {error}") from None
    kind = event.event_type or event.notification_type or ""
    mail_at = _time(event.mail.timestamp, at)
    match kind:
        case "Bounce" if event.bounce is not None:
            return SesEvent(kind, _bounces(event.mail, event.bounce, at))
        case "Complaint" if event.complaint is not None:
            return SesEvent(kind, _complaints(event.mail, event.complaint, at))
        case "Delivery" if event.delivery is not None:
            return SesEvent(kind, _deliveries(event.mail, event.delivery, at))
        case "DeliveryDelay" if event.delivery_delay is not None:
            return SesEvent(kind, _delays(event.mail, event.delivery_delay, at))
        case "Reject":
            said = _text(event.reject.reason) if event.reject else None
            return SesEvent(kind, _failures(event.mail, "Reject", said, mail_at))
        case "Rendering Failure":
            said = _text(event.failure.error_message) if event.failure else None
            return SesEvent(kind, _failures(event.mail, "RenderingFailure", said, mail_at))
        case _ if kind in _WITHOUT_EFFECT:
            return SesEvent(kind, ())
        case _:
            raise NotAnEvent("an event of a type that SES did not have, or without its own part")


def _bounces(mail: _Mail, bounce: _Bounce, at: datetime) -> list[FeedbackEvent]:
    # Transient means that SES has given up for a temporary reason, Undetermined that the reason is unknown.
    is_permanent = bounce.bounce_type == "Permanent"
    bounce_type: Literal["permanent", "temporary"] = "permanent" if is_permanent else "temporary"
    return [
        _event(
            mail,
            FeedbackKind.BOUNCED,
            _time(bounce.timestamp, at),
            one,
            bounce_type=bounce_type,
            bounce_subtype="Undetermined" if not is_permanent and _is_about_us(one) else _subtype(bounce),
            suppresses=is_permanent and not _is_about_us(one),
        )
        for one in _recipients(bounce.bounced_recipients, mail)
    ]


def _is_about_us(recipient: _Recipient) -> bool:
    """Whether the server's words refuse our sender, our path or a rate; they beat SES's type of the bounce."""
    words = _text(recipient.diagnostic_code)
    if words is None:
        return False
    status, code = settle_status(parse_status(_text(recipient.status) or ""), words)
    return classify(status, code, words).is_about_us


def _subtype(bounce: _Bounce) -> str:
    """Return SES's own subtype; an undetermined bounce stays Undetermined, whatever its subtype is."""
    return bounce.bounce_type if bounce.bounce_type == "Undetermined" else _text(bounce.bounce_sub_type) or "General"


def _complaints(mail: _Mail, complaint: _Complaint, at: datetime) -> list[FeedbackEvent]:
    kind = _text(complaint.complaint_feedback_type) or _text(complaint.complaint_sub_type)
    return [
        _event(
            mail,
            FeedbackKind.COMPLAINT,
            _time(complaint.timestamp, at),
            one,
            diagnostic=kind,
            suppresses=(kind or "").lower() not in NOT_A_COMPLAINT,
        )
        for one in _recipients(complaint.complained_recipients, mail)
    ]


def _deliveries(mail: _Mail, delivery: _Delivery, at: datetime) -> list[FeedbackEvent]:
    said = _text(delivery.smtp_response)
    taken = [_Recipient(address) for address in delivery.recipients] if delivery.recipients else None
    moment = _time(delivery.timestamp, at)
    return [
        _event(mail, FeedbackKind.DELIVERED, moment, one, diagnostic=said, smtp_code=_code(said))
        for one in _recipients(taken, mail)
    ]


def _delays(mail: _Mail, delay: _Delay, at: datetime) -> list[FeedbackEvent]:
    moment, kind = _time(delay.timestamp, at), _text(delay.delay_type)
    return [
        _event(mail, FeedbackKind.DELAYED, moment, one, bounce_subtype=kind)
        for one in _recipients(delay.delayed_recipients, mail)
    ]


def _failures(mail: _Mail, subtype: str, said: str | None, at: datetime) -> list[FeedbackEvent]:
    return [
        _event(mail, FeedbackKind.FAILED, at, one, bounce_subtype=subtype, diagnostic=said)
        for one in _recipients(None, mail)
    ]


def _event(mail: _Mail, kind: FeedbackKind, at: datetime, to: _Recipient, **said: Any) -> FeedbackEvent:
    words = _text(to.diagnostic_code)
    found = {"diagnostic": words, "smtp_code": _code(words), "status": _text(to.status)} | said
    address = to.email_address
    if address.endswith(">"):
        address = address[:-1].rpartition("<")[2]
    message_id = _message_id(mail)
    return FeedbackEvent(
        kind=kind,
        at=at,
        source=_SOURCE,
        recipient=address,
        provider_id=mail.message_id,
        rfc_message_id=message_id,
        **found,
    )


def _recipients(named: Iterable[_Recipient] | None, mail: _Mail) -> list[_Recipient]:
    """Return the recipients that the event names, else all recipients of the mail."""
    several = list(named or ()) or [_Recipient(address) for address in mail.destination or ()]
    return several[:_MAX_RECIPIENTS]


def _message_id(mail: _Mail) -> str | None:
    """Return our own Message-ID, which SES repeats only where headers are enabled; it sends with another one."""
    ours = [_text(one.value) for one in mail.headers or () if str(one.name).lower() == "message-id"]
    if mail.common_headers is not None:
        ours.append(_text(mail.common_headers.message_id))
    return next((one.strip().removeprefix("<").removesuffix(">") for one in ours if one), None)


def _time(text: Any, otherwise: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else otherwise
    except (TypeError, ValueError, OverflowError):
        return otherwise


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _code(said: str | None) -> int | None:
    matched = _CODE.match(said or "")
    return int(matched[1]) if matched else None
