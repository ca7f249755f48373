"""Parse a returned mail of any format into statuses of recipients. Which message it is about is not verified here.

Readers are tried in the order in which one format could be mistaken for another: formats that name themselves first,
plain text last.
"""

from service.feedback.bounce import arf, dsn, plain_text
from service.feedback.bounce.auto_reply import read_auto_reply
from service.feedback.bounce.flufl import read_with_flufl
from service.feedback.bounce.original_message import find_returned, rfc_message_id
from service.feedback.bounce.report import MailKind, ParsedReport
from service.feedback.bounce.report_text import is_report, words_of
from service.feedback.bounce.ses_notification import read_notification
from service.mail.parser import MimePart


def read_mail(mail: MimePart, raw: bytes) -> ParsedReport:
    """Parse a returned mail; `raw` are the bytes of `mail`."""
    notification = read_notification(mail)
    if notification is not None:
        return notification
    returned = find_returned(mail)
    complaint = arf.read_complaint(mail, returned)
    if complaint is not None:
        return complaint
    if _is_receipt(mail):
        return ParsedReport(MailKind.NONE, (), rfc_message_id(returned))
    statuses = dsn.read_statuses(mail)
    if statuses and returned is None:
        _, returned = words_of(mail)
    if not statuses:
        answers = read_auto_reply(mail)
        if answers is not None:
            return ParsedReport(MailKind.AUTO_REPLY, tuple(answers), _answered(mail))
        statuses, returned = plain_text.read_words(mail, returned)
    if not statuses and is_report(mail):
        statuses = read_with_flufl(raw)
    return ParsedReport(dsn.gravest(statuses), tuple(statuses), rfc_message_id(returned))


def _is_receipt(mail: MimePart) -> bool:
    """True for a receipt (RFC 3798): it tells that a mail was opened or deleted, nothing about delivery."""
    return any(part.content_type == "message/disposition-notification" for part in mail.walk())


def _answered(mail: MimePart) -> str | None:
    return mail.header("in-reply-to").strip().strip("<>") or None
