"""Bounce reports in plain text, from servers without RFC 3464: rules of ours, by the shape of a line.

Servers name a recipient in few ways: alone on a line, before a colon or three dots, behind a label, or in the
transcript of an SMTP session. The rules are tried from the surest to the loosest, and the first that finds a recipient
ends the search. The text between one recipient and the next belongs to the first.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from service.feedback.bounce.addresses import ADDRESS, addresses_in, trim
from service.feedback.bounce.dsn import read_fields, shorten, status_alone
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.feedback.bounce.report_text import is_report, text_of, words_of
from service.mail.encoded_words import decode_words
from service.mail.parser import MimePart
from service.mail.smtp_status import classify, find_reply, find_status, meant_status, settle_status


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern, compiled when it is first used: all of them take 0.1 s, and few processes need one."""

    pattern: str
    flags: int

    def finditer(self, words: str) -> Iterator[re.Match[str]]:
        return _compiled(self).finditer(words)


@cache
def _compiled(rule: _Rule) -> re.Pattern[str]:
    return re.compile(rule.pattern, rule.flags)


_A = r"<?(?P<address>" + ADDRESS.pattern + r")>?"
#: Alone on its line, or followed by text that servers put behind an address.
_ALONE = _Rule(
    rf"^[\s*>\-•|\"'(\[]{{0,12}}(?:{ADDRESS.pattern} (?=<))?{_A}[\"')\]]{{0,2}}\s*(?:$|:|;|,\s*$|\.{{3}}|\[|\("
    rf"|<|on \w{{3}}, |-{{1,3}}\s|=>|\|\s*$|\"|\t| {{2,}}|\s(?i:invalid|error|unknown|user|no such|is|was|has"
    rf"|not|mailbox|account|recipient|does|could|[45]\d\d|#)\b)",
    re.MULTILINE,
)
_LABEL = (
    r"(?:(?:final|original|failed|intended|affected|invalid|actual)[ -])?(?:recipient|addressee|destinatario"
    r"|destinataire|empf.nger)(?:\(?s\)?)?"
    r"(?:[ -](?:address|name))?|to|address|user|(?:e-?mail|mail) address|unknown user|no such user|envelope to"
    r"|mailbox|宛先|送信先"
)
_LABELLED = _Rule(
    rf"^[\s*>\-•|\[(]{{0,12}}(?:{_LABEL})(?:\s*[:=：]|\s+(?:was|is)\b|\s|(?=<))\s*[\"'\[]?{_A}",
    re.IGNORECASE | re.MULTILINE,
)
_PHRASES = (
    r"(?:deliver(?:ed|y|ing)?|sen[dt]|reach(?:ed)?|message|mail|failed|fail|failure|error|errors|attempts"
    r"|rejected|returned|bounced|delayed|undeliverable"
    r"|送信|recipients?|addresse?s?|unknown user|full|not found|quota)"
)
_IN_PHRASE = _Rule(
    rf"\b{_PHRASES}\b[^\n@<>]{{0,80}}?(?:\bto\b|\bfor\b|\brecipient\b|\baddress\b|\bmailbox\b|\buser\b|:"
    rf"|\bmember\b|\blist\b|\bin\b)[\s:]*[\"'\[(]?{_A}",
    re.IGNORECASE,
)
_IN_REPLY = _Rule(rf"^[\s<>*|:]{{0,8}}[45]\d\d[ -](?:\d\.\d\.\d{{1,3}} )?[^\n@]{{0,60}}?{_A}", re.MULTILINE)
_IN_COMMAND = _Rule(rf"RCPT TO:\s*{_A}", re.IGNORECASE)
_ON_LIST = _Rule(rf"\bnot (?:a )?(?:member|subscribed?r?)\b[^\n@]{{0,60}}?{_A}", re.IGNORECASE)
#: Exchange, for an address outside its own directory.
_DOMAIN_DEFINED = _Rule(rf"\bdda:SMTP={_A}", re.IGNORECASE)
_GENERATED = _Rule(rf"generated (?:by|from) {_A}", re.IGNORECASE)
_EXPANDED = _Rule(rf"expanded from:? {_A}", re.IGNORECASE)
#: From the surest to the loosest; those of one group are tried together.
_RULES = (
    (_ON_LIST,),
    (_ALONE, _DOMAIN_DEFINED),
    (_LABELLED,),
    (_IN_PHRASE,),
    (_IN_REPLY, _IN_COMMAND),
    (_GENERATED,),
    (_EXPANDED,),
)

