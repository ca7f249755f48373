"""SMTP connection: connect, STARTTLS, log in; read and write under time-outs.

smtplib makes the commands that open a session (EHLO, AUTH). Every byte goes through `write` and `read`, whose time-outs
bound a whole step: smtplib's bound each single read, so that a server that sends one byte a second blocks it.
"""

import base64
import contextlib
import select
import smtplib
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from service.delivery.outcome import Phase
from service.delivery.relay import Server, own_name
from service.delivery.smtp_login import Utf8Login
from service.mail.smtp_status import Reply, clean

#: Longest reply that is read, all lines together.
_MAX_REPLY_BYTES = 65_536
_CHUNK_BYTES = 65_536
_MAX_PARSED_REPLIES = 32
#: None where the kernel has no such option (Linux has it).
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class ConnectionBroken(Exception):
    """The session can't go on. `reason` says why, without secrets; `reply` is the server's last one, if it sent one."""

    def __init__(self, phase: Phase, reason: str, reply: Reply | None = None) -> None:
        self.phase = phase
        self.reason = reason
        self.reply = reply
        super().__init__(f"{phase}: {reason}")


class SmtpConnection(Utf8Login):
    """A connection to the relay. Not thread-safe, but for `abort`.

    `reused`: it has carried a message before. `needs_rset`: RSET is due before the next one.
    """

    sock: Any  # a socket, also one of TLS

    def __init__(self, server: Server, context: ssl.SSLContext, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(local_hostname="localhost", timeout=server.timeout_s)  # connects nowhere without a host
        self.server = server
        self.reused = False
        self.needs_rset = False
        self.idle_since = 0.0
        self._context = context
        self._clock = clock
        self._buffer = bytearray()
        self._host = server.host
        self._aborted = False
        self._allowed_s = 0.0
        # The kernel waits this long at most, then the deadline is checked: a step rarely needs another time-out.
        self._wait_max_s = server.timeout_s * 0.9
        self._parsed_replies: dict[bytes, Reply] = {}

    def open(self) -> None:
        """Connect, encrypt and log in. Raises ConnectionBroken."""
        phase = Phase.CONNECT
        try:
            for phase_now, step in self._opening():
                phase = phase_now
                step()
        except ConnectionBroken:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionBroken(phase, self.explain(error)) from error

    def write(self, data: bytes, timeout_s: float) -> None:
        """Write all of `data` within `timeout_s`. Raises OSError; then its last byte was not sent."""
        deadline = self._clock() + timeout_s
        view = memoryview(data)
        while view:
            self._wait_until(deadline)
            with contextlib.suppress(BlockingIOError, TimeoutError):  # the deadline is checked next
                view = view[self.sock.send(view[:_CHUNK_BYTES]) :]
        # A server that answers a pipelined envelope in three small packets waits for an acknowledgement between them
        # (Nagle), which the kernel would hold back for 40 ms. The kernel forgets this option: it is set each time.
        if _QUICKACK is not None:
            self.sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def read(self, timeout_s: float) -> Reply:
        """Read the next whole reply within `timeout_s`. Raises OSError (smtplib's errors are such) without one."""
        code, lines = self._read_lines(self._clock() + timeout_s)
        if len(lines) == 1:
            return self._reply(code, lines[0])
        texts = [clean(line.decode("utf-8", "replace")) for line in lines]
        first = Reply(code, texts[0]).enhanced_code
        if first:  # RFC 2034 repeats the code on each line
            texts[1:] = [text.removeprefix(first).lstrip() for text in texts[1:]]
        return Reply(code, clean(" ".join(filter(None, texts))))

    def _reply(self, code: int, text: bytes) -> Reply:
        """Return the parsed reply from a cache: a server answers each MAIL, RCPT and DATA with the same words."""
        raw = b"%d %b" % (code, text)
        if raw in self._parsed_replies:
            return self._parsed_replies[raw]
        reply = Reply(code, clean(text.decode("utf-8", "replace")))
        if len(self._parsed_replies) < _MAX_PARSED_REPLIES:
            self._parsed_replies[raw] = reply
        return reply

    def is_alive(self) -> bool:
        """True if the server has sent nothing unasked: that would be a 421 or the end of the connection."""
        if self.sock is None or self._buffer:
            return False
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable

    def send_quit_and_close(self) -> None:
        """Send QUIT and close without waiting for the answer, which would change nothing."""
        with contextlib.suppress(OSError, ValueError):
            self.write(b"QUIT\r\n", 1.0)
        self.close()

    def abort(self) -> None:
        """End what this connection waits for, as if the server had closed it. For another thread."""
        self._aborted = True
        if (sock := self.sock) is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own shutdown: it would turn encryption off for the thread that uses the socket.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def explain(self, error: Exception) -> str:
        """Return why a step failed, as words for people, without the password."""
        if self._aborted:
            return "this worker is stopping and closed the connection"
        match error:
            case smtplib.SMTPResponseException():
                return self._without_secrets(clean(f"{error.smtp_code} {_text(error.smtp_error)}"))
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {error.verify_message}"
            case ssl.SSLError():
                return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
            case TimeoutError():
                return f"no answer within {self.server.timeout_s:g} s"
            case smtplib.SMTPServerDisconnected() | ConnectionResetError() | BrokenPipeError():
                return "it closed the connection"
            case ConnectionRefusedError():
                return "it refused the connection"
            case socket.gaierror():
                return "its name can't be found"
            case UnicodeError():
                return "user and password are no valid UTF-8"
            case OSError(strerror=str() as text):
                return text.lower()
        return self._without_secrets(clean(str(error)))

    # smtplib's commands write and read through these.

    @override
    def send(self, s: Any) -> None:
        self.write(s.encode("ascii") if isinstance(s, str) else bytes(s), self.server.timeout_s)

    @override
    def getreply(self) -> tuple[int, bytes]:
        code, lines = self._read_lines(self._clock() + self.server.timeout_s)
        return code, b"\n".join(lines)

    # Opening the session.

    def _opening(self) -> list[tuple[Phase, Callable[[], None]]]:
        implicit, starttls = self.server.tls_mode == "implicit", self.server.tls_mode == "starttls"
        steps: list[tuple[Phase, Callable[[], None]]] = [(Phase.CONNECT, self._connect)]
        steps += [(Phase.TLS, self._encrypt)] if implicit else []
        steps += [(Phase.GREETING, self._greeting), (Phase.EHLO, self._introduce)]
        steps += [(Phase.TLS, self._starttls), (Phase.EHLO, self._introduce)] if starttls else []
        steps += [(Phase.LOGIN, self._login)] if self.server.user else []
        return steps

    def _connect(self) -> None:
        """Connect to the first of the host's addresses that answers; each has the time-out of a step."""
        failure = OSError("its name has no address")
        addresses = socket.getaddrinfo(self.server.host, self.server.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in addresses:
            self.sock, self._allowed_s = socket.socket(family, kind, protocol), 0.0
            try:
                self._require_open()
                self.sock.settimeout(self.server.timeout_s)
                self.sock.connect(address)
                self.sock.settimeout(None)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.local_hostname = own_name(self.sock)
                return
            except OSError as error:
                failure = error
                self.close()
        raise failure

    def _encrypt(self) -> None:
        self.sock = self._context.wrap_socket(
            self.sock, server_hostname=self.server.host, do_handshake_on_connect=False
        )
        self._allowed_s = 0.0
        self._require_open()
        self.sock.settimeout(self.server.timeout_s)
        self.sock.do_handshake()  # the time-out is for all of it

    def _greeting(self) -> None:
        self._expect(220, Phase.GREETING, self.read(self.server.timeout_s))

    def _introduce(self) -> None:
        """Send EHLO, or HELO to a server that does not know EHLO (RFC 5321, 3.2)."""
        code, text = self.ehlo()
        if 500 <= code <= 504 and self.server.tls_mode == "none":
            code, text = self.helo()
        self._expect(250, Phase.EHLO, Reply(code, clean(_text(text))))

    def _starttls(self) -> None:
        """Start TLS; without it nothing is sent: an attacker in between could strip the offer (RFC 3207, 6)."""
        if not self.has_extn("starttls"):
            raise ConnectionBroken(Phase.TLS, "it does not offer STARTTLS, and nothing is sent in clear")
        code, text = self.docmd("STARTTLS")
        self._expect(220, Phase.TLS, Reply(code, clean(_text(text))))
        if self._buffer:
            raise ConnectionBroken(Phase.TLS, "it sent something in clear after its answer to STARTTLS")
        self._encrypt()
        self.ehlo_resp = self.helo_resp = None  # extensions offered in clear do not count
        self.esmtp_features = {}
        self.does_esmtp = False

    def _login(self) -> None:
        if not self.has_extn("auth"):
            raise ConnectionBroken(Phase.LOGIN, "it offers no login (AUTH), and a user is set")
        self.login(self.server.user or "", self.server.password or "")

    def _expect(self, code: int, phase: Phase, reply: Reply) -> None:
        if reply.code != code:
            raise ConnectionBroken(phase, self._without_secrets(str(reply)), reply)

    def _without_secrets(self, text: str) -> str:
        user, password = self.server.user or "", self.server.password or ""
        if not password:
            return text
        pair = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        for secret in (pair, base64.b64encode(password.encode()).decode(), password):
            text = text.replace(secret, "***")
        return text

    # Bytes.

    def _read_lines(self, deadline: float) -> tuple[int, list[bytes]]:
        lines: list[bytes] = []
        size_bytes = 0
        while True:
            raw = self._read_line(deadline)
            size_bytes += len(raw)
            if size_bytes > _MAX_REPLY_BYTES or not raw[:3].isdigit() or raw[3:4] not in (b" ", b"-", b""):
                raise smtplib.SMTPException("it answered something that is not SMTP")
            lines.append(raw[4:].strip())
            if raw[3:4] != b"-":
                return int(raw[:3]), lines

    def _read_line(self, deadline: float) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_REPLY_BYTES:
                raise smtplib.SMTPException("it answered something that is not SMTP")
            self._wait_until(deadline)
            try:
                received = self.sock.recv(_CHUNK_BYTES)
            except (BlockingIOError, TimeoutError):
                continue
            if not received:
                raise smtplib.SMTPServerDisconnected("it closed the connection")
            self._buffer += received
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    def _wait_until(self, deadline: float) -> None:
        """Give the next read or write of the socket the time that is left. Raises TimeoutError when none is."""
        self._require_open()
        left = deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        wanted = min(left, self._wait_max_s)
        # Saves a system call each time where the socket's time-out is already what it should be, or 1 % more.
        if not wanted <= self._allowed_s <= wanted * 1.01:
            self._allow(wanted)

    def _require_open(self) -> None:
        """Raise if `abort` was called. Needed after a new socket is set: `abort` may have met the old one."""
        if self.sock is None or self._aborted:
            raise smtplib.SMTPServerDisconnected("the connection is closed")

    def _allow(self, seconds: float) -> None:
        """Set the time-out of one read or write. Without TLS it is the kernel's: Python would poll before each."""
        self._allowed_s = seconds
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(seconds)
            return
        timeval = struct.pack("ll", int(seconds), max(int(seconds % 1 * 1_000_000), 1))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
