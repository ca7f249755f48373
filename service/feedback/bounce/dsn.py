"""Delivery status notifications (DSN): RFC 3464, RFC 1894 before it, RFC 6533 for addresses in UTF-8."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from service.feedback.bounce.addresses import address_of, without_xtext
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.mail.encoded_words import decode_words
from service.mail.parser import MimePart
from service.mail.smtp_status import classify, meant_status, parse_status, settle_status

STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
MAX_RECIPIENTS = 1_000
MAX_DIAGNOSTIC_LENGTH = 1_000
#: Groups of fields that are read, with and without a recipient, and characters of a field.
_MAX_GROUPS = 2_000
_MAX_FIELD_LENGTH = 8_000

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)")
_SOURCE_ROUTE = re.compile(r"[^;]*;\s*<?@[^\s:]+:")  # RFC 5321, appendix C
_RECIPIENT_FIELDS = ("final-recipient", "original-recipient", "x-actual-recipient", "final-log-id")
#: RFC 3464, 2.3.3; after `relayed` and `expanded` no further report comes, so they count as delivered.
_ACTIONS = {
    "failed": MailKind.BOUNCE,
    "failure": MailKind.BOUNCE,
    "expired": MailKind.BOUNCE,
    "delayed": MailKind.DELAYED,
    "delivered": MailKind.DELIVERED,
    "deliverable": MailKind.DELIVERED,  # Postfix's answer to `sendmail -bv`
    "relayed": MailKind.DELIVERED,
    "expanded": MailKind.DELIVERED,
}

Fields = dict[str, str]


def read_statuses(mail: MimePart) -> list[RecipientStatus]:
    """Parse the status parts of a mail: each recipient once; [] without any."""
    found: dict[str, RecipientStatus] = {}
    for part in mail.walk():
        if part.content_type in STATUS_TYPES and len(found) < MAX_RECIPIENTS:
            for status in read_fields(part.text):
                found.setdefault(status.address.lower(), status)
    return list(found.values())[:MAX_RECIPIENTS]


def read_fields(text: str) -> list[RecipientStatus]:
    """Parse a text of fields: one group for each recipient, separated by blank lines or by a repeated field."""
    statuses = []
    for group in islice(_groups(text), _MAX_GROUPS):
        if status := _status_of(group):
            statuses.append(status)
        if len(statuses) >= MAX_RECIPIENTS:
            break
    return statuses


def status_alone(mail: MimePart) -> str | None:
    """Return the only status in the status parts, where the recipient is no address (a pipe, a folder); else None."""
    found = set()
    for part in mail.walk():
        if part.content_type in STATUS_TYPES:
            for fields in islice(_groups(part.text), _MAX_GROUPS):
                if status := parse_status(fields.get("status", "")):
                    found.add(status)
    return found.pop() if len(found) == 1 else None


def _groups(text: str) -> Iterator[Fields]:
    group: Fields = {}
    last = ""
    for line in text.split("\n"):
        if not line.strip():
            last = ""
            if any(name in group for name in _RECIPIENT_FIELDS) and ("status" in group or "action" in group):
                yield group
                group = {}
            continue
        matched = _FIELD.match(line[:_MAX_FIELD_LENGTH])
        if line[0] in " \t" or not matched:
            if last:
                _add(group, last, line, "\n" if last == "diagnostic-code" else " ")
            continue
        name = matched[1].lower()
        if name in group and name in ("final-recipient", "original-recipient"):
            yield group
            group = {}
        last = name
        _add(group, name, matched[2], " ")
    yield group


def _add(group: Fields, name: str, text: str, between: str) -> None:
    """Add text to a field up to its longest length, beyond which each of many lines would copy it."""
    have = group.get(name)
    if have is None:
        group[name] = text.strip()[:_MAX_FIELD_LENGTH]
    elif len(have) < _MAX_FIELD_LENGTH:
        group[name] = f"{have}{between}{text.strip()}"[:_MAX_FIELD_LENGTH]


def _status_of(fields: Fields) -> RecipientStatus | None:
    address = _recipient(fields)
    action = re.split(r"[\s(;]", fields.get("action", "").strip().lower(), maxsplit=1)[0]
    if address is None or not ("action" in fields or "status" in fields):
        return None
    words = _words(fields)
    field = parse_status(fields.get("status", ""))
    kind = _ACTIONS.get(action)
    if kind is None:
        kind = MailKind.DELIVERED if field is not None and field[0] == "2" else MailKind.BOUNCE
    if kind is MailKind.DELIVERED:
        return RecipientStatus(kind, address, status=field, diagnostic=words or None)
    if field is not None and field[0] == "2":
        field = None  # a failure with the status of a success, as some servers send: the words decide
    status, reply = settle_status(field, words)
    status = status or ("4.0.0" if kind is MailKind.DELAYED else meant_status(words))
    refusal = classify(status, reply, words)
    return RecipientStatus(kind, address, status, reply, refusal.feedback_subtype, words or None, refusal.suppresses)


def _recipient(fields: Fields) -> str | None:
    """Return the address that we wrote to (RFC 3464, 2.3.1 and 2.3.2)."""
    final = address_of(fields.get("final-recipient", ""))
    original = address_of(fields.get("original-recipient", ""))
    if original is not None and final is not None and without_xtext(original).lower() == final.lower():
        return final
    if original is not None and _SOURCE_ROUTE.match(fields.get("final-recipient", "")):
        return original  # a source route is internal to the server's network
    actual = address_of(fields.get("x-actual-recipient", ""))
    return final or original or actual


def _words(fields: Fields) -> str:
    # Some gateways have the remote server's words in a field of their own, in angle brackets.
    words = fields.get("diagnostic-code") or fields.get("x-supplementary-info", "").strip("<> ")
    words = decode_words(words)
    words = re.sub(r"^\s*(?:smtp|x-[\w-]+|unix|lmtp|x\.400|dns)\s*;\s*", "", words, flags=re.IGNORECASE)
    return shorten(words)


def shorten(words: str) -> str:
    """Return a server's words on one line, cut to the length that is stored."""
    return " ".join(words.split())[:MAX_DIAGNOSTIC_LENGTH]


def gravest(statuses: Sequence[RecipientStatus]) -> MailKind:
    """Return the kind of a mail with these statuses."""
    order = [MailKind.BOUNCE, MailKind.COMPLAINT, MailKind.DELAYED, MailKind.DELIVERED]
    kinds = {status.kind for status in statuses}
    return next((kind for kind in order if kind in kinds), MailKind.NONE)