#: Words before an address that is a contact or the sender.
_NOT_RECIPIENT = re.compile(
    r"(?:contact|e-?mail us|assistance|send (?:mail|e-?mail) to|write to|mail from"
    r"|(?<!expanded )(?<!generated )from|sender|return-path"
    r"|reply-to|sent by|message-?id|forward\w{0,8}"
    r"|help|support|questions?|ご連絡|お問い合わせ|kontakt|postmaster at|mail the|report it to)[\s:=<\"']{0,4}$",
    re.IGNORECASE,
)
#: Without any of these words a mail is no report of failure (a ticket system's thanks, a list's "wait").
_SAYS_FAILURE = re.compile(
    r"undeliver|deliver(?:y|ed)? (?:has |have )?fail|fail|could ?n[o']t|(?:not|never) (?:be |been )?(?:deliver"
    r"|sent|reach)"
    r"|not accept|did(?:n't| not) reach|unable to|wasn't able|were unable|error|reject|refus|denied|block(?:ed"
    r"|list)"
    r"|unknown|no such|not found|not listed|not recogni|does ?n[o']t (?:exist|have)|not exist|invalid|malformed"
    r"|incorrect"
    r"|no matches|not a (?:member|valid)|duplicated|disabled|discontinued|inactive|suspend|full\b|quota|exceed"
    r"|too (?:large|big|many)"
    r"|gave up|giving up|given up|time[d ]?-?out|expired|delay|deferred|retr(?:y|ied)|returned|bounce|loop"
    r"|problem|trouble"
    r"|n'a pas pu|pas (?:été )?(?:remis|distribu|livr)|échec|introuvable|inexistant|unzustellbar|nicht zugestellt"
    r"|fehlgeschlagen|no se (?:pudo|ha podido)|не может быть доставлен|エラー|送信でき|配信でき|存在し|失敗|一杯",
    re.IGNORECASE,
)
_DELAYED = re.compile(
    r"warning message only|this is a warning only|do not need to resend|has been delayed|is delayed for"
    r"|will be retried|still being retried"
    r"|will continue to (?:try|attempt)|delivery attempts will continue|will keep trying"
    r"|temporary failure report|delayed mail|still be trying"
    r"|could not send (?:mail|message) for past|retry for (?:another|up to)|will try (?:again|for)"
    r"|not yet been delivered|再送",
    re.IGNORECASE,
)
_GAVE_UP = re.compile(
    r"giving up|given up|gave up|not going to try again|will not (?:be retried|try|retry)|no further (?:attempt"
    r"|deliver)|permanent(?:ly)?\b|deleted from queue",
    re.IGNORECASE,
)
_TEMPORARY_WORDS = re.compile(
    r"retry time(?:out exceeded| not reached)|hosts.{0,40} have been failing for a long time", re.IGNORECASE
)
#: Recipients whose reasons are looked for, each in the whole text.
_MAX_NAMED = 100
_MAX_SUBJECT_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class _Named:
    """An address, and the position in the text where its line begins."""

    address: str
    start: int


def read_words(mail: MimePart, returned: MimePart | None) -> tuple[list[RecipientStatus], MimePart | None]:
    """Parse a plain-text report into statuses, and the returned mail's headers; [] where it is no report."""
    words, quoted = words_of(mail)
    returned = returned or quoted
    statuses = _in_fields(words) or _in_fields(text_of(mail))
    if statuses or not is_report(mail):
        return statuses, returned
    subject = decode_words(mail.header("subject")[:_MAX_SUBJECT_LENGTH])
    if not (find_reply(words) or find_status(words) or _SAYS_FAILURE.search(words or subject)):
        return [], returned
    strangers = _not_recipients(mail, returned)
    daemon = {address.lower() for address in addresses_in(mail.header("from"))}
    named = (
        _failed_header(mail, words)
        or _named(words, strangers)
        or _named(words, daemon)  # a mail to ourselves may bounce, too
        or _named(text_of(mail), strangers)
    )
    if not named and returned is not None:
        named = [_Named(address, 0) for address in _written_to(returned) if address.lower() not in strangers]
    found = _statuses(named[:_MAX_NAMED], words, subject)
    alone = status_alone(mail) if len(found) == 1 else None
    return [_with_status(found[0], alone)] if alone else found, returned


def _with_status(recipient: RecipientStatus, status: str) -> RecipientStatus:
    refusal = classify(status, None, recipient.diagnostic or "")
    return replace(recipient, status=status, subtype=refusal.feedback_subtype, suppresses=refusal.suppresses)


