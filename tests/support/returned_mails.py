"""Bounce reports and complaints by mail, addressed to one of our return paths."""

_REPORT = """\
Return-Path: <>
Date: Thu, 19 Feb 2026 09:00:00 +0000
From: Mail Delivery System <MAILER-DAEMON@mx.there.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <{name}@mx.there.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_report"

--=_report
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--=_report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.there.example
Arrival-Date: Thu, 19 Feb 2026 08:59:58 +0000

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {words}

--=_report
Content-Type: message/rfc822

Return-Path: <{returned_path}>
Message-ID: <{message_id}>
From: noreply@rgz.bj
To: {recipient}
Subject: Facture

Bonjour
{rest}
--=_report--
"""

_COMPLAINT = """\
From: feedback@provider.example
To: {to}
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="=_arf"

--=_arf
Content-Type: text/plain

This is an abuse report.

--=_arf
Content-Type: message/feedback-report

Feedback-Type: {feedback}
User-Agent: Loop/1.0
Version: 1
Original-Mail-From: <{returned_path}>

--=_arf
Content-Type: message/rfc822

Message-ID: <x@rgz.bj>
From: noreply@rgz.bj
To: redacted
Subject: Facture

Bonjour
--=_arf--
"""


def report(
    to: str,
    *,
    recipient: str = "person@there.example",
    status: str = "5.1.1",
    words: str = "550 5.1.1 No such user here",
    action: str = "failed",
    message_id: str = "whatever@rgz.bj",
    returned_path: str = "",
    name: str = "1",
    rest: str = "",
) -> bytes:
    """A bounce report (RFC 3464) to this address."""
    text = _REPORT.format(
        to=to,
        recipient=recipient,
        status=status,
        words=words,
        action=action,
        message_id=message_id,
        returned_path=returned_path,
        name=name,
        rest=rest,
    )
    return text.replace("\n", "\r\n").encode()


def complaint(to: str, *, returned_path: str, feedback: str = "abuse") -> bytes:
    """A complaint (RFC 5965) whose recipient is redacted."""
    return _COMPLAINT.format(to=to, returned_path=returned_path, feedback=feedback).replace("\n", "\r\n").encode()
