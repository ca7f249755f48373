"""SMTP transaction: MAIL, RCPT, DATA and the final dot on an open connection, and the outcome of their replies.

With PIPELINING (RFC 2920) the envelope goes in one write. Until the final dot is written the server has accepted
nothing, and the attempt is safe to repeat; after it, only the server's answer tells.
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

#: Slowest connection for which the time-out of writing a message is sufficient, bytes a second.
_SLOWEST_BYTES_PER_S = 10_000

_DOT_FIRST = re.compile(rb"\r\n\.")
_ASCII_PATH = re.compile(r"[!-;=?-~]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class SmtpEnvelope:
    """Sender, recipient and message. Addresses as they go on the wire; `sender` "" is the null path."""

    sender: str
    recipient: str
    wire: Wire

    @property
    def needs_smtputf8(self) -> bool:
        """True if an address or a header needs the SMTPUTF8 extension (RFC 6531)."""
        return self.wire.needs_smtputf8 or not (self.sender + self.recipient).isascii()


def envelope(sender: str, recipient: str, wire: Wire) -> SmtpEnvelope:
    """Build the envelope with the addresses' wire form. Raises addresses.AddressInvalid."""
    return SmtpEnvelope(_path(sender) if sender else "", _path(recipient), wire)


def transact(
    connection: SmtpConnection,
    envelope: SmtpEnvelope,
    *,
    before_mail: Callable[[], bool] | None = None,
    before_end_of_data: Callable[[], None] | None = None,
) -> Outcome:
    """Send one message. A connection that can't be used again is closed when this returns.

    Raises ConnectionBroken where it failed before the final dot, and what `before_end_of_data` raises.
    """
    transfer: Transfer = "8bit" if connection.has_extn("8bitmime") else "quoted-printable"
    if unfit := _unfit(connection, envelope, transfer):
        return unfit
    if before_mail is not None and not before_mail():
        return abandoned(connection.server.host)
    try:
        outcome = _open_data(connection, _commands(connection, envelope, transfer))
        if outcome is None:
            outcome = _send_data(connection, envelope.wire.encode(transfer), transfer, before_end_of_data)
    except BaseException:
        connection.close()
        raise
    if outcome.kind in (OutcomeKind.PAUSED, OutcomeKind.AMBIGUOUS):
        connection.close()
    return outcome


def abandoned(server: str) -> Outcome:
    """Outcome where another worker holds the message's lease now."""
    return Outcome(OutcomeKind.PAUSED, Phase.LEASE, server, False, "Not sent: the lease was lost.", tried=False)


def _unfit(connection: SmtpConnection, envelope: SmtpEnvelope, transfer: Transfer) -> Outcome | None:
    """Return the failure that the server's EHLO already implies (SMTPUTF8, SIZE), or None."""
    host = connection.server.host
    if envelope.needs_smtputf8 and not connection.has_extn("smtputf8"):
        detail = f"{host} can't take addresses with letters beyond ASCII (no SMTPUTF8)."
        return Outcome(OutcomeKind.FAILED, Phase.EHLO, host, True, detail)
    limit = str(connection.esmtp_features.get("size", "")).strip()
    size_bytes = envelope.wire.size_bytes(transfer)
    # RFC 1870, 4: at most 20 digits, and 0 is no limit.
    if limit.isascii() and limit.isdigit() and len(limit) <= 20 and 0 < int(limit) < size_bytes:
        detail = f"The mail has {size_bytes:,} bytes as it is sent; {host} takes at most {int(limit):,}."
        return Outcome(OutcomeKind.FAILED, Phase.EHLO, host, True, detail)
    return None


def _commands(connection: SmtpConnection, envelope: SmtpEnvelope, transfer: Transfer) -> list[tuple[Phase, bytes]]:
    parameters = ""
    if connection.has_extn("size"):
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


