"""Sample bounce reports of many mail servers, one for each form, in our own words.

Names of people and hosts are invented. The form is kept: where the address is, what surrounds it, and how the
returned mail is announced.
"""

from collections.abc import Mapping
from dataclasses import dataclass

RETURNED = """\
Received: from app.rgz.example by relay.example; Fri, 20 Feb 2026 10:00:00 +0000
Message-ID: <original@rgz.example>
From: noreply@rgz.example
To: {to}
Subject: Facture
Date: Fri, 20 Feb 2026 10:00:00 +0000

Bonjour, ignore 550 5.1.1 <quoted@nobody.example>: it is part of the returned mail.
"""
DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.example>"
FAILURE = "Undelivered Mail Returned to Sender"


@dataclass(frozen=True, slots=True)
class Case:
    """A mail, what kind it is, and the status of each address that it names (None: no status)."""

    raw: bytes
    kind: str
    says: Mapping[str, str | None]
    original_message_id: str | None = "original@rgz.example"


def plain(text: str, *, writer: str = DAEMON, subject: str = FAILURE, more: str = "") -> bytes:
    """A mail of one text part."""
    head = f"Return-Path: <>\nFrom: {writer}\nTo: noreply@rgz.example\nSubject: {subject}\n{more}"
    return f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}".encode()


def parts(*pieces: tuple[str, str], writer: str = DAEMON, subject: str = FAILURE, kind: str = "mixed") -> bytes:
    """A mail of several parts: content type and text of each."""
    head = f"Return-Path: <>\nFrom: {writer}\nTo: noreply@rgz.example\nSubject: {subject}\nMIME-Version: 1.0\n"
    text = f'{head}Content-Type: multipart/{kind}; boundary="=_x"\n\nnot for people\n'
    for content_type, piece in pieces:
        text += f"--=_x\nContent-Type: {content_type}\n\n{piece}\n"
    return f"{text}--=_x--\n".encode()


def dsn(fields: str, *, to: str = "u@there.example", words: str = "It did not work out.\n", **more: str) -> bytes:
    """A report by RFC 3464; `fields` are of its recipients."""
    return parts(
        ("text/plain", words),
        ("message/delivery-status", f"Reporting-MTA: dns; mx.example\n\n{fields}"),
        ("message/rfc822", RETURNED.format(to=to)),
        kind="report; report-type=delivery-status",
        **more,
    )


def with_copy(words: str, announcement: str, to: str = "u@there.example") -> str:
    return f"{words}\n{announcement}\n\n{RETURNED.format(to=to)}"


#: Those whose words alone say it, without anything around them.
_U = "u@there.example"
_ONE = {_U: "5.1.1"}


def _field(action: str = "failed", status: str = "5.1.1", words: str = "", to: str = f"rfc822; {_U}") -> str:
    diagnostic = f"Diagnostic-Code: smtp; {words}\n" if words else ""
    return f"Final-Recipient: {to}\nAction: {action}\nStatus: {status}\n{diagnostic}"


