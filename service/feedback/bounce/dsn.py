"""Delivery status notifications: RFC 3464 (and RFC 1894 before it), RFC 6533 for addresses in UTF-8."""

import re
from collections.abc import Iterator, Sequence

from service.feedback.bounce.addresses import address_of, without_xtext
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.mail.parser import MimePart, decode_words
from service.mail.smtp_status import classify, meant_status, parse_status, settle_status

STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
MAX_RECIPIENTS = 1_000
MAX_DIAGNOSTIC_LENGTH = 1_000

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)")
_SOURCE_ROUTE = re.compile(r"[^;]*;\s*<?@[^\s:]+:")  # RFC 5321, appendix C
_RECIPIENT_FIELDS = ("final-recipient", "original-recipient", "x-actual-recipient", "final-log-id")
#: RFC 3464, 2.3.3; `relayed` and `expanded` say that we shall hear no more, and so that all went well.
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
    """What the status parts of a mail say, of each recipient once; [] where there are none."""
    found: dict[str, RecipientStatus] = {}
    for part in mail.walk():
        if part.content_type in STATUS_TYPES:
            for statement in read_fields(part.text):
                found.setdefault(statement.address.lower(), statement)
    return list(found.values())


def read_fields(text: str) -> list[RecipientStatus]:
    """What a text of fields says: one group for each recipient, apart by blank lines or by a field that comes again."""
    statements = []
    for group in _groups(text):
        if statement := _statement(group):
            statements.append(statement)
        if len(statements) >= MAX_RECIPIENTS:
            break
    return statements


def status_alone(mail: MimePart) -> str | None:
    """The one status that status parts hold beside a recipient that is no address (a pipe, a folder); else None."""
    found = set()
    for part in mail.walk():
        if part.content_type in STATUS_TYPES:
            for fields in _groups(part.text):
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
        matched = _FIELD.match(line)
        if line[0] in " \t" or not matched:
            if last:
                group[last] += ("\n" if last == "diagnostic-code" else " ") + line.strip()
            continue
        name = matched[1].lower()
        if name in group and name in ("final-recipient", "original-recipient"):
            yield group
            group = {}
        last = name
        if name not in group:
            group[name] = matched[2].strip()
        else:
            group[name] += " " + matched[2].strip()
    yield group


def _statement(fields: Fields) -> RecipientStatus | None:
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
        field = None  # a failure with the status of a success (seen in the wild): its words decide
    status, reply = settle_status(field, words)
    status = status or ("4.0.0" if kind is MailKind.DELAYED else meant_status(words))
    refusal = classify(status, reply, words)
    return RecipientStatus(kind, address, status, reply, refusal.subtype, words or None, refusal.suppresses)


def _recipient(fields: Fields) -> str | None:
    """The address that we wrote to: RFC 3464, 2.3.1 and 2.3.2."""
    final = address_of(fields.get("final-recipient", ""))
    original = address_of(fields.get("original-recipient", ""))
    if original is not None and final is not None and without_xtext(original).lower() == final.lower():
        return final
    if original is not None and _SOURCE_ROUTE.match(fields.get("final-recipient", "")):
        return original  # a way through the server's own network says nothing to us
    actual = address_of(fields.get("x-actual-recipient", ""))
    return final or original or actual


def _words(fields: Fields) -> str:
    words = decode_words(fields.get("diagnostic-code", ""))
    words = re.sub(r"^\s*(?:smtp|x-[\w-]+|unix|lmtp|x\.400|dns)\s*;\s*", "", words, flags=re.IGNORECASE)
    return shorten(words)


def shorten(words: str) -> str:
    """A server's words on one line, not longer than we keep."""
    return " ".join(words.split())[:MAX_DIAGNOSTIC_LENGTH]


def gravest(statements: Sequence[RecipientStatus]) -> MailKind:
    """The kind of a mail that says all this."""
    order = [MailKind.BOUNCE, MailKind.COMPLAINT, MailKind.DELAYED, MailKind.DELIVERED]
    kinds = {statement.kind for statement in statements}
    return next((kind for kind in order if kind in kinds), MailKind.NONE)
