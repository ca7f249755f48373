"""Automatic replies of mailboxes (RFC 3834), which say nothing about delivery and must not be taken for bounces."""

import re

from service.feedback.bounce.addresses import addresses_in
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.mail.encoded_words import decode_words
from service.mail.parser import MimePart

_SUBJECT = re.compile(
    r"^\s*(?:re: ?)?(?:\[?auto(?:matic|mated)?[- ]?(?:reply|response|respon\w*|answer)|auto:"
    r"|out of (?:the )?office|away from|i am away"
    r"|on vacation|vacation|absence|réponse automatique|absent|automatische antwort|abwesenheit|respuesta autom"
    r"|risposta automatica|automatyczna|自動)",
    re.IGNORECASE,
)
_AWAY = re.compile(r"^(?:away|absent|out of office|abwesend)\b", re.IGNORECASE)
#: Of a header.
_MAX_CHARACTERS = 2_000
_BY_A_SERVER = re.compile(r"mailer[-_ ]?daemon|post_?master|mail delivery|mail system", re.IGNORECASE)


def read_auto_reply(mail: MimePart) -> list[RecipientStatus] | None:
    """Parse an automatic reply; None where this is none, or a server's report that calls itself one."""
    writer = decode_words(mail.header("from")[:_MAX_CHARACTERS])
    people = addresses_in(writer)
    if not people or mail.content_type == "multipart/report" or mail.header("x-failed-recipients"):
        return None
    if _BY_A_SERVER.search(writer):
        return None
    submitted = mail.header("auto-submitted").partition(";")[0].strip().lower()
    subject = decode_words(mail.header("subject")[:_MAX_CHARACTERS])
    answers = (
        submitted.startswith("auto-replied")
        or mail.header("precedence").strip().lower() in ("auto_reply", "auto-reply")
        or any(mail.header(name) for name in ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autoresponder"))
        or _SUBJECT.match(subject)
        or _AWAY.match(subject)
    )
    if not answers:
        return None
    return [RecipientStatus(MailKind.AUTO_REPLY, address) for address in people[:1]]
