"""SMTP transport: a pool of connections to one relay, each used by one thread at a time, behind a circuit breaker."""

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

#: Servers close idle connections: Postfix after 300 s, under stress after 10 s. Beyond this a new one is opened.
_MAX_IDLE_S = 20.0
#: A connection used within this time is not checked first: if it did die, MAIL tells, and a new one is opened.
_SURELY_ALIVE_S = 0.5


class SmtpTransport:
    """A Transport to one relay with at most `server.max_connections` connections; further threads wait.

    Raises ConfigurationError where the server's `ca_file` can't be read. `clock` is monotonic, seconds.
    """

    def __init__(self, server: Server, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._context = tls_context(server)
        self._circuit = CircuitBreaker(clock)
        self._turns = threading.BoundedSemaphore(server.max_connections)
        self._lock = threading.Lock()
        self._idle: list[SmtpConnection] = []  # the last used is taken first: the others may expire
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
            smtp_envelope = envelope(sender, recipient, wire)
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
                outcome = self._send(smtp_envelope, before_mail, before_end_of_data)
            except BaseException:
                self._circuit.released()
                raise
        return self._reported(outcome)

    def paused_for_s(self) -> float:
        """See Transport."""
        return self._circuit.paused_for_s()

    def close(self) -> None:
        """Close idle connections; those in use close after their message."""
        with self._lock:
            self._closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.send_quit_and_close()

    def abort(self) -> None:
        """See Transport."""
        with self._lock:
            self._aborted = True
            busy = list(self._busy)
        for connection in busy:
            connection.abort()
        self.close()

    def _send(
        self,
        smtp_envelope: SmtpEnvelope,
        before_mail: Callable[[], bool] | None,
        before_end_of_data: Callable[[], None] | None,
    ) -> Outcome:
        """Send; once more on a new connection where a reused one had died before MAIL was answered."""
        fresh = False
        while True:
            connection = (None if fresh else self._take()) or SmtpConnection(self._server, self._context, self._clock)
            if not self._begin(connection):
                return self._stopping()
            try:
                if connection.sock is None:
                    connection.open()
                outcome = transact(
                    connection, smtp_envelope, before_mail=before_mail, before_end_of_data=before_end_of_data
                )
            except ConnectionBroken as broken:
                fresh = connection.reused and broken.phase is Phase.MAIL
                outcome = _paused(self._server.host, broken)
            else:
                # "Too many messages on this connection."
                fresh = connection.reused and outcome.code == 421 and outcome.phase is Phase.MAIL
            finally:
                self._end(connection)
            if not fresh:
                return outcome
            self._drop_idle()

    def _begin(self, connection: SmtpConnection) -> bool:
        """Register the connection for `abort`; False after it."""
        with self._lock:
            if self._aborted:
                connection.close()
            else:
                self._busy.add(connection)
            return not self._aborted

    def _end(self, connection: SmtpConnection) -> None:
        """Return the connection to the pool, if it is still open."""
        connection.reused = True
        connection.idle_since = self._clock()
        with self._lock:
            self._busy.discard(connection)
            keep = connection.sock is not None and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.send_quit_and_close()

    def _stopping(self) -> Outcome:
        detail = "Not sent: this worker is stopping."
        return Outcome(OutcomeKind.PAUSED, Phase.PAUSE, self._server.host, False, detail, tried=False)

    def _take(self) -> SmtpConnection | None:
        """Take a live idle connection from the pool; None without one."""
        now = self._clock()
        while True:
            with self._lock:
                stale = [connection for connection in self._idle if now - connection.idle_since > _MAX_IDLE_S]
                self._idle = [connection for connection in self._idle if now - connection.idle_since <= _MAX_IDLE_S]
                connection = self._idle.pop() if self._idle else None
            for old in stale:
                old.send_quit_and_close()
            if connection is None or now - connection.idle_since < _SURELY_ALIVE_S or connection.is_alive():
                return connection
            connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.send_quit_and_close()

    def _reported(self, outcome: Outcome) -> Outcome:
        """Report to the circuit breaker. An attempt that the server never answered says nothing about the server."""
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
