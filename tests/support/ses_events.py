"""Events of Amazon SES, as its Developer Guide shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

SES_ID = "010001890abcdef0-11111111-2222-3333-4444-555555555555-000000"
TO = "person@example.org"
AT = datetime(2026, 2, 21, 14, 31, 0, 123000, tzinfo=UTC)
STAMP = "2026-02-21T14:31:00.123Z"


def mail(to: str = TO, ses_id: str = SES_ID, **more: Any) -> dict[str, Any]:
    return {
        "timestamp": STAMP,
        "messageId": ses_id,
        "source": "noreply@rgz.bj",
        "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/rgz.bj",
        "sendingAccountId": "123456789012",
        "destination": [to],
        "headersTruncated": False,
        "tags": {"ses:configuration-set": ["rgz"]},
        **more,
    }


def event(kind: str, to: str = TO, ses_id: str = SES_ID, *, shape: str = "eventType", **part: Any) -> dict[str, Any]:
    return {shape: kind, "mail": mail(to, ses_id), **part}


def bounce(
    kind: str = "Permanent", subtype: str = "General", to: str = TO, ses_id: str = SES_ID, **more: Any
) -> dict[str, Any]:
    recipient = {
        "emailAddress": to,
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    }
    said = {
        "feedbackId": f"{ses_id}-f",
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [recipient],
        "timestamp": STAMP,
        "reportingMTA": "dsn; mta.example.org",
        **more,
    }
    return event("Bounce", to, ses_id, bounce=said)


def complaint(kind: str | None = "abuse", people: Sequence[str] = (TO,), ses_id: str = SES_ID) -> dict[str, Any]:
    said = {
        "feedbackId": f"{ses_id}-c",
        "complaintSubType": None,
        "complainedRecipients": [{"emailAddress": one} for one in people],
        "timestamp": STAMP,
        "userAgent": "ExampleCorp Feedback Loop (V0.01)",
        "complaintFeedbackType": kind,
        "arrivalDate": STAMP,
    }
    return event("Complaint", people[0], ses_id, complaint=said)


def delivery(to: str = TO, ses_id: str = SES_ID) -> dict[str, Any]:
    said = {
        "timestamp": STAMP,
        "processingTimeMillis": 546,
        "recipients": [to],
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": "a8-70.smtp-out.amazonses.com",
        "remoteMtaIp": "127.0.2.0",
    }
    return event("Delivery", to, ses_id, delivery=said)


def delay(to: str = TO, ses_id: str = SES_ID) -> dict[str, Any]:
    said = {
        "timestamp": STAMP,
        "delayType": "MailboxFull",
        "expirationTime": STAMP,
        "delayedRecipients": [{"emailAddress": to, "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 full"}],
    }
    return event("DeliveryDelay", to, ses_id, deliveryDelay=said)
