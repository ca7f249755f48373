"""One message over an open line: MAIL, RCPT, DATA, the final dot, each reply judged by itself.

Where PIPELINING (RFC 2920) is offered, the envelope goes in one write. What makes a try safe to repeat is known here:
until the final dot is written the server has taken nothing; after it, only its answer tells.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from service.delivery.outcome import Outcome, OutcomeKind, Phase, judge
from service.delivery.smtp_connection import ConnectionBroken, SmtpConnection
from service.mail import addresses
from service.mail.mime import Transfer, Wire
from service.mail.smtp_status import Reply

#: The slowest line that we wait for while a message is written, bytes a second.
_SLOWEST_BYTES_PER_S = 10_000

_DOT_FIRST = re.compile(rb"\r\n\.")
_ASCII_PATH = re.compile(r"[!-;=?-~]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class SmtpEnvelope:
    """Who gets what. Addresses as they go on the wire; `sender` "" is the null path."""

    sender: str
    recipient: str
    wire: Wire

    @property
    def needs_smtputf8(self) -> bool:
        """True if an address or a header needs the SMTPUTF8 extension (RFC 6531)."""
        return self.wire.needs_smtputf8 or not (self.sender + self.recipient).isascii()


def envelope(sender: str, recipient: str, wire: Wire) -> SmtpEnvelope:
    """Raises addresses.AddressInvalid for what is no address."""
    return SmtpEnvelope(_path(sender) if sender else "", _path(recipient), wire)


def transact(
    line: SmtpConnection,
    envelope: SmtpEnvelope,
    *,
    before_mail: Callable[[], bool] | None = None,
    before_end_of_data: Callable[[], None] | None = None,
) -> Outcome:
    """Send it. A line that can't be used again is closed when this returns.

    Raises LineBroken where the line failed before the final dot, and what `before_end_of_data` raises.
    """
    transfer: Transfer = "8bit" if line.has_extn("8bitmime") else "quoted-printable"
    if unfit := _unfit(line, envelope, transfer):
        return unfit
    if before_mail is not None and not before_mail():
        return abandoned(line.server.host)
    try:
        outcome = _open_data(line, _commands(line, envelope, transfer))
        if outcome is None:
            outcome = _send_data(line, envelope.wire.encode(transfer), transfer, before_end_of_data)
    except BaseException:
        line.close()
        raise
    if outcome.kind in (OutcomeKind.PAUSED, OutcomeKind.AMBIGUOUS):
        line.close()
    return outcome


def abandoned(server: str) -> Outcome:
    """Another worker holds the message now."""
    return Outcome(OutcomeKind.PAUSED, Phase.LEASE, server, False, "Not sent: the lease was lost.", tried=False)


def _unfit(line: SmtpConnection, envelope: SmtpEnvelope, transfer: Transfer) -> Outcome | None:
    """What the server's EHLO already refuses."""
    host = line.server.host
    if envelope.needs_smtputf8 and not line.has_extn("smtputf8"):
        detail = f"{host} can't take addresses with letters beyond ASCII (no SMTPUTF8)."
        return Outcome(OutcomeKind.FAILED, Phase.EHLO, host, True, detail)
    limit = str(line.esmtp_features.get("size", "")).strip()
    size_bytes = envelope.wire.size_bytes(transfer)
    if limit.isdigit() and 0 < int(limit) < size_bytes:  # 0: no limit (RFC 1870, 4)
        detail = f"The mail has {size_bytes:,} bytes as it is sent; {host} takes at most {int(limit):,}."
        return Outcome(OutcomeKind.FAILED, Phase.EHLO, host, True, detail)
    return None


def _commands(line: SmtpConnection, envelope: SmtpEnvelope, transfer: Transfer) -> list[tuple[Phase, bytes]]:
    parameters = ""
    if line.has_extn("size"):
        parameters += f" SIZE={envelope.wire.size_bytes(transfer)}"
    if transfer == "8bit":
        parameters += " BODY=8BITMIME"
    if envelope.needs_smtputf8:
        parameters += " SMTPUTF8"
    return [
        (Phase.MAIL, f"MAIL FROM:<{envelope.sender}>{parameters}\r\n".encode()),
        (Phase.RCPT, f"RCPT TO:<{envelope.recipient}>\r\n".encode()),
        (Phase.DATA, b"DATA\r\n"),
    ]