CASES: dict[str, Case] = {
    # RFC 3464 and what servers make of it
    "postfix_dsn": Case(dsn(_field(words="550 5.1.1 <u@there.example>: User unknown")), "bounce", _ONE),
    "dsn_two_recipients": Case(
        dsn(_field() + "\n" + _field(status="5.2.2", to="rfc822;full@there.example", words="552 5.2.2 over quota")),
        "bounce",
        {_U: "5.1.1", "full@there.example": "5.2.2"},
    ),
    "dsn_without_blank_lines_between_recipients": Case(
        dsn(_field() + _field(status="4.4.1", to="rfc822;slow@there.example")),
        "bounce",
        {_U: "5.1.1", "slow@there.example": "4.4.1"},
    ),
    "dsn_action_first": Case(dsn(f"Action: failed\nFinal-Recipient: rfc822; {_U}\nStatus: 5.1.1\n"), "bounce", _ONE),
    "dsn_delayed": Case(dsn(_field("delayed", "4.4.1", "connection timed out")), "delayed", {_U: "4.4.1"}),
    "dsn_relayed": Case(dsn(_field("relayed", "2.0.0")), "delivered", {_U: "2.0.0"}),
    "dsn_delivered": Case(dsn(_field("delivered", "2.1.5", "250 Ok")), "delivered", {_U: "2.1.5"}),
    "dsn_expanded": Case(dsn(_field("expanded", "2.0.0")), "delivered", {_U: "2.0.0"}),
    "dsn_status_with_comment": Case(dsn(_field(status="5.1.1 (bad mailbox)")), "bounce", _ONE),
    "dsn_vague_status_and_clear_words": Case(
        dsn(_field(status="5.0.0", words="550 5.1.1 no such user")), "bounce", _ONE
    ),
    "dsn_status_of_success_on_a_failure": Case(
        dsn(_field(status="2.0.0", words="550 5.1.1 no such user")), "bounce", _ONE
    ),
    "dsn_without_status": Case(
        dsn(f"Final-Recipient: rfc822; {_U}\nAction: failed\nDiagnostic-Code: smtp; 452 4.2.2 full\n"),
        "bounce",
        {_U: "4.2.2"},
    ),
    "dsn_folded_words": Case(
        dsn(_field(status="5.0.0") + "Diagnostic-Code: smtp; 550-this is\n 550 5.7.1 not wanted\n"),
        "bounce",
        {_U: "5.7.1"},
    ),
    "dsn_in_capitals": Case(dsn(_field().upper().replace("U@THERE.EXAMPLE", _U)), "bounce", _ONE),
    "dsn_address_in_brackets": Case(dsn(_field(to=f"RFC822;<{_U}>")), "bounce", _ONE),
    "dsn_utf8_address": Case(
        dsn(_field(to="utf-8; jos\\x{E9}@there.example")), "bounce", {"jos\u00e9@there.example": "5.1.1"}
    ),
    "dsn_idn": Case(dsn(_field(to="rfc822; u@bücher.example")), "bounce", {"u@bücher.example": "5.1.1"}),
    "dsn_xtext": Case(
        dsn("Original-Recipient: rfc822; a+2Bb@there.example\n" + _field(to="rfc822; a+b@there.example")),
        "bounce",
        {"a+b@there.example": "5.1.1"},
    ),
    "dsn_source_route": Case(
        dsn(f"Original-Recipient: rfc822; {_U}\n" + _field(to="rfc822; @relay.there.example:u@inner")),
        "bounce",
        _ONE,
    ),
    "dsn_only_headers_returned": Case(
        parts(
            ("text/plain", "Sorry."),
            ("message/delivery-status", f"Reporting-MTA: dns; mx.example\n\n{_field()}"),
            ("text/rfc822-headers", RETURNED.format(to=_U)),
            kind="report",
        ),
        "bounce",
        _ONE,
    ),
    "dsn_global": Case(
        parts(
            ("text/plain", "Sorry."),
            (
                "message/global-delivery-status",
                f"Reporting-MTA: dns; mx.example\n\n{_field(to='utf-8; ü@there.example')}",
            ),
            ("message/global", RETURNED.format(to="ü@there.example")),
            kind="report",
        ),
        "bounce",
        {"ü@there.example": "5.1.1"},
    ),
    "dsn_whose_boundary_is_wrong": Case(
        dsn(_field()).replace(b'boundary="=_x"', b'boundary="=_other"'), "bounce", _ONE
    ),
    "dsn_without_any_mime": Case(plain(f"Sorry.\n\n{_field()}\n"), "bounce", _ONE, None),
    "dsn_failed_by_pipe": Case(
        parts(
            (
                "text/plain",
                f"The following address(es) failed:\n\n  save to /var/box\n    generated by {_U}\n    full\n",
            ),
            (
                "message/delivery-status",
                "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822;/var/box\nAction: failed\nStatus: 5.2.2\n",
            ),
            ("message/rfc822", RETURNED.format(to=_U)),
            kind="report",
        ),
        "bounce",
        {_U: "5.2.2"},
    ),
    # Amazon SES
    "ses_bounce_by_mail": Case(
        plain(
            '{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail",'
            '"bouncedRecipients":[{"emailAddress":"u@there.example","status":"5.1.1","diagnosticCode":"'
            'smtp; 550 5.1.1"}]},'
            '"mail":{"messageId":"ses","commonHeaders":{"messageId":"<original@rgz.example>"}}}\n'
            "\n-- \nUnsubscribe\n",
            writer="AWS <no-reply@sns.amazonaws.com>",
            subject="AWS Notification Message",
        ),
        "bounce",
        _ONE,
    ),
    "ses_wrapped_and_broken_by_a_relay": Case(
        plain(
            '{"Type":"Notification","Message":"{\\"notificationType\\":\\"Bounce\\",\\"bounce\\":{\\"bounceType\\":\\"Trans!\n'
            ' ient\\",\\"bouncedRecipients\\":[{\\"emailAddress\\":\\"u@there.example\\"}]},\\"mail\\":{}}"}',
            writer="AWS <no-reply@sns.amazonaws.com>",
            subject="AWS Notification Message",
        ),
        "bounce",
        {_U: "4.0.0"},
        None,
    ),
    "ses_complaint_by_mail": Case(
        plain(
            '{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"u@th'
            'ere.example"}],'
            '"complaintFeedbackType":"abuse"},"mail":{}}',
            subject="AWS Notification Message",
        ),
        "complaint",
        {_U: None},
        None,
    ),
    "ses_delivery_by_mail": Case(
        plain('{"notificationType":"Delivery","delivery":{"recipients":["u@there.example"]},"mail":{}}'),
        "delivered",
        {_U: "2.0.0"},
        None,
    ),
    # Complaints
    "arf": Case(
        parts(
            ("text/plain", "Abuse."),
            ("message/feedback-report", f"Feedback-Type: abuse\nOriginal-Rcpt-To: <{_U}>\nVersion: 1\n"),
            ("message/rfc822", RETURNED.format(to=_U)),
            kind="report; report-type=feedback-report",
        ),
        "complaint",
        {_U: None},
    ),
    "arf_recipient_of_the_returned_mail": Case(
        parts(
            ("text/plain", "Abuse."),
            ("message/feedback-report", "Feedback-Type: fraud\nVersion: 1\n"),
            ("message/rfc822", RETURNED.format(to=_U)),
            kind="report",
        ),
        "complaint",
        {_U: None},
    ),
    "arf_not_spam": Case(
        parts(
            ("text/plain", "Not spam."),
            ("message/feedback-report", f"Feedback-Type: not-spam\nOriginal-Rcpt-To: {_U}\n"),
            ("message/rfc822", RETURNED.format(to=_U)),
            kind="report",
        ),
        "none",
        {_U: None},
    ),
    "microsoft_junk_report": Case(
        parts(
            ("message/rfc822", f"X-HmXmrOriginalRecipient: {_U}\n" + RETURNED.format(to="hidden")),
            writer="staff@provider.example",
            subject="complaint about message from 192.0.2.1",
        ),
        "complaint",
        {_U: None},
    ),
    # Words alone
    "postfix_old": Case(
        parts(
            (
                "text/plain",
                f"This is the Postfix program at host mx.example.\n"
                f"\n<{_U}>: host mail.there.example[192.0.2.1] said: 550\n"
                f"    <{_U}>: Recipient address rejected (in reply to RCPT TO command)\n",
            ),
            ("message/rfc822", RETURNED.format(to=_U)),
        ),
        "bounce",
        {_U: "5.0.0"},
    ),
    "qmail": Case(
        plain(
            with_copy(
                f"Hi. This is the qmail-send program at x.example.\n"
                f"I'm afraid I wasn't able to deliver your message.\n\n<{_U}>:\n"
                f"Sorry, no mailbox here by that name. (#5.1.1)\n\n<v@there.example>:\n"
                f"192.0.2.7 does not like recipient.\nRemote host said: 452 4.2.2 full\n",
                "--- Below this line is a copy of the message.",
            ),
            subject="failure notice",
        ),
        "bounce",
        {_U: "5.1.1", "v@there.example": "4.2.2"},
    ),
    "exim": Case(
        plain(
            with_copy(
                f"A message that you sent could not be delivered. This is a permanent error.\n\n  {_U}\n"
                f"    SMTP error from remote mail server after RCPT TO:<{_U}>:\n"
                f"    host mx.there.example [192.0.2.1]: 550 5.1.1 <{_U}>: unknown\n",
                "------ This is a copy of the message, including all the headers. ------",
            ),
            more=f"X-Failed-Recipients: {_U}\nAuto-Submitted: auto-replied\n",
        ),
        "bounce",
        _ONE,
    ),
    "exim_retry_timeout": Case(
        plain(
            with_copy(
                f"The following address(es) failed:\n\n  {_U}\n    retry timeout exceeded\n",
                "------ This is a copy of the message, including all the headers. ------",
            ),
            more=f"X-Failed-Recipients: {_U}\n",
        ),
        "bounce",
        {_U: "4.0.0"},
    ),
    "exim_undisclosed": Case(
        plain(
            f"This is a permanent error. The following address(es) failed:\n\n  an undisclosed address\n"
            f"    (generated from {_U})\n"
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "exim_malformed": Case(
        plain(
            f"One or more addresses were incorrectly constructed:\n"
            f"\n  x@y.example <{_U}>: malformed address: may not follow\n"
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "sendmail_old": Case(
        plain(
            with_copy(
                f"   ----- Transcript of session follows -----\nWhile talking to mx.there.example:\n"
                f">>> RCPT To:<{_U}>\n<<< 550 <{_U}>... User unknown\n550 <{_U}>... User unknown\n"
                f"554 <v@other.example>... 550 Host unknown\n",
                "   ----- Unsent message follows -----",
            ),
            subject="Returned mail: User unknown",
        ),
        "bounce",
        {_U: "5.0.0", "v@other.example": "5.0.0"},
    ),
    "sendmail_fatal_errors": Case(
        plain(
            with_copy(
                f"   ----- The following addresses had permanent fatal errors -----\n<{_U}>\n"
                f"    (reason: 550 5.1.1 no)\n\n   ----- Transcript of session follows -----\n"
                f"... while talking to mx.there.example.:\n>>> DATA\n<<< 503 5.0.0 Need RCPT\n",
                "   ----- Original message follows -----",
            ),
            subject="Returned mail: see transcript for details",
        ),
        "bounce",
        _ONE,
    ),
    "sendmail_local_pipe": Case(
        plain(
            f'   ----- The following addresses had permanent fatal errors -----\n"|/usr/bin/filter"\n'
            f"    (expanded from: <{_U}>)\n\n554 5.3.0 unknown mailer error 75\n"
        ),
        "bounce",
        {_U: "5.3.0"},
        None,
    ),
    "sendmail_warning": Case(
        plain(
            f"    **********************************************\n"
            f"    **      THIS IS A WARNING MESSAGE ONLY      **\n"
            f"    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n"
            f"\n   ----- The following addresses had transient non-fatal errors -----\n<{_U}>\n"
            f"\n<{_U}>... Deferred: Connection timed out\n"
            f"Warning: message still undelivered after 4 hours\n",
            subject="Warning: could not send message for past 4 hours",
        ),
        "delayed",
        {_U: "4.0.0"},
        None,
    ),
    "exchange_2003": Case(
        plain(
            f"Your message\n\n  To:      noreply@rgz.example\n  Subject: Facture\n"
            f"  Sent:    Fri, 20 Feb 2026\n\ndid not reach the following recipient(s):\n"
            f"\n{_U} on Fri, 20 Feb 2026 10:00:00 +0000\n    The recipient name is not recognized\n"
            f"    MSEXCH:IMS:X:Y:Z 0 (000C05A6) Unknown Recipient\n",
            writer="System Administrator <postmaster@there.example>",
            subject="Undeliverable: Facture",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "exchange_online": Case(
        plain(
            f"Delivery has failed to these recipients or groups:\n\n{_U}<mailto:{_U}>\n"
            f"The email address you entered couldn't be found.\n"
            f"\nDiagnostic information for administrators:\n\nGenerating server: A.prod.example\n"
            f"\n{_U}\nRemote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'\n"
            f"\nOriginal message headers:\n\n{RETURNED.format(to=_U)}",
            writer="postmaster@tenant.example",
            subject="Undeliverable: Facture",
        ),
        "bounce",
        {_U: "5.1.10"},
    ),
    "exchange_dda": Case(
        plain(
            "Your message\n\n  To:      list@rgz.example\n\ndid not reach the following recipient(s):\n"
            "\nc=US;a= ;p=X;dda:SMTP=u@there.example; on Fri, 20 Feb\n"
            "    The recipient name is not recognized\n",
            writer="System Administrator <postmaster@there.example>",
            subject="Undeliverable: Facture",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "domino": Case(
        plain(
            f"Your message\n\n  Subject: Facture\n\nwas not delivered to:\n\n  {_U}\n\nbecause:\n"
            f"\n  User u ({_U}) not listed in Domino Directory\n",
            writer="Postmaster@there.example",
            subject="DELIVERY FAILURE: User u not listed",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "notes": Case(
        plain(
            with_copy(
                f"------- Failure Reasons  --------\n\nUser not listed in public Name & Address Book\n{_U}\n",
                "------- Returned Message --------",
            ),
            writer="POSTMASTER@there.example",
            subject="Undeliverable message",
        ),
        "bounce",
        {_U: "5.0.0"},
    ),
    "groupwise": Case(
        plain(
            f"The attached file had the following undeliverable recipient(s):\n\t{_U}\n"
            f"\nTranscript of session follows:\nCommand: RCPT TO, Return Code: 550 5.1.1 no such user\n",
            subject="Message status - undeliverable",
        ),
        "bounce",
        _ONE,
        None,
    ),
    "gmail": Case(
        plain(
            with_copy(
                f"Delivery to the following recipient failed permanently:\n\n     {_U}\n"
                f"\nTechnical details of permanent failure:\nThe error that the other server returned was:\n"
                f"550 5.1.1 <{_U}>... User Unknown\n",
                "----- Original message -----",
            ),
            writer="Mail Delivery Subsystem <mailer-daemon@provider.example>",
            subject="Delivery Status Notification (Failure)",
        ),
        "bounce",
        _ONE,
    ),
    "gmail_delay": Case(
        plain(
            with_copy(
                f"THIS IS A WARNING MESSAGE ONLY.\n\nDelivery to the following recipient has been delayed:\n"
                f"\n     {_U}\n\nMessage will be retried for 2 more day(s)\n",
                "----- Original message -----",
            ),
            subject="Delivery Status Notification (Delay)",
        ),
        "delayed",
        {_U: "4.0.0"},
    ),
    "yahoo": Case(
        plain(
            with_copy(
                f"Sorry, we were unable to deliver your message to the following address.\n\n<{_U}>:\n"
                f"Remote host said: 554 5.7.1 refused [BODY]\n",
                "--- Below this line is a copy of the message.",
            ),
            subject="Failure Notice",
        ),
        "bounce",
        {_U: "5.7.1"},
    ),
    "gmx": Case(
        plain(
            with_copy(
                f'This is a permanent error. The following address\nfailed:\n\n"{_U}":\n'
                f"SMTP error from remote server after RCPT command:\nhost: mx.there.example\n"
                f"5.1.1 <{_U}>... User Unknown\n",
                "--- The header of the original message is following. ---",
            )
        ),
        "bounce",
        _ONE,
    ),
    "mail_ru": Case(
        plain(
            with_copy(
                f"Это письмо создано автоматически.\n\nВаше письмо не может быть доставлено:\n\n  {_U}\n"
                f"    host mx.there.example [192.0.2.1]: 550 5.1.1 <{_U}>: no\n",
                "------ This is a copy of the message, including all the headers. ------",
            ),
            more=f"X-Failed-Recipients: {_U}\n",
        ),
        "bounce",
        _ONE,
    ),
    "zoho": Case(
        plain(
            f"This message was created automatically by mail delivery software.\n"
            f"\n{_U} Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 <{_U}>... no\n"
            f"v@there.example Error, ERROR_CODE :421, Host not reachable.\n"
        ),
        "bounce",
        {_U: "5.1.1", "v@there.example": "4.0.0"},
        None,
    ),
    "opensmtpd": Case(
        plain(
            with_copy(
                f"    Hi!\n\n    An error has occurred while attempting to deliver a message for\n"
                f"    the following list of recipients:\n\n{_U}: 550 5.1.1 <{_U}>... User Unknown\n",
                "    Below is a copy of the original message:",
            )
        ),
        "bounce",
        _ONE,
    ),
    "dragonfly": Case(
        plain(
            with_copy(
                f"There was an error delivering your mail to <{_U}>.\n"
                f"\nmx.there.example [192.0.2.1] did not like our RCPT TO:\n550 5.1.1 <{_U}>: no\n",
                "Message headers follow.",
            ),
            writer="MAILER-DAEMON <>",
            subject="Mail delivery failed",
        ),
        "bounce",
        _ONE,
    ),
    "courier": Case(
        plain(
            f"This is a delivery status notification from mx.example.\n\nUNDELIVERABLE MAIL\n"
            f"\nYour message to the following recipients cannot be delivered:\n\n<{_U}>:\n"
            f"    mx.there.example [192.0.2.1]:\n>>> RCPT TO:<{_U}>\n<<< 550 5.1.1 no\n"
        ),
        "bounce",
        _ONE,
        None,
    ),
    "mailmarshal": Case(
        plain(
            f"Your message:\n   From:    noreply@rgz.example\n   Subject: Facture\n"
            f"\nCould not be delivered because of\n\n550 5.1.1 User unknown\n"
            f"\nThe following recipients were affected: \n    {_U}\n\nAdditional Information\n======\n"
            f"Original Sender:    <noreply@rgz.example>\n",
            writer="postmaster@there.example",
            subject='Undeliverable Mail: "Facture"',
        ),
        "bounce",
        _ONE,
        None,
    ),
    "mimecast": Case(
        plain(
            f"This is an automated alert notification.\n"
            f"\nAn email that you attempted to send to the following address could not be delivered:\n"
            f"-- {_U}\n\nAdditional information follows :\n-- 5.4.1 Recipient address rejected\n",
            writer='"postmaster" <postmaster@there.example>',
            subject="[Postmaster] Email Delivery Failure",
        ),
        "bounce",
        {_U: "5.4.1"},
        None,
    ),
    "imail": Case(
        plain(
            with_copy(f"Unknown user: {_U}\n", "Original message follows."),
            writer='"Postmaster" <postmaster@x.example>',
            subject="Undeliverable Mail",
        ),
        "bounce",
        {_U: "5.0.0"},
    ),
    "mailfoundry": Case(
        plain(
            f"Unable to deliver message to: <{_U}>\nDelivery failed for the following reason:\n"
            f"Server mx.there.example[192.0.2.1] failed with: 550 No such user here\n",
            subject="Message delivery has failed",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "interscan": Case(
        plain(
            f"Sent <<< RCPT TO:<{_U}>\nReceived >>> 550 5.1.1 <{_U}>... user unknown\n\n****** End of message ******\n",
            writer='"InterScan MSS" <postmaster@x.example>',
            subject="Mail could not be delivered",
        ),
        "bounce",
        _ONE,
        None,
    ),
    "pmdf": Case(
        plain(
            f"Your message cannot be delivered to the following recipients:\n"
            f"\n  Recipient address: {_U}\n  Reason: Remote SMTP server has rejected address\n"
            f"  Diagnostic code: smtp; 550 5.7.1 no\n",
            subject="Delivery Notification: Delivery has failed",
        ),
        "bounce",
        {_U: "5.7.1"},
        None,
    ),
    "x_full_mailbox": Case(
        plain(f"User's mailbox is full: <{_U}>\nUnable to deliver mail.\n", subject="Returned mail: Facture"),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "x_unrecoverable": Case(
        plain(
            f"  ----- The following addresses had delivery problems -----\n{_U}  (unrecoverable error)\n",
            subject="Returned mail: User unknown",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "x_square_brackets": Case(
        plain(
            f"---The following addresses had delivery errors---\n\n{_U} [User unknown]\n",
            subject="Returned Mail: User unknown",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "x_in_a_sentence": Case(
        plain(
            f"1 error(s):\n"
            f"\nThe following recipients returned permanent errors: {_U}. Reason: [554 5.4.6 Hop count exceeded]\n",
            writer="mailer-daemon",
            subject="There was an error sending your mail",
        ),
        "bounce",
        {_U: "5.4.6"},
        None,
    ),
    "x_originally_addressed": Case(
        plain(
            f"Your message has encountered delivery problems\nto local user u.\n"
            f"(Originally addressed to {_U})\n\nUser not known\n",
            writer="postmaster@there.example",
            subject="Delivery failure",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "not_a_list_member": Case(
        plain(
            "You are not a member of this mailing list <u@there.example>.\n\nsend mail to\n"
            "\n\thelp-ctl@there.example\n",
            writer="list-admin@there.example",
            subject="You are not member",
        ),
        "bounce",
        {_U: "5.0.0"},
        None,
    ),
    "only_the_returned_mail_names_it": Case(
        plain(
            with_copy("Message could not be delivered to mobile.\nError: No valid recipients\n", "Original Message:"),
            writer="MMSC NDR Administrator <sysadmin@there.example>",
            subject="Undeliverable Message",
        ),
        "bounce",
        {_U: "5.0.0"},
    ),
    "html_alone": Case(
        parts(
            (
                "text/html; charset=utf-8",
                f"<html><style>p {{ x: 550 }}</style><p>Delivery to <b>{_U}</b> failed:<br>550 5.1.1 no such "
                f"user</p></html>",
            )
        ),
        "bounce",
        _ONE,
        None,
    ),
    "base64_text": Case(
        plain(
            "VGhlIGZvbGxvd2luZyBhZGRyZXNzIGZhaWxlZDoKCjx1QHRoZXJlLmV4YW1wbGU+OiA1NTAgNS4x\nLjEgbm8gc3VjaCB1c2VyCg==\n",
            more="Content-Transfer-Encoding: base64\n",
        ),
        "bounce",
        _ONE,
        None,
    ),
    "forwarded_by_a_person": Case(
        plain(
            f"> From: Mail Delivery Subsystem <MAILER-DAEMON>\n> Subject: Returned mail\n>\n"
            f">    ----- The following addresses had permanent fatal errors -----\n> <{_U}>\n"
            f">     (reason: 550 5.1.1 no)\n",
            writer="person@rgz.example",
            subject="Fwd: Returned mail: see transcript for details",
        ),
        "bounce",
        _ONE,
        None,
    ),
    # What is no report of delivery
    "automatic_reply": Case(
        plain(
            "Je suis absent.",
            writer="Person <u@there.example>",
            subject="Réponse automatique : Facture",
            more="Auto-Submitted: auto-replied\n",
        ),
        "auto_reply",
        {_U: None},
        None,
    ),
    "out_of_office_by_its_subject": Case(
        plain("550 reasons to be away", writer=f"Person <{_U}>", subject="Out of office: Facture"),
        "auto_reply",
        {_U: None},
        None,
    ),
    "receipt": Case(
        parts(
            ("text/plain", "It was read."),
            (
                "message/disposition-notification",
                f"Final-Recipient: rfc822; {_U}\nDisposition: manual-action; displayed\n",
            ),
            kind="report; report-type=disposition-notification",
        ),
        "none",
        {},
        None,
    ),
    "ordinary_mail": Case(
        b"From: Person <u@there.example>\nTo: support@rgz.example\nSubject: Question\n"
        b"\nMy address is v@there.example, 550 thanks.\n",
        "none",
        {},
        None,
    ),
    "newsletter": Case(
        b"From: News <news@there.example>\nTo: support@rgz.example\nSubject: Cinq conseils\n"
        b"List-Id: <news.there.example>\n\nv@there.example: 550 offers!\n",
        "none",
        {},
        None,
    ),
    "ticket_system": Case(
        plain(
            "Bonjour,\n\nNous avons bien reçu votre message adressé à aide@there.example.\nVotre ticket: 550123.\n",
            writer="Support <aide@there.example>",
            subject="[Ticket 550123] Votre demande",
            more="Auto-Submitted: auto-generated\n",
        ),
        "none",
        {},
        None,
    ),
    "list_that_waits_for_its_moderator": Case(
        plain(
            "Your mail to 'sales@there.example' with the subject\n\n    Facture\n\n"
            "is being held until the list moderator can review it for approval.\n",
            writer="sales-bounces@there.example",
            subject="Your message to Sales awaits moderator approval",
        ),
        "none",
        {},
        None,
    ),
}
