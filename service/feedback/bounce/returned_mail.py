"""Content of a returned mail as plain values: reading its bytes needs no database, key, clock or network.

So the reading can be done in another process, which hands the value over as JSON.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from service.feedback.bounce.original_message import find_returned
from service.feedback.bounce.parse import read_mail
from service.feedback.bounce.report import MailKind, ParsedReport, RecipientStatus
from service.mail import return_path
from service.mail.parser import MimePart, read

#: Headers that may hold the address that a mail was delivered to, the surest first; `Received` in "for <address>".
_DELIVERED_TO = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "to", "cc", "received")
#: Headers of a returned mail that may hold its return path.
_SENT_FROM = ("return-path", "x-envelope-from", "x-original-from")
_MAX_RECIPIENTS = 1_000
#: RFC 5321, 4.5.3.1: an address has at most 64 + 1 + 255 octets. A longer one is not cut: it would be another address.
_MAX_ADDRESS_LENGTH = 320
#: RFC 5322, 2.1.1: a line, and so a Message-ID, has at most 998 characters.
_MAX_ID_LENGTH = 998
_MAX_SUBTYPE_LENGTH = 100
_MAX_DIAGNOSTIC_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class ReturnedMail:
    """A mail as it was read, bounded in number and length.

    `return_paths` are the codes of return paths that it names, not verified (`mail.return_path.verified`), the surest
    first. `report` is what it says of recipients.
    """

    return_paths: tuple[str, ...]
    report: ParsedReport

    def as_json(self) -> str:
        """Return it in ASCII: a lone surrogate is an escape there."""
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ReturnedMail":
        """Read what `as_json` wrote. Raises ValueError for anything else."""
        try:
            return msgspec.convert(json.loads(text), cls)
        except (msgspec.ValidationError, RecursionError) as error:
            raise ValueError("this is no returned mail") from error

    @property
    def gravest(self) -> RecipientStatus | None:
        """The gravest status, None without one. A message has one recipient: others that are named got it from there.

        A complaint whose recipient is redacted (RFC 6590) has an empty address.
        """
        kind = self.report.kind
        about = [one for one in self.report.recipients if one.kind is kind and kind not in _SAYS_NOTHING]
        if not about and kind is MailKind.COMPLAINT:
            return RecipientStatus(MailKind.COMPLAINT, "")
        return next((one for one in about if one.bounce_type == "permanent"), next(iter(about), None))


#: Kinds of mails that say nothing about delivery.
_SAYS_NOTHING = frozenset({MailKind.AUTO_REPLY, MailKind.NONE})


def read_returned_mail(raw: bytes) -> ReturnedMail:
    """Read a mail. It may be anybody's: what it says counts for no message before its return path is verified."""
    mail = read(raw)
    return ReturnedMail(tuple(return_path.codes_in(_return_paths(mail))), _bounded(read_mail(mail, raw)))


def _return_paths(mail: MimePart) -> Iterator[str]:
    """Yield texts that may hold a return path: recipients of the mail, senders of the returned one."""
    for name in _DELIVERED_TO:
        yield from mail.every(name)
    returned = find_returned(mail)
    if returned is not None:
        for name in _SENT_FROM:
            yield from returned.every(name)
    for part in mail.walk():
        if part.content_type == "message/feedback-report":
            yield part.text


def _bounded(report: ParsedReport) -> ParsedReport:
    message_id = report.original_message_id
    named = [_shortened(one) for one in report.recipients if len(one.address) <= _MAX_ADDRESS_LENGTH]
    return ParsedReport(
        report.kind,
        tuple(named[:_MAX_RECIPIENTS]),
        message_id if message_id is not None and len(message_id) <= _MAX_ID_LENGTH else None,
    )


def _shortened(status: RecipientStatus) -> RecipientStatus:
    subtype, diagnostic = status.subtype, status.diagnostic
    return replace(
        status,
        subtype=subtype[:_MAX_SUBTYPE_LENGTH] if subtype is not None else None,
        diagnostic=diagnostic[:_MAX_DIAGNOSTIC_LENGTH] if diagnostic is not None else None,
    )
