"""Outcome of a delivery attempt, and the mapping from a server's reply to it.

What an outcome changes of the message is the completer's; what a refusal means is `mail.smtp_status`'s. The mapping:

    phase      reply                            kind        why
    any        421, or 530/534/535/538          PAUSED      the server's or the login's trouble, not the message's
    mail       4xx                              DEFERRED
               5xx                              FAILED      sender, size or policy
    rcpt       4xx                              DEFERRED    greylisting: five minutes at least
               5xx                              BOUNCED     unless about our sender or path, size, policy (X.7) or
                                                            protocol (X.5): FAILED
    data, dot  4xx                              DEFERRED
               5xx                              FAILED      unless about the address or the mailbox (X.1, X.2): BOUNCED
    dot        2xx                              SENT
               nothing, or nothing readable     AMBIGUOUS   it may have been taken (RFC 1047)
    any other  nothing, or nothing readable     PAUSED      nothing was taken
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.mail.mime import Transfer, Wire
from service.mail.smtp_status import Refusal, Reply, classify_reply, is_greylisting, provider_id

#: Greylisting servers want a pause; RFC 6647, 5 advises them to let mail in after 1 to 5 minutes.
GREYLIST_PAUSE_S = 300.0


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
    suppresses: bool = False
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
    """Map a reply to a command of a mail transaction to an outcome. Not for the greeting, EHLO, TLS and login.

    `transfer` and `wire_sha256` are of the bytes that it answers, where there are any.
    """
    refusal = classify_reply(reply) if 500 <= reply.code < 600 else None
    kind = _kind(phase, reply, refusal)
    greylisted = kind is OutcomeKind.DEFERRED and is_greylisting(reply, at_rcpt=phase is Phase.RCPT)
    place = "" if kind is OutcomeKind.SENT else f" at {phase}"
    bounce = refusal if kind is OutcomeKind.BOUNCED else None
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
        bounce_subtype=bounce.subtype if bounce else None,
        suppresses=bounce is not None and bounce.suppresses,
        greylisted=greylisted,
        retry_after_s=GREYLIST_PAUSE_S if greylisted else None,
    )


_VERBS: Mapping[OutcomeKind, str] = {
    OutcomeKind.SENT: "Taken",
    OutcomeKind.DEFERRED: "Deferred",
    OutcomeKind.PAUSED: "Turned away for now",
    OutcomeKind.AMBIGUOUS: "Perhaps taken",
}
#: RFC 4954, 6: these are about the login, whatever was asked for.
_LOGIN_CODES = frozenset({530, 534, 535, 538})


def _kind(phase: Phase, reply: Reply, refusal: Refusal | None) -> OutcomeKind:
    if reply.code == 421 or reply.code in _LOGIN_CODES:
        return OutcomeKind.PAUSED
    if 200 <= reply.code < 300 and phase is Phase.END_OF_DATA:
        return OutcomeKind.SENT
    if 400 <= reply.code < 500:
        return OutcomeKind.DEFERRED
    if refusal is None:
        return OutcomeKind.AMBIGUOUS if phase is Phase.END_OF_DATA else OutcomeKind.PAUSED
    if phase is Phase.MAIL or refusal.is_about_us or refusal.subtype == "MessageTooLarge":
        return OutcomeKind.FAILED
    if phase is Phase.RCPT:
        return OutcomeKind.FAILED if refusal.status.startswith(("5.5.", "5.7.")) else OutcomeKind.BOUNCED
    return OutcomeKind.BOUNCED if refusal.is_about_mailbox else OutcomeKind.FAILED
