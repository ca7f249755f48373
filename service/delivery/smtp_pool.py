"""The way out: kept connections to one mail server, each used by one thread at a time, and a pause when it is away."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from service.delivery.backoff import CircuitBreaker
from service.delivery.outcome import Outcome, OutcomeKind, Phase
from service.delivery.relay import Server, tls_context
from service.delivery.smtp_connection import ConnectionBroken, SmtpConnection
from service.delivery.smtp_transaction import SmtpEnvelope, envelope, transact
from service.mail.addresses import AddressInvalid
from service.mail.mime import Wire

#: Servers hang up on the idle: Postfix after 300 s, under stress after 10 s. Beyond this we open a new one.
_MAX_IDLE_S = 20.0
#: What was used a moment ago is not looked at first: if it did die, MAIL tells, and a new one is opened.
_SURELY_ALIVE_S = 0.5


class SmtpTransport:
    """A Transport to one server. At most `server.max_connections` at once; a further thread waits for its turn.

    Raises ConfigurationError where the server's `ca_file` can't be read. `clock` is monotonic, seconds.
    """

    def __init__(self, server: Server, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._context = tls_context(server)
        self._circuit = CircuitBreaker(clock)
        self._turns = threading.BoundedSemaphore(server.max_connections)
        self._lock = threading.Lock()
        self._idle: list[SmtpConnection] = []  # the last used first: the others may grow old
        self._busy: set[SmtpConnection] = set()
        self._closed = False
        self._aborted = False

    def deliver(
        self,
        sender: str,
        recipient: str,
        wire: Wire,
        *,
        before_mail: Callable[[], bool] | None = None,
        before_end_of_data: Callable[[], None] | None = None,
    ) -> Outcome:
        """See Transport."""
        host = self._server.host
        try:
            letter = envelope(sender, recipient, wire)
        except AddressInvalid as error:
            return Outcome(OutcomeKind.FAILED, Phase.MAIL, host, False, f"Not an address to send to: {error}")
        with self._turns:
            if self._aborted:
                return self._stopping()
            wait_s = self._circuit.acquire()
            if wait_s > 0:
                detail = f"{host} is paused. {self._circuit.reason}".strip()
                return Outcome(OutcomeKind.PAUSED, Phase.PAUSE, host, False, detail, tried=False, retry_after_s=wait_s)
            try:
                outcome = self._send(letter, before_mail, before_end_of_data)
            except BaseException:
                self._circuit.released()
                raise
        return self._noted(outcome)

    def paused_for_s(self) -> float:
        """See Transport."""
        return self._circuit.paused_for_s()

    def close(self) -> None:
        """Say goodbye on idle connections; those in use close when their message is through."""
        with self._lock:
            self._closed = True
            lines, self._idle = self._idle, []
        for line in lines:
            line.close_politely()

    def abort(self) -> None:
        """See Transport."""
        with self._lock:
            self._aborted = True
            busy = list(self._busy)
        for line in busy:
            line.abort()
        self.close()

    def _send(
        self,
        letter: SmtpEnvelope,
        before_mail: Callable[[], bool] | None,
        before_end_of_data: Callable[[], None] | None,
    ) -> Outcome:
        """Once more on a new connection where a kept one turns out dead before MAIL was answered: nothing was lost."""
        fresh = False
        while True:
            line = (None if fresh else self._take()) or SmtpConnection(self._server, self._context, self._clock)
            if not self._begin(line):
                return self._stopping()
            try:
                if line.sock is None:
                    line.open()
                outcome = transact(line, letter, before_mail=before_mail, before_end_of_data=before_end_of_data)
            except ConnectionBroken as broken:
                fresh = line.kept and broken.phase is Phase.MAIL
                outcome = _paused(self._server.host, broken)
            else:
                # "Too many messages on this connection."
                fresh = line.kept and outcome.code == 421 and outcome.phase is Phase.MAIL
            finally:
                self._end(line)
            if not fresh:
                return outcome
            self._drop_idle()

    def _begin(self, line: SmtpConnection) -> bool:
        with self._lock:
            if self._aborted:
                line.close()
            else:
                self._busy.add(line)
            return not self._aborted

    def _end(self, line: SmtpConnection) -> None:
        """Keep the line for the next message, if it is still open."""
        line.kept = True
        line.idle_since = self._clock()
        with self._lock:
            self._busy.discard(line)
            keep = line.sock is not None and not self._closed
            if keep:
                self._idle.append(line)
        if not keep:
            line.close_politely()

    def _stopping(self) -> Outcome:
        detail = "Not sent: this worker is stopping."
        return Outcome(OutcomeKind.PAUSED, Phase.PAUSE, self._server.host, False, detail, tried=False)

    def _take(self) -> SmtpConnection | None:
        now = self._clock()
        while True:
            with self._lock:
                stale = [line for line in self._idle if now - line.idle_since > _MAX_IDLE_S]
                self._idle = [line for line in self._idle if now - line.idle_since <= _MAX_IDLE_S]
                line = self._idle.pop() if self._idle else None
            for old in stale:
                old.close_politely()
            if line is None or now - line.idle_since < _SURELY_ALIVE_S or line.is_alive():
                return line
            line.close()

    def _drop_idle(self) -> None:
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.close_politely()

    def _noted(self, outcome: Outcome) -> Outcome:
        """Tell the circuit. What never asked the server, and what it never answered, says nothing about it."""
        if outcome.kind is OutcomeKind.PAUSED and outcome.tried:
            return replace(outcome, retry_after_s=self._circuit.failed(outcome.detail))
        if outcome.answered:
            self._circuit.succeeded()
        else:
            self._circuit.released()
        return outcome


def _paused(host: str, broken: ConnectionBroken) -> Outcome:
    reply = broken.reply
    return Outcome(
        kind=OutcomeKind.PAUSED,
        phase=broken.phase,
        server=host,
        answered=False,
        detail=f"Not sent: {host} failed at {broken.phase}: {broken.reason}.",
        code=reply.code if reply else None,
        enhanced_code=reply.enhanced_code if reply else None,
        reply=broken.reason if reply else None,
    )
