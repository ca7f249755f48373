"""SMTP replies and enhanced status codes: parsing (RFC 5321, RFC 3463), and the one classifier of refusals.

A reply in a session and a bounce report (DSN) are classified by the same function, `classify`: the same words suppress
an address in both or in neither.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: Longest reply that rows and logs keep, in characters.
MAX_REPLY_LENGTH = 500
#: Characters of a server's words that are classified: the cost of a few patterns grows faster than their input.
_MAX_CLASSIFIED = 4_000

Subtype = Literal["NoEmail", "MailboxFull", "MessageTooLarge", "ContentRejected", "General"]

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
_GREYLISTING = re.compile(r"gr[ae]y[ -]?list|postgrey", re.IGNORECASE)
_PROVIDER_IDS = (
    re.compile(r"queued as:? <?([\w.@+-]{4,100})", re.IGNORECASE),  # Postfix
    re.compile(r"\bid=([\w.-]{4,100})", re.IGNORECASE),  # Exim
    re.compile(r"^ok:? +<?([\w.@+=-]{8,120})>?$", re.IGNORECASE),  # Amazon SES: "Ok 0100018f…-000000"
    re.compile(r"^([\w.-]{8,100}) message accepted for delivery", re.IGNORECASE),  # Sendmail
    re.compile(r"^ok +\d{10} ([\w.-]{8,100}) - gsmtp", re.IGNORECASE),  # Gmail
)

#: Not part of a version, an IP address or a longer number.
_STATUS = re.compile(r"(?<![\w.\-/])[#(\[]?([45])\.([0-7])\.(\d{1,3})(?![\d.]*\d)(?!\.\d)")
_STATUS_AFTER_CODE = re.compile(r"\b[45]\d\d[- ]#?([45]\.[0-7]\.\d{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\w.\-/@#=+])(?<![\d\]]:)#?([45][0-5]\d)(?=$|[\s:\-,;)\]\"'(<.#]|\.?$)(?![.\-]\d)")
#: Numbers that look like a reply code and are none: sizes, times, counts.
_NO_REPLY_AFTER = re.compile(r"^\s*(?:seconds?|minutes?|hours?|days?|bytes|[kmg]b\b|messages?|times|recipients)", re.I)
_STATUS_FIELD = re.compile(r"[^\d]*([245])\s*\.\s*(\d{1,3})\s*\.\s*(\d{1,3})")
_VAGUE = re.compile(r"[245]\.0\.0")

_SAYS_TEMPORARY = re.compile(
    r"\btemporar(?:y|ily)\b|\bpersistent transient\b|\btry again later\b|\btransient\b", re.IGNORECASE
)

#: Subtypes by subject and detail of the enhanced status: RFC 3463, 3 and the IANA registry. X.1.0 and X.2.0 ("other")
#: are not here: 5.1.0 is also the answer to an unknown sender, 5.2.0 to unwanted content. The words decide on them.
_SUBTYPES: Mapping[str, Subtype] = {
    "1.1": "NoEmail",
    "1.2": "NoEmail",
    "1.3": "NoEmail",
    "1.6": "NoEmail",
    "1.10": "NoEmail",
    "2.1": "NoEmail",
    "2.2": "MailboxFull",
    "2.3": "MessageTooLarge",
    "3.1": "MailboxFull",
    "3.4": "MessageTooLarge",
    "6.0": "ContentRejected",
    "6.1": "ContentRejected",
    "6.2": "ContentRejected",
}
#: RFC 3463, 3.2: the sender's mailbox syntax (X.1.7), the sender's system (X.1.8).
_SENDER_STATUSES = frozenset({"1.7", "1.8"})
_SERVER_STATUSES = frozenset({"4.3.1", "4.3.2", "4.3.5"})
#: Subjects of RFC 3463 whose words may speak of the mailbox; in the others (system, network, protocol, security) they
#: do not: Exchange Online answers `5.4.1 Recipient address rejected: Access denied` for several reasons.
_SUBJECTS_OF_MAILBOXES = frozenset("012")
#: Servers also write these "other" statuses of the system and the protocol for any refusal: there the words decide.
_SAYS_NOTHING = frozenset({"3.0", "5.0"})

#: The envelope sender or the From address is refused, or the step was MAIL.
_SENDER = re.compile(
    r"\bsender (?:verif|denied|rejected|unknown|invalid|blocked|not )"
    r"|\bsender(?:'s)? (?:e-?mail )?(?:address|domain|id|ip)\b:? ?(?:\S+ )?(?:rejected|verif|invalid|blocked|denied"
    r"|unknown|not |is |does|must|has )"
    r"|\b(?:bad|invalid|unknown|unverified|unauthori[sz]ed|unauthenticated|forged|spoofed|outbound) (?:\w+ )?sender\b"
    r"|\bverification failed for\b|\bsender policy\b"
    r"|\b(?:mail from|return[- ]path|from (?:address|header|domain))\b.{0,60}"
    r"\b(?:reject|invalid|not allowed|not accept|not exist|denied|unknown|unacceptable|refused|must)"
    r"|\bin reply to (?:mail from|ehlo|helo)\b|\bafter (?:initial connection|ehlo|helo|mail from)\b",
    re.IGNORECASE,
)
#: Our host, login or domain is refused: relaying, names of hosts, authentication, reputation and block lists.
_OUR_PATH = re.compile(
    r"\brelay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:permitted|allowed)|prohibited)"
    r"|\b(?:unable|not (?:permitted|allowed|authori[sz]ed)) to (?:relay|send)\b|\bclient host\b|\breverse dns\b|\bPTR\b"
    r"|\b(?:helo|ehlo)\b.{0,40}(?:reject|invalid|denied)|(?:reject\w{0,5}|invalid|bad) (?:helo|ehlo)\b"
    r"|\bauthenticat(?:ion|e) (?:is )?(?:required|failed|first)"
    r"|\b(?:SPF|DKIM|DMARC)\b.{0,40}(?:fail|reject|not pass|invalid|require)"
    r"|\byour (?:ip|account|domain|network|host|mail ?server|server)\b"
    r"|\bblack ?list|\bblock[ -]?list|\bRBL\b|\bDNSBL\b|\bspamhaus\b|\breputation\b|\bblocked using\b",
    re.IGNORECASE,
)
#: Too much at once, sent by us or received by the mailbox (Gmail: `550 5.2.1 … receiving mail at a rate that …`).
_RATE = re.compile(
    r"\brate[- ]?limit|\bat a rate\b|\brate\b.{0,20}exceed|\bthrottl"
    r"|\btoo many (?:\w+ )?(?:messages|mails|e-?mails|connections|recipients)\b"
    r"|\btoo (?:quickly|fast)\b|\b(?:sending|sent|daily|hourly|outgoing) (?:\w+ ){0,2}(?:quota|limit)\b",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"(?:mail)?box(?: is|'s)?(?: \w+)? full|quota[ -]?(?:is )?exceed|exceed\w{0,5}.{0,40}\bquota|over\s?quota"
    r"|over the (?:\w+ )?quota"
    r"|mailbox size limit|insufficient (?:disk|system|storage)|\bno space left\b|\bout of storage\b|is full\b|容量",
    re.IGNORECASE,
)
_LARGE = re.compile(
    r"message (?:size )?(?:is )?(?:too (?:large|big)|exceeds)|size limit exceed|exceed\w{0,5} (?:the )?(?:maximum"
    r"|fixed) (?:message|\w+ size)",
    re.IGNORECASE,
)
#: With a 552 the subject is known: RFC 1870, 6 has it for a message above the size limit.
_LARGE_AFTER_552 = re.compile(r"\btoo (?:large|big)\b|\bsize\b", re.IGNORECASE)
_CONTENT = re.compile(r"\bspam|\bblocked\b|\bpolicy\b|content (?:rejected|filter)|\bvirus", re.IGNORECASE)
#: An address that leads to no mailbox. "Mailbox unavailable" and "address rejected" are not here: the first is RFC
#: 5321's text of 550 for whatever reason, the second is followed by the reason.
_NOBODY = re.compile(
    r"(?:\bno such|\bunknown|\binvalid|\bbad|\bnon-?exist\w*)"
    r" (?:(?:local|e-?mail|mail|destination|recipient|target|virtual) )?"
    r"(?:user|recipient|mailbox|account|address|destination|person)\b"
    r"|\b(?:user|recipient|mailbox|account|address(?:ee)?)\b.{0,80}\b(?:unknown|not (?:found|known)"
    r"|(?:does ?n[o']t|not) exist)"
    r"|\b(?:user|recipient|mailbox|account|address(?:ee)?)(?: name| address)?(?: \S+)?(?: is| was| has been|\.\.\.)?"
    r":? ?(?:disabled|deactivated|invalid)\b"
    r"|\bno (?:mailbox|account) (?:here|by that name)"
    r"|\b(?:does ?n[o']t|does not) have an? (?:\S+ ){0,2}(?:account|mailbox)\b"
    r"|\bnot listed in (?:the )?(?:\w+ )?(?:name|directory|address)"
    r"|\bhost (?:or domain name )?(?:unknown|not found)|\bunknown host\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply (RFC 5321, 4.2): its code, and its text cleaned, lines joined by a blank."""

    code: int
    text: str

    @property
    def enhanced_code(self) -> str | None:
        """RFC 3463, such as "5.1.1"; None where the text does not begin with one of the reply's own class."""
        matched = _ENHANCED.match(self.text)
        return matched[0] if matched and matched[0][0] == str(self.code)[0] else None

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The classification of a refusal. `status` is the enhanced status that it was judged by, x.0.0 without one.

    `subtype` is in the words of Amazon SES. `is_about_us`: our sender, our path or a sending rate is refused, whatever
    the code says of the recipient.
    """

    status: str
    bounce_type: Literal["permanent", "temporary"]
    subtype: Subtype
    is_about_us: bool = False

    @property
    def feedback_subtype(self) -> str:
        """The subtype for feedback: Undetermined where a passing refusal of ours says nothing of the recipient."""
        return "Undetermined" if self.is_about_us and self.bounce_type == "temporary" else self.subtype

    @property
    def suppresses(self) -> bool:
        """True where the address leads to no mailbox, for good. Only this may suppress a recipient.

        A full mailbox, an unwanted message and an unwanted sender say nothing of the address.
        """
        return self.bounce_type == "permanent" and self.subtype == "NoEmail"

    @property
    def is_about_mailbox(self) -> bool:
        """True where the address or the mailbox is the reason (RFC 3463: subjects 1 and 2), and not our message."""
        if self.is_about_us or self.subtype in ("MessageTooLarge", "ContentRejected"):
            return False
        if self.status[2] in "12":
            return True
        return self.subtype in ("NoEmail", "MailboxFull") and _may_be_about_mailbox(self.status)


def classify(status: str | None, code: int | None, words: str) -> Refusal:
    """Classify a refusal by its enhanced status, reply code and words, any of which may be missing (None, "").

    The reply code tells the class where both tell one (RFC 5321, 4.2.1). Words about our sender, our path or a rate
    overrule the usual meaning of a status; otherwise a status that names a cause decides, and words decide where it
    names none.
    """
    words = words[:_MAX_CLASSIFIED]
    if code is not None and status is not None and status[0] != str(code)[0]:
        status = None
    if status is None:
        status = f"{code // 100}.0.0" if code is not None else meant_status(words)
    bounce_type: Literal["permanent", "temporary"] = "permanent" if status[0] == "5" else "temporary"
    if status[2:] in _SENDER_STATUSES or any(pattern.search(words) for pattern in (_SENDER, _OUR_PATH, _RATE)):
        return Refusal(status, bounce_type, "General", is_about_us=True)
    return Refusal(status, bounce_type, _subtype(status, code, words))


def classify_reply(reply: Reply) -> Refusal:
    """Classify a refusal in a session (4xx or 5xx)."""
    status, _ = settle_status(reply.enhanced_code, str(reply))
    return classify(status, reply.code, reply.text)


def is_condition_of_server(reply: Reply) -> bool:
    """True for a 4xx that is about the relay or our account there, whatever message we bring.

    421 and 454 (RFC 5321, 3.8; RFC 4954, 6; Amazon SES throttles with 454), a system that is full, closed or wrongly
    set up (RFC 3463, 3.4: X.3.1, X.3.2, X.3.5), 452 without a status ("insufficient system storage"), and a rate that
    is not the mailbox's. X.3.0 is not here: a filter may say it of one message, which must not pause the others.
    """
    status, _ = settle_status(reply.enhanced_code, str(reply))
    if reply.code in (421, 454):
        return True
    if status is None or status == "4.0.0":
        return reply.code == 452 or bool(_RATE.search(reply.text[:_MAX_CLASSIFIED]))
    is_rate = status[2] not in "12" and bool(_RATE.search(reply.text[:_MAX_CLASSIFIED]))
    return status in _SERVER_STATUSES or is_rate


def _subtype(status: str, code: int | None, words: str) -> Subtype:
    by_status = _SUBTYPES.get(status[2:])
    if by_status is not None and by_status != "NoEmail":
        return by_status
    if _FULL.search(words):
        return "MailboxFull"
    if _LARGE.search(words) or (code == 552 and by_status is None and _LARGE_AFTER_552.search(words)):
        return "MessageTooLarge"
    says_nobody = bool(_NOBODY.search(words))
    if _CONTENT.search(words) and not (by_status == "NoEmail" and says_nobody):
        return "ContentRejected"
    if by_status == "NoEmail" or (says_nobody and _may_be_about_mailbox(status)):
        return "NoEmail"
    return "General"


def _may_be_about_mailbox(status: str) -> bool:
    return status[2] in _SUBJECTS_OF_MAILBOXES or status[2:] in _SAYS_NOTHING


def parse_status(field: str) -> str | None:
    """Return the enhanced status of a Status field (RFC 3464, 2.3.4) without blanks and comments; None without one."""
    matched = _STATUS_FIELD.match(field)
    return f"{matched[1]}.{int(matched[2])}.{int(matched[3])}" if matched else None


def find_status(text: str) -> str | None:
    """Return the first enhanced status in these words; a specific one wins over x.0.0 and 4.4.7 ("gave up")."""
    found = [found[1] for found in _STATUS_AFTER_CODE.finditer(text)]
    found += [f"{found[1]}.{found[2]}.{found[3]}" for found in _STATUS.finditer(text)]
    clear = [status for status in found if not _VAGUE.fullmatch(status) and status != "4.4.7"]
    return next(iter(clear or found), None)


def find_reply(text: str, status: str | None = None) -> int | None:
    """Return the first SMTP reply code in these words; with a `status`, the first of its class."""
    digits = "45" if status is None or status[0] not in "45" else status[0]
    for found in _REPLY.finditer(text):
        if found[1][0] in digits and not _NO_REPLY_AFTER.match(text[found.end() : found.end() + 40]):
            return int(found[1])
    return None


def settle_status(field: str | None, words: str) -> tuple[str | None, int | None]:
    """Return the enhanced status and reply code of a failure, from its Status field and the server's words.

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
    """Return the status of a failure without any code: its class by its words, 5 where they do not tell."""
    return "4.0.0" if _SAYS_TEMPORARY.search(words) else "5.0.0"


def is_greylisting(reply: Reply, *, at_rcpt: bool) -> bool:
    """True for 450 or 451 that mean "come again in some minutes" (RFC 6647), by code or by such servers' words."""
    if reply.code not in (450, 451):
        return False
    if reply.enhanced_code == "4.7.1" or _GREYLISTING.search(reply.text):
        return True
    return at_rcpt and reply.code == 451 and reply.enhanced_code is None


def provider_id(reply: Reply) -> str | None:
    """Return the queue id that the next hop's reply names (its feedback and logs use it), or None."""
    text = _ENHANCED.sub("", reply.text, count=1).strip()
    for pattern in _PROVIDER_IDS:
        if matched := pattern.search(text):
            return matched[1]
    return None


def clean(text: str) -> str:
    """Return a server's words fit for a row, a log and a person: one line, no control characters, bounded."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(text.split())
    return line if len(line) <= MAX_REPLY_LENGTH else line[: MAX_REPLY_LENGTH - 1] + "…"
