"""Outcome of a delivery attempt, and the mapping from a server's reply to it.

What an outcome changes of the message is the completer's; what a refusal means is `mail.smtp_status`'s. The mapping:

    phase      reply                            kind        why
    any        421, 454, or 530/534/535/538     PAUSED      the server or the login is the reason, not the message
               4xx about the server or a rate   PAUSED      4.3.1, 4.3.2, 4.3.5, 452 alone, throttling
    mail       4xx                              DEFERRED
               5xx                              FAILED      sender, size or policy
    rcpt       4xx                              DEFERRED    greylisting: five minutes at least; about our sender or
                                                            path: the same, and the attempt does not count
               5xx                              BOUNCED     unless about our sender or path, size, policy (X.7) or
                                                            protocol (X.5): FAILED
    data, dot  4xx                              DEFERRED
               5xx                              FAILED      unless about the address or the mailbox (X.1, X.2): BOUNCED
    dot        2xx                              SENT
               nothing, or nothing readable     AMBIGUOUS   it may have been accepted (RFC 1047)
    any other  nothing, or nothing readable     PAUSED      nothing was accepted
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service.mail.mime import Transfer, Wire
from service.mail.smtp_status import Refusal, Reply, classify_reply, is_condition_of_server, is_greylisting, provider_id

#: Pause after greylisting: RFC 6647, 5 advises servers to accept mail after 1 to 5 minutes.
GREYLIST_PAUSE_S = 300.0
#: Pause after a passing refusal of our sender or path: somebody has to mend it, and no attempt of the message counts.
OUR_FAULT_PAUSE_S = 300.0


class OutcomeKind(StrEnum):
    """Kind of outcome of a delivery attempt."""

    SENT = "sent"  # the relay accepted it
    DEFERRED = "deferred"  # refused for now (4xx)
    BOUNCED = "bounced"  # refused for good because of the recipient (5xx)
    FAILED = "failed"  # refused for good for another reason (5xx)
    PAUSED = "paused"  # the relay could not be asked; the message is not the reason
    AMBIGUOUS = "ambiguous"  # no answer after the final dot: perhaps sent


class Phase(StrEnum):
    """Step of an SMTP session, and its name in sentences."""

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
    """Outcome of one delivery attempt.

    `answered`: a server answered about this message, so the attempt counts. `tried`: an attempt was made at all (False
    while the relay is paused, or when the lease was lost). `transfer_encoding` and `wire_sha256` are of the bytes that
    were sent, None without any. `suppresses`: the address leads to no mailbox (`smtp_status.Refusal.suppresses`).
    `retry_after_s`: no retry before that many seconds. `detail` is a sentence for people, without secrets.
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
    """Hands one message to the relay. Thread-safe."""

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

        A `sender` of "" is the null path. Never raises for a fault of the server or the connection.
        `before_mail` is called immediately before MAIL is written, once more if a new connection was needed; False
        ends the attempt (PAUSED, `tried` False). `before_end_of_data` is called when all but the final dot is written;
        an exception from it is raised here, and the message was not sent.
        """

    def paused_for_s(self) -> float:
        """Seconds until the relay may be tried again; 0 when it may be now."""

    def abort(self) -> None:
        """Abort the sessions under way, from another thread.

        Each `deliver` then returns what it knows (PAUSED before the final dot, AMBIGUOUS after it). Later calls return
        PAUSED with `tried` False.
        """

    def close(self) -> None:
        """Close idle connections; those in use close after their message."""


def judge(
    phase: Phase, reply: Reply, server: str, *, transfer: Transfer | None = None, wire_sha256: str | None = None
) -> Outcome:
    """Map a reply to a command of a mail transaction to an outcome. Not for the greeting, EHLO, TLS and login.

    `transfer` and `wire_sha256` are of the bytes that it answers, where there are any.
    """
    refusal = classify_reply(reply) if 400 <= reply.code < 600 else None
    kind = _kind(phase, reply, refusal)
    greylisted = kind is OutcomeKind.DEFERRED and is_greylisting(reply, at_rcpt=phase is Phase.RCPT)
    is_about_us = kind is OutcomeKind.DEFERRED and not greylisted and refusal is not None and refusal.is_about_us
    place = "" if kind is OutcomeKind.SENT else f" at {phase}"
    bounce = refusal if kind is OutcomeKind.BOUNCED else None
    return Outcome(
        kind=kind,
        phase=phase,
        server=server,
        answered=kind not in (OutcomeKind.PAUSED, OutcomeKind.AMBIGUOUS) and not is_about_us,
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
        retry_after_s=GREYLIST_PAUSE_S if greylisted else OUR_FAULT_PAUSE_S if is_about_us else None,
    )


_VERBS: Mapping[OutcomeKind, str] = {
    OutcomeKind.SENT: "Taken",
    OutcomeKind.DEFERRED: "Deferred",
    OutcomeKind.PAUSED: "Turned away for now",
    OutcomeKind.AMBIGUOUS: "Perhaps taken",
}
#: RFC 4954, 6: these are about the login, whatever the command was.
_LOGIN_CODES = frozenset({530, 534, 535, 538})


def _kind(phase: Phase, reply: Reply, refusal: Refusal | None) -> OutcomeKind:
    if reply.code in _LOGIN_CODES or (400 <= reply.code < 500 and is_condition_of_server(reply)):
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
        is_policy = refusal.status.startswith(("5.5.", "5.7.")) and refusal.subtype != "NoEmail"
        return OutcomeKind.FAILED if is_policy else OutcomeKind.BOUNCED
    return OutcomeKind.BOUNCED if refusal.is_about_mailbox else OutcomeKind.FAILED
