"""Codes in a server's words: SMTP replies (RFC 5321), enhanced statuses (RFC 3463), and what they mean."""

import re

#: Not part of a version, an IP address or a longer number.
_STATUS = re.compile(r"(?<![\w.\-/])[#(\[]?([45])\.([0-7])\.(\d{1,3})(?![\d.]*\d)(?!\.\d)")
_STATUS_AFTER_CODE = re.compile(r"\b[45]\d\d[- ]#?([45]\.[0-7]\.\d{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\w.\-/@#=+])(?<![\d\]]:)#?([45][0-5]\d)(?=$|[\s:\-,;)\]\"'(<.#]|\.?$)(?![.\-]\d)")
#: Numbers that are no replies though they look like one: sizes, ports, times, years of a log line.
_NO_REPLY_AFTER = re.compile(r"^\s*(?:seconds?|minutes?|hours?|days?|bytes|[kmg]b\b|messages?|times|recipients)", re.I)
_VAGUE = re.compile(r"[245]\.0\.0")

_SAYS_TEMPORARY = re.compile(
    r"\btemporar(?:y|ily)\b|\bpersistent transient\b|\btry again later\b|\btransient\b", re.IGNORECASE
)

#: RFC 3463, 3 and the IANA registry of enhanced status codes, in the words of Amazon SES.
_SUBTYPES = {
    "1.0": "NoEmail",
    "1.1": "NoEmail",
    "1.2": "NoEmail",
    "1.3": "NoEmail",
    "1.6": "NoEmail",
    "1.10": "NoEmail",
    "2.0": "NoEmail",
    "2.1": "NoEmail",
    "2.2": "MailboxFull",
    "2.3": "MessageTooLarge",
    "3.1": "MailboxFull",
    "3.4": "MessageTooLarge",
    "6.0": "ContentRejected",
    "6.1": "ContentRejected",
    "6.2": "ContentRejected",
}
_FULL = re.compile(
    r"(?:mail)?box(?: is|'s)?(?: \w+)? full|quota[ -]?(?:is )?exceed|exceed\w*.{0,40}\bquota|over\s?quota"
    r"|over the (?:\w+ )?quota"
    r"|mailbox size limit|insufficient (?:disk|system|storage)|\bno space left\b|is full\b|容量",
    re.IGNORECASE,
)
_LARGE = re.compile(
    r"message (?:size )?(?:is )?(?:too (?:large|big)|exceeds)|size limit exceed|exceed\w* (?:the )?(?:maximum"
    r"|fixed) (?:message|\w+ size)",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"(?:user|recipient|mailbox|account|address|addressee)(?: name| address)?(?: \S+)?(?: is| was|\.\.\.)? ?"
    r"(?:unknown|not found|not known|does ?n[o']t exist|unavailable|not exist|disabled|invalid|rejected"
    r"|not available)"
    r"|(?:unknown|no such|invalid|bad|non-?existent) (?:\w+ )?(?:user|recipient|mailbox|account|address"
    r"|destination|person)"
    r"|doesn't have an? |does not have an? |not listed in|host (?:or domain name )?(?:unknown|not found)"
    r"|unknown host|no mailbox here",
    re.IGNORECASE,
)
_SPAM = re.compile(
    r"\bspam|blacklist|block(?:ed|list)|\bpolicy\b|content (?:rejected|filter)|virus|reputation|\bRBL\b|\bDNSBL\b", re.I
)


def find_status(text: str) -> str | None:
    """The first enhanced status in these words; one that says something wins over x.0.0 and 4.4.7 ("gave up")."""
    found = [found[1] for found in _STATUS_AFTER_CODE.finditer(text)]
    found += [f"{found[1]}.{found[2]}.{found[3]}" for found in _STATUS.finditer(text)]
    clear = [status for status in found if not _VAGUE.fullmatch(status) and status != "4.4.7"]
    return next(iter(clear or found), None)


def find_reply(text: str, status: str | None = None) -> int | None:
    """The first SMTP reply in these words; with a `status`, the first of its class."""
    digits = "45" if status is None or status[0] not in "45" else status[0]
    for found in _REPLY.finditer(text):
        if found[1][0] in digits and not _NO_REPLY_AFTER.match(text[found.end() :]):
            return int(found[1])
    return None


def settle_status(field: str | None, words: str) -> tuple[str | None, int | None]:
    """The status, and SMTP reply, that a Status field and a server's words amount to.

    RFC 3464, 2.3.4 has the reporting server write the field, which often knows less than the words of the server that
    refused: the words win where the field is vague (x.0.0, x.y.0, 4.4.7, 5.3.z), and where their own reply is of
    the words' class and not of the field's.
    """
    in_words = find_status(words)
    reply = find_reply(words, in_words)
    if field is None:
        return in_words or (f"{str(reply)[0]}.0.0" if reply else None), reply
    if in_words is None or in_words == field:
        return field, reply if reply is None or str(reply)[0] == field[0] else find_reply(words, field)
    if field[0] == "2":
        return field, None
    if reply is not None and field[0] != in_words[0]:
        status = field if str(reply)[0] == field[0] else in_words
    elif _VAGUE.fullmatch(in_words):
        status = field
    elif (
        _VAGUE.fullmatch(field)
        or field == "4.4.7"
        or field.startswith("5.3.")
        or (".0" in field and ".0" not in in_words)
        or (field == "5.1.1" and ".0" not in in_words)
    ):
        status = in_words
    else:
        status = field
    return status, find_reply(words, status)


def meant_status(words: str) -> str:
    """The status of a failure that no code tells: what its words say of the class, 5 where they say nothing."""
    return "4.0.0" if _SAYS_TEMPORARY.search(words) else "5.0.0"


def subtype_of(status: str | None, words: str) -> str:
    """Why, in the words of Amazon SES: NoEmail, MailboxFull, MessageTooLarge, ContentRejected or General."""
    by_code = _SUBTYPES.get((status or "")[2:])
    if by_code in ("MailboxFull", "MessageTooLarge", "ContentRejected"):
        return by_code
    for pattern, subtype in ((_FULL, "MailboxFull"), (_LARGE, "MessageTooLarge")):
        if pattern.search(words):
            return subtype
    if by_code is not None:
        return by_code
    if (status or "")[2:].startswith("7.") or _SPAM.search(words):
        return "ContentRejected" if _SPAM.search(words) else "General"
    return "NoEmail" if _NOBODY.search(words) else "General"