def _open_data(line: SmtpConnection, commands: list[tuple[Phase, bytes]]) -> Outcome | None:
    """Get as far as 354; None when there. Otherwise the first refusal.

    In one write, DATA is out before RCPT is answered. A server that takes it all the same would deliver, at the final
    dot, to nobody: we never write one, and hang up (RFC 2920, 3.1 leaves the choice).
    """
    timeout_s, pipelined = line.server.timeout_s, line.has_extn("pipelining")
    if line.dirty:
        _reset(line, together=commands if pipelined else None)
    elif pipelined:
        _write(line, Phase.MAIL, b"".join(command for _, command in commands))
    refusal: Outcome | None = None
    for phase, command in commands:
        if not pipelined:
            _write(line, phase, command)
        try:
            reply = line.read(timeout_s)
        except OSError as error:
            if refusal is None:
                raise ConnectionBroken(phase, line.explain(error)) from error
            line.close()
            return refusal
        if refusal is None and not _accepts(phase, reply):
            refusal = judge(phase, reply, line.server.host)
            if not pipelined or refusal.kind is OutcomeKind.PAUSED:
                break
    if refusal is None:
        return None
    if reply.code == 354:
        line.close()
    line.dirty = True
    return refusal


def _send_data(
    line: SmtpConnection, data: bytes, transfer: Transfer, before_end_of_data: Callable[[], None] | None
) -> Outcome:
    """RFC 5321, 4.5.2: a dot that begins a line is doubled; a header never begins with one."""
    server = line.server
    # To look first is thirty times faster than to replace what is hardly ever there.
    stuffed = data.replace(b"\r\n.", b"\r\n..") if _DOT_FIRST.search(data) else data
    timeout_s = server.timeout_s + len(stuffed) / _SLOWEST_BYTES_PER_S
    try:
        if before_end_of_data is None:
            line.write(stuffed + b".\r\n", timeout_s)
        else:
            line.write(stuffed, timeout_s)
            before_end_of_data()
            line.write(b".\r\n", server.timeout_s)
    except ConnectionError as error:
        reply = _last_words(line, error)
        return judge(Phase.DATA, reply, server.host, transfer=transfer, wire_sha256=_digest(data))
    except OSError as error:
        raise ConnectionBroken(Phase.DATA, line.explain(error)) from error
    digest = _digest(data)  # while the server thinks
    try:
        return judge(
            Phase.END_OF_DATA, line.read(server.patience_s), server.host, transfer=transfer, wire_sha256=digest
        )
    except TimeoutError:
        reason = f"no answer within {server.patience_s:g} s"
    except OSError as error:
        reason = line.explain(error)
    detail = f"Perhaps sent: {server.host} had the whole message, then {reason}."
    return Outcome(
        OutcomeKind.AMBIGUOUS,
        Phase.END_OF_DATA,
        server.host,
        False,
        detail,
        transfer_encoding=transfer,
        wire_sha256=digest,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _last_words(line: SmtpConnection, error: ConnectionError) -> Reply:
    """A server that hangs up in the middle of the data has often said why."""
    try:
        reply = line.read(1.0)
    except OSError:
        raise ConnectionBroken(Phase.DATA, line.explain(error)) from error
    line.close()
    return reply


def _reset(line: SmtpConnection, *, together: list[tuple[Phase, bytes]] | None) -> None:
    """End what an earlier refusal left open (RFC 5321, 4.1.1.5)."""
    _write(line, Phase.MAIL, b"RSET\r\n" + b"".join(command for _, command in together or []))
    try:
        reply = line.read(line.server.timeout_s)
    except OSError as error:
        raise ConnectionBroken(Phase.MAIL, line.explain(error)) from error
    if reply.code != 250:
        raise ConnectionBroken(Phase.MAIL, f"it refused RSET: {reply}", reply)
    line.dirty = False


def _write(line: SmtpConnection, phase: Phase, data: bytes) -> None:
    try:
        line.write(data, line.server.timeout_s)
    except OSError as error:
        raise ConnectionBroken(phase, line.explain(error)) from error


def _accepts(phase: Phase, reply: Reply) -> bool:
    return reply.code == 354 if phase is Phase.DATA else 200 <= reply.code < 300


def _path(address: str) -> str:
    return address if _ASCII_PATH.fullmatch(address) else addresses.parse(address).wire
