"""Bytes of a mail that came back -> what it says. Never raises; trusts nothing: whose mail it is about is asked later.

The readers are asked in the order of what can be mistaken for what: a format that names itself first, words last.
"""

import structlog

from service.feedback.bounce import arf, dsn, plain_text
from service.feedback.bounce.auto_reply import read_auto_reply
from service.feedback.bounce.flufl import read_with_flufl
from service.feedback.bounce.original_message import find_returned, rfc_message_id
from service.feedback.bounce.report import MailKind, ParsedReport
from service.feedback.bounce.report_text import is_report, words_of
from service.feedback.bounce.ses_notification import read_notification
from service.mail.parser import MimePart, read

_log = structlog.get_logger("feedback")


def parse_bounce(raw: bytes) -> ParsedReport:
    """What this mail says became of other mail."""
    try:
        return read_mail(read(raw), raw)
    except Exception as error:  # anybody may send a mail; a fault of ours must not keep others from being read
        _log.error("mail_could_not_be_read", size_bytes=len(raw), exc_info=error)
        return ParsedReport(MailKind.NONE)


def read_mail(mail: MimePart, raw: bytes) -> ParsedReport:
    """The same of a mail whose parts are known already; a fault of ours is raised."""
    notification = read_notification(mail)
    if notification is not None:
        return notification
    returned = find_returned(mail)
    complaint = arf.read_complaint(mail, returned)
    if complaint is not None:
        return complaint
    if _is_receipt(mail):
        return ParsedReport(MailKind.NONE, (), rfc_message_id(returned))
    statements = dsn.read_statuses(mail)
    if statements and returned is None:
        _, returned = words_of(mail)
    if not statements:
        answers = read_auto_reply(mail)
        if answers is not None:
            return ParsedReport(MailKind.AUTO_REPLY, tuple(answers), _answered(mail))
        statements, returned = plain_text.read_words(mail, returned)
    if not statements and is_report(mail):
        statements = read_with_flufl(raw)
    return ParsedReport(dsn.gravest(statements), tuple(statements), rfc_message_id(returned))


def _is_receipt(mail: MimePart) -> bool:
    """RFC 3798: a person's program says that a mail was opened or deleted; of delivery it says nothing new."""
    return any(part.content_type == "message/disposition-notification" for part in mail.walk())


def _answered(mail: MimePart) -> str | None:
    return mail.header("in-reply-to").strip().strip("<>") or None