def _open_data(connection: SmtpConnection, commands: list[tuple[Phase, bytes]]) -> Outcome | None:
    """Send the envelope up to the 354 reply to DATA; returns the first refusal, or None.

    In one write, DATA is sent before RCPT is answered. A server that accepts it after a refusal would deliver to
    nobody at the final dot: none is written, and the connection is closed (RFC 2920, 3.1 leaves the choice).
    """
    timeout_s, pipelined = connection.server.timeout_s, connection.has_extn("pipelining")
    if connection.needs_rset:
        _reset(connection, together=commands if pipelined else None)
    elif pipelined:
        _write(connection, Phase.MAIL, b"".join(command for _, command in commands))
    refusal: Outcome | None = None
    for phase, command in commands:
        if not pipelined:
            _write(connection, phase, command)
        try:
            reply = connection.read(timeout_s)
        except OSError as error:
            if refusal is None:
                raise ConnectionBroken(phase, connection.explain(error)) from error
            connection.close()
            return refusal
        if refusal is None and not _accepts(phase, reply):
            refusal = judge(phase, reply, connection.server.host)
            if not pipelined or refusal.kind is OutcomeKind.PAUSED:
                break
    if refusal is None:
        return None
    if reply.code == 354:
        connection.close()
    connection.needs_rset = True
    return refusal


def _send_data(
    connection: SmtpConnection, data: bytes, transfer: Transfer, before_end_of_data: Callable[[], None] | None
) -> Outcome:
    """Send the message and the final dot. A dot that begins a line is doubled (RFC 5321, 4.5.2)."""
    server = connection.server
    # Searching first is thirty times faster than replacing, and such lines are rare.
    stuffed = data.replace(b"\r\n.", b"\r\n..") if _DOT_FIRST.search(data) else data
    timeout_s = server.timeout_s + len(stuffed) / _SLOWEST_BYTES_PER_S
    try:
        if before_end_of_data is None:
            connection.write(stuffed + b".\r\n", timeout_s)
        else:
            connection.write(stuffed, timeout_s)
            before_end_of_data()
            connection.write(b".\r\n", server.timeout_s)
    except ConnectionError as error:
        reply = _last_words(connection, error)
        return judge(Phase.DATA, reply, server.host, transfer=transfer, wire_sha256=_digest(data))
    except OSError as error:
        raise ConnectionBroken(Phase.DATA, connection.explain(error)) from error
    digest = _digest(data)  # while the server works
    try:
        return judge(
            Phase.END_OF_DATA, connection.read(server.patience_s), server.host, transfer=transfer, wire_sha256=digest
        )
    except TimeoutError:
        reason = f"no answer within {server.patience_s:g} s"
    except OSError as error:
        reason = connection.explain(error)
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


def _last_words(connection: SmtpConnection, error: ConnectionError) -> Reply:
    """Read the reply that a server often sends before it closes the connection amid the data."""
    try:
        reply = connection.read(1.0)
    except OSError:
        raise ConnectionBroken(Phase.DATA, connection.explain(error)) from error
    connection.close()
    return reply


def _reset(connection: SmtpConnection, *, together: list[tuple[Phase, bytes]] | None) -> None:
    """Reset the transaction that an earlier refusal left open (RFC 5321, 4.1.1.5)."""
    _write(connection, Phase.MAIL, b"RSET\r\n" + b"".join(command for _, command in together or []))
    try:
        reply = connection.read(connection.server.timeout_s)
    except OSError as error:
        raise ConnectionBroken(Phase.MAIL, connection.explain(error)) from error
    if reply.code != 250:
        raise ConnectionBroken(Phase.MAIL, f"it refused RSET: {reply}", reply)
    connection.needs_rset = False


def _write(connection: SmtpConnection, phase: Phase, data: bytes) -> None:
    try:
        connection.write(data, connection.server.timeout_s)
    except OSError as error:
        raise ConnectionBroken(phase, connection.explain(error)) from error


def _accepts(phase: Phase, reply: Reply) -> bool:
    return reply.code == 354 if phase is Phase.DATA else 200 <= reply.code < 300


def _path(address: str) -> str:
    return address if _ASCII_PATH.fullmatch(address) else addresses.parse(address).wire
