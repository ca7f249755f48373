"""Amazon SES notifications that SNS sends by e-mail: the JSON of the webhook, unsigned, in a mail.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html. They are parsed like a mail server's report; only
the webhook's can be verified.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
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
    """Parse a notification; None where this mail holds none."""
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
    statuses = tuple(islice(read(notification), _MAX_RECIPIENTS))
    kinds = [statement.kind for statement in statuses]
    common = sent.get("commonHeaders")
    message_id = common.get("messageId") if isinstance(common, dict) else None
    return ParsedReport(
        kinds[0] if kinds else MailKind.NONE,
        statuses,
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


def _recipients_in(notification: dict[str, Any], part: str, key: str) -> Iterator[tuple[dict[str, Any], str]]:
    content = notification.get(part)
    recipients = content.get(key) if isinstance(content, dict) else None
    for recipient in recipients if isinstance(recipients, list) else []:
        if isinstance(recipient, dict) and isinstance(recipient.get("emailAddress"), str):
            yield recipient, recipient["emailAddress"]
        elif isinstance(recipient, str):
            yield {}, recipient


def _bounced(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    bounce = notification["bounce"] if isinstance(notification.get("bounce"), dict) else {}
    for recipient, address in _recipients_in(notification, "bounce", "bouncedRecipients"):
        words = shorten(str(recipient.get("diagnosticCode") or ""))
        is_permanent = bounce.get("bounceType") == "Permanent"
        written = parse_status(str(recipient.get("status") or ""))
        field = written or ("4.0.0" if bounce.get("bounceType") == "Transient" else "5.0.0")
        status, reply = settle_status(field, words)
        refusal = classify(status, reply, words)
        subtype = str(bounce.get("bounceSubType") or "") or refusal.subtype
        suppresses = is_permanent and (refusal.suppresses or (subtype == "NoEmail" and _names_no_cause(refusal)))
        yield RecipientStatus(MailKind.BOUNCE, address, status, reply, subtype, words or None, suppresses)


def _names_no_cause(refusal: Refusal) -> bool:
    """True where neither status nor words name a cause, and only SES's subtype does."""
    return refusal.status == "5.0.0" and refusal.subtype == "General" and not refusal.is_about_us


def _complained(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    complaint = notification["complaint"] if isinstance(notification.get("complaint"), dict) else {}
    subtype = str(complaint.get("complaintFeedbackType") or "") or None
    kind = MailKind.NONE if subtype == "not-spam" else MailKind.COMPLAINT
    for _, address in _recipients_in(notification, "complaint", "complainedRecipients"):
        yield RecipientStatus(kind, address, subtype=subtype)


def _delivered(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    for _, address in _recipients_in(notification, "delivery", "recipients"):
        words = notification["delivery"].get("smtpResponse")
        yield RecipientStatus(MailKind.DELIVERED, address, "2.0.0", diagnostic=shorten(str(words)) if words else None)


def _delayed(notification: dict[str, Any]) -> Iterator[RecipientStatus]:
    for recipient, address in _recipients_in(notification, "deliveryDelay", "delayedRecipients"):
        words = shorten(str(recipient.get("diagnosticCode") or ""))
        status, reply = settle_status(parse_status(str(recipient.get("status") or "")) or "4.0.0", words)
        yield RecipientStatus(MailKind.DELAYED, address, status, reply, diagnostic=words or None)
