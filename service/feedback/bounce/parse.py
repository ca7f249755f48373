"""Bytes of a mail that came back -> what it says. Never raises; trusts nothing: whose mail it is about is asked later.

The readers are asked in the order of what can be mistaken for what: a format that names itself first, words last.
"""

import structlog

from service.feedback.bounce import arf, dsn, plain_text
from service.feedback.bounce.auto_reply import read_auto_reply
from service.feedback.bounce.flufl import read_with_flufl
from service.feedback.bounce.original_message import find_returned, message_id
from service.feedback.bounce.report import MailKind, Reading
from service.feedback.bounce.report_text import is_report, words_of
from service.feedback.bounce.ses_notification import read_notification
from service.mail.parser import Part, read

_log = structlog.get_logger("feedback")


def read_bounce(raw: bytes) -> Reading:
    """What this mail says became of other mail."""
    try:
        return read_mail(read(raw), raw)
    except Exception as error:  # anybody may send a mail; a fault of ours must not keep others from being read
        _log.error("mail_could_not_be_read", size_bytes=len(raw), exc_info=error)
        return Reading(MailKind.NONE)


def read_mail(mail: Part, raw: bytes) -> Reading:
    """The same of a mail whose parts are known already; a fault of ours is raised."""
    notification = read_notification(mail)
    if notification is not None:
        return notification
    returned = find_returned(mail)
    complaint = arf.read_complaint(mail, returned)
    if complaint is not None:
        return complaint
    if _is_receipt(mail):
        return Reading(MailKind.NONE, (), message_id(returned))
    statements = dsn.read_statuses(mail)
    if statements and returned is None:
        _, returned = words_of(mail)
    if not statements:
        answers = read_auto_reply(mail)
        if answers is not None:
            return Reading(MailKind.AUTO_REPLY, tuple(answers), _answered(mail))
        statements, returned = plain_text.read_words(mail, returned)
    if not statements and is_report(mail):
        statements = read_with_flufl(raw)
    return Reading(dsn.gravest(statements), tuple(statements), message_id(returned))


def _is_receipt(mail: Part) -> bool:
    """RFC 3798: a person's program says that a mail was opened or deleted; of delivery it says nothing new."""
    return any(part.content_type == "message/disposition-notification" for part in mail.walk())


def _answered(mail: Part) -> str | None:
    return mail.header("in-reply-to").strip().strip("<>") or None
