"""Amazon SES notifications that SNS sends by e-mail: the JSON of a webhook, unsigned, in a mail.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html. Only what a mail server's report would say is
taken; the webhook is the way that can be verified.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from service.feedback.bounce.dsn import shorten
from service.feedback.bounce.report import MailKind, ParsedReport, RecipientStatus
from service.mail.parser import MimePart
from service.mail.smtp_status import Refusal, classify, parse_status, settle_status

_BEGINS = re.compile(r"\A\s*\{")
#: Old mail servers break a line of more than 990 octets with an exclamation mark.
_BROKEN_LINE = re.compile(r"!\n |\n")
_MAX_RECIPIENTS = 1_000


def read_notification(mail: MimePart) -> ParsedReport | None:
    """What a notification says; None where this mail holds none."""
    text = next((part.text for part in mail.walk() if part.content_type == "text/plain" and not part.children), "")
    if not _BEGINS.match(text) or "Type" not in text:
        return None
    notification = _json(text)
    if notification is not None and isinstance(notification.get("Message"), str):
        notification = _json(notification["Message"])
    if notification is None:
        return None
    kind = str(notification.get("notificationType") or notification.get("eventType") or "")
    read = {"Bounce": _bounced, "Complaint": _complained, "Delivery": _delivered, "DeliveryDelay": _delayed}.get(kind)
    sent = notification.get("mail")
    if read is None or not isinstance(sent, dict):
        return None
    statements = tuple(read(notification))[:_MAX_RECIPIENTS]
    kinds = [statement.kind for statement in statements]
    common = sent.get("commonHeaders")
    message_id = common.get("messageId") if isinstance(common, dict) else None
    return ParsedReport(
        kinds[0] if kinds else MailKind.NONE,
        statements,
        message_id.strip("<> ") if isinstance(message_id, str) else None,
    )


def _json(text: str) -> dict[str, Any] | None:
    for attempt in (text, _BROKEN_LINE.sub("", text)):
        try:
            value, _ = json.JSONDecoder().raw_decode(attempt.lstrip())
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


def _people(notification: dict[str, Any], what: str, who: str) -> Iterator[tuple[dict[str, Any], str]]:
    said = notification.get(what)
    people = said.get(who) if isinstance(said, dict) else None
    for person in people if isinstance(people, list) else []:
        if isinstance(person, dict) and isinstance(person.get("emailAddress"), str):
            yield person, person["emailAddress"]
        elif isinstance(person, str):
            yield {}, person


def _bounced(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    said = notification["bounce"] if isinstance(notification.get("bounce"), dict) else {}
    for person, address in _people(notification, "bounce", "bouncedRecipients"):
        words = shorten(str(person.get("diagnosticCode") or ""))
        is_permanent = said.get("bounceType") == "Permanent"
        told = parse_status(str(person.get("status") or ""))
        field = told or ("4.0.0" if said.get("bounceType") == "Transient" else "5.0.0")
        status, reply = settle_status(field, words)
        refusal = classify(status, reply, words)
        subtype = str(said.get("bounceSubType") or "") or refusal.subtype
        suppresses = is_permanent and (refusal.suppresses or (subtype == "NoEmail" and _names_no_cause(refusal)))
        yield RecipientStatus(MailKind.BOUNCE, address, status, reply, subtype, words or None, suppresses)


def _names_no_cause(refusal: Refusal) -> bool:
    """True where only SES's own word tells why."""
    return refusal.status == "5.0.0" and refusal.subtype == "General" and not refusal.is_about_us


def _complained(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    said = notification["complaint"] if isinstance(notification.get("complaint"), dict) else {}
    subtype = str(said.get("complaintFeedbackType") or "") or None
    kind = MailKind.NONE if subtype == "not-spam" else MailKind.COMPLAINT
    for _, address in _people(notification, "complaint", "complainedRecipients"):
        yield RecipientStatus(kind, address, subtype=subtype)


def _delivered(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    for _, address in _people(notification, "delivery", "recipients"):
        words = notification["delivery"].get("smtpResponse")
        yield RecipientStatus(MailKind.DELIVERED, address, "2.0.0", diagnostic=shorten(str(words)) if words else None)


def _delayed(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    for person, address in _people(notification, "deliveryDelay", "delayedRecipients"):
        words = shorten(str(person.get("diagnosticCode") or ""))
        status, reply = settle_status(parse_status(str(person.get("status") or "")) or "4.0.0", words)
        yield RecipientStatus(MailKind.DELAYED, address, status, reply, diagnostic=words or None)