def _in_fields(text: str) -> list[RecipientStatus]:
    """Parse fields of RFC 3464 in the text: broken MIME, or a server that prints them for people."""
    place = re.search(r"^[ \t>]*(?:final|original)-recipient[ \t]*:", text, re.IGNORECASE | re.MULTILINE)
    if place is None:
        return []
    begin = text.rfind("\n\n", 0, place.start())
    found: dict[str, RecipientStatus] = {}
    for status in read_fields(re.sub(r"^[ \t]+(?=[A-Z][\w-]+: )", "", text[max(begin, 0) :], flags=re.MULTILINE)):
        found.setdefault(status.address.lower(), status)
    return list(found.values())


def _failed_header(mail: MimePart, words: str) -> list[_Named]:
    """Return the recipients in X-Failed-Recipients (Exim, Gmail)."""
    addresses = [address for value in mail.every("x-failed-recipients") for address in addresses_in(value)]
    low = words.lower()
    return [_place(address, low) for address in list(dict.fromkeys(addresses))[:_MAX_NAMED]]


def _place(address: str, words: str) -> _Named:
    start = words.find(address.lower())
    return _Named(address, words.rfind("\n", 0, start) + 1 if start >= 0 else 0)


def _named(words: str, strangers: set[str]) -> list[_Named]:
    for rules in _RULES if "@" in words else ():
        found: dict[str, _Named] = {}
        for match in sorted(
            (match for rule in rules for match in rule.finditer(words)), key=lambda match: match.start()
        ):
            address = trim(match["address"])
            begin = words.rfind("\n", 0, match.start("address")) + 1
            line = words[begin : match.start("address")]
            if address.lower() not in strangers and not _NOT_RECIPIENT.search(line):
                found.setdefault(address.lower(), _Named(address, begin))
        if found:
            return list(found.values())
    return []


def _not_recipients(mail: MimePart, returned: MimePart | None) -> set[str]:
    """Return sender and recipients of the report itself: none failed, unless we wrote to ourselves."""
    headers = [mail.header(name) for name in ("from", "to", "return-path", "reply-to", "x-original-to", "delivered-to")]
    people = {address.lower() for value in headers for address in addresses_in(value)}
    if returned is not None:
        writers = [returned.header(name) for name in ("from", "return-path", "reply-to", "sender")]
        people |= {address.lower() for value in writers for address in addresses_in(value)}
        people -= {address.lower() for address in _written_to(returned)}
    return people


def _written_to(returned: MimePart) -> list[str]:
    names = ("x-envelope-to", "envelope-to", "to", "cc")
    found = [address for name in names for value in returned.every(name) for address in addresses_in(value)]
    return list(dict.fromkeys(found))


def _statuses(named: Sequence[_Named], words: str, subject: str) -> list[RecipientStatus]:
    delayed = bool(_DELAYED.search(words) or re.search(r"\bdelay(?:ed)?\b|^warning\b", subject, re.IGNORECASE))
    kind = MailKind.DELAYED if delayed and not _GAVE_UP.search(words) else MailKind.BOUNCE
    if not named:
        return []
    in_order = sorted(named, key=lambda one: one.start)
    ends = [after.start for after in in_order[1:]] + [len(words)]
    said = {one.address: words[one.start : end] for one, end in zip(in_order, ends, strict=True)}
    return [_status_of(one.address, said[one.address], words, kind, alone=len(named) == 1) for one in named]


def _status_of(address: str, said: str, words: str, kind: MailKind, *, alone: bool) -> RecipientStatus:
    about = re.sub(rf"^[\s*>\"'(\[<]*{re.escape(address)}[>\])\"']*[\s:;.,]*", "", said, flags=re.IGNORECASE)
    mentions = "\n".join(line for line in words.split("\n") if address.lower() in line.lower())
    first = said.partition("\n")[0]
    places = [first] if re.match(r"[\s<>|]*[45]\d\d[ -]", first) else []
    places += [said, mentions, words] if alone else [said, mentions]
    for text in places:
        status, reply = settle_status(None, text)
        if status is not None:
            refusal = classify(status, reply, text)
            diagnostic = shorten(about or text) or None
            return RecipientStatus(
                kind, address, status, reply, refusal.feedback_subtype, diagnostic, refusal.suppresses
            )
    text = words if alone else said or words
    status = "4.0.0" if kind is MailKind.DELAYED or _TEMPORARY_WORDS.search(text) else meant_status(text)
    refusal = classify(status, None, text)
    diagnostic = shorten(about or words) or None
    return RecipientStatus(kind, address, status, None, refusal.feedback_subtype, diagnostic, refusal.suppresses)
