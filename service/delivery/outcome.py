"""What one try to send a message came to, and how a server's reply is judged.

What it is not: what follows from it for the message; that is the verb's. The table of judgements:

    phase      reply                            kind        why
    any        421, or 530/534/535/538          PAUSED      the server's or the login's trouble, not the message's
    mail       4xx                              DEFERRED
               5xx                              FAILED      sender, size or policy
    rcpt       4xx                              DEFERRED    greylisting: five minutes at least
               5xx                              BOUNCED     unless size, policy (X.7) or protocol (X.5): FAILED
    data, dot  4xx                              DEFERRED
               5xx                              FAILED      unless about the address or the mailbox (X.1, X.2): BOUNCED
    dot        2xx                              SENT
               nothing, or nothing readable     AMBIGUOUS   it may have been taken (RFC 1047)
    any other  nothing, or nothing readable     PAUSED      nothing was taken
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.mail.mime import Transfer, Wire

#: Greylisting servers want a pause; RFC 6647, 5 advises them to let mail in after 1 to 5 minutes.
GREYLIST_PAUSE_S = 300.0
#: No server's reply takes more room than this in our rows and logs, characters.
MAX_REPLY_LENGTH = 500


class OutcomeKind(StrEnum):
    """What became of a try."""

    SENT = "sent"  # the next hop took it
    DEFERRED = "deferred"  # the server says: later
    BOUNCED = "bounced"  # the server says: never for this recipient
    FAILED = "failed"  # the server says: never, for another reason
    PAUSED = "paused"  # the server could not be asked; no fault of the message
    AMBIGUOUS = "ambiguous"  # no answer after the final dot: perhaps sent


class Phase(StrEnum):
    """How far a conversation had come; also how sentences name the step."""

    PAUSE = "pause"
    LEASE = "lease"
    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "EHLO"
    TLS = "TLS"
    LOGIN = "login"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END_OF_DATA = "the final dot"


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
class Outcome:
    """What one try came to.

    `answered`: a server gave its word about this message, so the try counts. `tried`: something was attempted at all
    (False while the server is paused, or when the lease was gone). `transfer_encoding` and `wire_sha256` are of the
    bytes that went out, None where none did. `retry_after_s`: not sooner than that, seconds. `detail` is a sentence
    for people, without secrets.
    """

    kind: OutcomeKind
    phase: Phase
    server: str
    answered: bool
    detail: str
    tried: bool = True
    code: int | None = None
    enhanced_code: str | None = None
    reply: str | None = None
    provider_id: str | None = None
    transfer_encoding: Transfer | None = None
    wire_sha256: str | None = None
    bounce_subtype: str | None = None
    greylisted: bool = False
    retry_after_s: float | None = None


class Transport(Protocol):
    """Takes one message to the next hop. Thread-safe."""

    def deliver(
        self,
        sender: str,
        recipient: str,
        wire: Wire,
        *,
        before_mail: Callable[[], bool] | None = None,
        before_end_of_data: Callable[[], None] | None = None,
    ) -> Outcome:
        """Send `wire` from the envelope address `sender` to `recipient`.

        A `sender` of "" is the null path. Never raises for a server's or a line's fault.
        `before_mail` is called immediately before MAIL is written, once more if a new connection was needed; False
        abandons the try (PAUSED, `tried` False). `before_end_of_data` is called when all but the final dot is written;
        an exception from it is raised here, and the message was not sent.
        """

    def paused_for_s(self) -> float:
        """Seconds until the server may be tried again; 0 when it may be now."""

    def abort(self) -> None:
        """Break off the conversations under way, from another thread.

        Each `deliver` then returns what it knows (PAUSED before the final dot, AMBIGUOUS after it). What comes later is
        PAUSED with `tried` False.
        """

    def close(self) -> None:
        """Let go of all connections that nobody uses; the others end with their message."""


def judge(
    phase: Phase, reply: Reply, server: str, *, transfer: Transfer | None = None, wire_sha256: str | None = None
) -> Outcome:
    """What a reply to a command of a mail transaction means. Not for the greeting, EHLO, TLS and login.

    `transfer` and `wire_sha256` are of the bytes that it answers, where there are any.
    """
    kind = _kind(phase, reply)
    greylisted = kind is OutcomeKind.DEFERRED and is_greylisting(phase, reply)
    place = "" if kind is OutcomeKind.SENT else f" at {phase}"
    return Outcome(
        kind=kind,
        phase=phase,
        server=server,
        answered=kind not in (OutcomeKind.PAUSED, OutcomeKind.AMBIGUOUS),
        detail=f"{_VERBS.get(kind, 'Refused')} by {server}{place}: {str(reply).rstrip('.')}.",
        code=reply.code,
        enhanced_code=reply.enhanced_code,
        reply=str(reply),
        provider_id=provider_id(reply) if kind is OutcomeKind.SENT else None,
        transfer_encoding=transfer,
        wire_sha256=wire_sha256,
        bounce_subtype=bounce_subtype(reply) if kind is OutcomeKind.BOUNCED else None,
        greylisted=greylisted,
        retry_after_s=GREYLIST_PAUSE_S if greylisted else None,
    )


def is_greylisting(phase: Phase, reply: Reply) -> bool:
    """450 or 451 that mean "come again in some minutes" (RFC 6647), by code, or by what such servers say."""
    if reply.code not in (450, 451):
        return False
    if reply.enhanced_code == "4.7.1" or _GREY.search(reply.text):
        return True
    return phase is Phase.RCPT and reply.code == 451 and reply.enhanced_code is None


def bounce_subtype(reply: Reply) -> str:
    """The subtype in the words of Amazon SES, by RFC 3463's code; without one by what the server says, else General."""
    if reply.enhanced_code is None and _NOBODY.search(reply.text):
        return "NoEmail"
    return _SUBTYPES.get(reply.enhanced_code or "", "General")


