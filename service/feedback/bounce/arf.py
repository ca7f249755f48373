"""Complaints in the Abuse Reporting Format (ARF, RFC 5965)."""

from service.feedback.bounce.addresses import address_of, addresses_in
from service.feedback.bounce.dsn import MAX_RECIPIENTS, shorten
from service.feedback.bounce.original_message import rfc_message_id
from service.feedback.bounce.report import MailKind, ParsedReport, RecipientStatus
from service.feedback.event import NOT_A_COMPLAINT
from service.mail.parser import MimePart, read_headers


def read_complaint(mail: MimePart, returned: MimePart | None) -> ParsedReport | None:
    """Parse a feedback report and the mail returned with it; None where this is no such report.

    Redacted addresses (RFC 6590) are left out, so that a complaint may name no recipient. Feedback that is no complaint
    is `MailKind.NONE`.
    """
    reports = [part for part in mail.walk() if part.content_type == "message/feedback-report"]
    if not reports:
        return _unformatted(mail, returned)
    fields = read_headers(reports[0].text)
    feedback = fields.header("feedback-type").strip().lower()
    named = [address_of(value) for name in ("original-rcpt-to", "removal-recipient") for value in fields.every(name)]
    people = list(dict.fromkeys(address for address in named if address))
    if not people and returned is not None:
        for name in ("x-hmxmroriginalrecipient", "x-original-to", "delivered-to", "to"):
            people = people or [address for value in returned.every(name) for address in addresses_in(value)]
    kind = MailKind.NONE if feedback in NOT_A_COMPLAINT else MailKind.COMPLAINT
    words = shorten(f"{feedback} {fields.header('user-agent')}") or None
    statuses = [RecipientStatus(kind, address, subtype=feedback or None, diagnostic=words) for address in people]
    return ParsedReport(kind, tuple(statuses[:MAX_RECIPIENTS]), rfc_message_id(returned))


def _unformatted(mail: MimePart, returned: MimePart | None) -> ParsedReport | None:
    """Parse a complaint of Microsoft's Junk Mail Reporting Program: the mail alone, its recipient in a header."""
    value = returned.header("x-hmxmroriginalrecipient") if returned is not None else ""
    if not value or mail.content_type == "multipart/report":
        return None
    statuses = [RecipientStatus(MailKind.COMPLAINT, address, subtype="abuse") for address in addresses_in(value)]
    return ParsedReport(MailKind.COMPLAINT, tuple(statuses[:MAX_RECIPIENTS]), rfc_message_id(returned))