def provider_id(reply: Reply) -> str | None:
    """The name the next hop gave the message, by which its own feedback and logs call it; None where it gave none."""
    text = _ENHANCED.sub("", reply.text, count=1).strip()
    for pattern in _PROVIDER_IDS:
        if matched := pattern.search(text):
            return matched[1]
    return None


def clean(text: str) -> str:
    """A server's words, fit for a row, a log and a person: one line, no control characters, bounded."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(text.split())
    return line if len(line) <= MAX_REPLY_LENGTH else line[: MAX_REPLY_LENGTH - 1] + "…"


_VERBS: Mapping[OutcomeKind, str] = {
    OutcomeKind.SENT: "Taken",
    OutcomeKind.DEFERRED: "Deferred",
    OutcomeKind.PAUSED: "Turned away for now",
    OutcomeKind.AMBIGUOUS: "Perhaps taken",
}
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
_GREY = re.compile(r"gr[ae]y[ -]?list|postgrey", re.IGNORECASE)

#: How servers without enhanced codes say that an address leads to nobody. A plain 550 may as well be a block list.
_NOBODY = re.compile(
    r"(?:no such|unknown|invalid|nonexist\w*|non-exist\w*) (?:local )?(?:user|recipient|mailbox|address|account)"
    r"|(?:user|recipient|mailbox|address|account)\b.{0,80}\b(?:unknown|not found|(?:does not|doesn't|not) exist)"
    r"|no (?:mailbox|account) (?:here|by that name)",
    re.IGNORECASE,
)

#: RFC 4954, 6: these are about the login, whatever was asked for.
_LOGIN_CODES = frozenset({530, 534, 535, 538})

_SIZE = frozenset({"5.2.3", "5.3.4"})

_SUBTYPES: Mapping[str, str] = {
    "5.1.0": "NoEmail",
    "5.1.1": "NoEmail",
    "5.1.2": "NoEmail",
    "5.1.3": "NoEmail",
    "5.1.6": "NoEmail",
    "5.1.10": "NoEmail",
    "5.2.0": "NoEmail",
    "5.2.1": "NoEmail",
    "5.2.2": "MailboxFull",
}

_PROVIDER_IDS = (
    re.compile(r"queued as:? <?([\w.@+-]{4,100})", re.IGNORECASE),  # Postfix
    re.compile(r"\bid=([\w.-]{4,100})", re.IGNORECASE),  # Exim
    re.compile(r"^ok:? +<?([\w.@+=-]{8,120})>?$", re.IGNORECASE),  # Amazon SES: "Ok 0100018f…-000000"
    re.compile(r"^([\w.-]{8,100}) message accepted for delivery", re.IGNORECASE),  # Sendmail
    re.compile(r"^ok +\d{10} ([\w.-]{8,100}) - gsmtp", re.IGNORECASE),  # Gmail
)


def _kind(phase: Phase, reply: Reply) -> OutcomeKind:
    if reply.code == 421 or reply.code in _LOGIN_CODES:
        return OutcomeKind.PAUSED
    if 200 <= reply.code < 300 and phase is Phase.END_OF_DATA:
        return OutcomeKind.SENT
    if 400 <= reply.code < 500:
        return OutcomeKind.DEFERRED
    if not 500 <= reply.code < 600:
        return OutcomeKind.AMBIGUOUS if phase is Phase.END_OF_DATA else OutcomeKind.PAUSED
    enhanced = reply.enhanced_code or ""
    if phase is Phase.MAIL or enhanced in _SIZE:
        return OutcomeKind.FAILED
    if phase is Phase.RCPT:
        return OutcomeKind.FAILED if enhanced.startswith(("5.5.", "5.7.")) else OutcomeKind.BOUNCED
    return OutcomeKind.BOUNCED if enhanced.startswith(("5.1.", "5.2.")) else OutcomeKind.FAILED
