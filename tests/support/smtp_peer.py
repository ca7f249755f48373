"""A scripted SMTP server on a real socket, which misbehaves as a test wants."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "ENHANCEDSTATUSCODES")


class Act(Enum):
    """What the server does instead of answering."""

    CLOSE = auto()  # hang up
    SILENCE = auto()  # never answer
    TRICKLE = auto()  # an answer that never ends, a byte at a time
    RESET = auto()  # hang up so that the client's kernel says so at once


Step = str | Act
#: Answers by command (or "greeting", or "." for the end of data): one for always, or one after the other.
Script = Mapping[str, Step | Sequence[Step]]

_USUAL: Script = {
    "greeting": "220 peer.test ESMTP",
    "HELO": "250 peer.test",
    "STARTTLS": "220 2.0.0 go ahead",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    ".": "250 2.0.0 Ok: queued as 4XyZ12",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


class Peer:
    """A server that runs inside a `with` block; it records `commands`, and `messages` without stuffed dots.

    `after_command` is sent unasked behind the answer to a command; `amid_data` instead of reading the data.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        extensions: Sequence[str] = EXTENSIONS,
        context: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        after_command: Mapping[str, bytes] | None = None,
        amid_data: str | None = None,
    ) -> None:
        self._script = {**_USUAL, **(script or {})}
        self._extensions = extensions
        self._context = context
        self._implicit_tls = implicit_tls
        self._after_command = after_command or {}
        self._amid_data = amid_data
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.was_silent = threading.Event()
        self.commands: list[str] = []
        self.messages: list[bytes] = []
        self.chunks: list[bytes] = []
        self.connections = 0
        self.open_now = 0
        self.open_at_most = 0
        self.port = 0

    def __enter__(self) -> "Peer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def verbs(self) -> list[str]:
        """The verbs of the commands, in the order of arrival."""
        return [command.split()[0].upper() for command in self.commands]

    def _start(self, target: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self.open_now += 1
                self.open_at_most = max(self.open_at_most, self.open_now)
            self._start(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        talk = _Talk(connection, self._stop, self.chunks)
        try:
            if self._implicit_tls:
                talk.encrypt(self._context)
            if self._answer(talk, "greeting"):
                self._listen(talk)
        except OSError:  # the client went away, or would not shake hands
            pass
        finally:
            talk.close()
            with self._lock:
                self.open_now -= 1

    def _listen(self, talk: "_Talk") -> None:
        while (line := talk.line()) is not None:
            with self._lock:
                self.commands.append(line.decode("utf-8"))
            verb = line.split()[0].decode().upper()
            if verb == "EHLO" and "EHLO" not in self._script:
                names = ["peer.test", *self._extensions]
                talk.say("".join(f"250{'-' if n < len(names) - 1 else ' '}{name}\r\n" for n, name in enumerate(names)))
                continue
            answer = self._next(verb)
            if not self._act(talk, answer):
                return
            talk.say_raw(self._after_command.get(verb, b""))
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and str(answer).startswith("220"):
                talk.encrypt(self._context)
            if verb == "DATA" and str(answer).startswith("354"):
                if self._amid_data is not None:
                    talk.say(self._amid_data + "\r\n")
                    return
                data = talk.data()
                if data is None:
                    return
                self.messages.append(data)
                if not self._answer(talk, "."):
                    return

    def _next(self, verb: str) -> Step:
        step = self._script.get(verb, "500 5.5.1 what?")
        if isinstance(step, str | Act):
            return step
        with self._lock:
            count = self._counts.get(verb, 0)
            self._counts[verb] = count + 1
        return step[min(count, len(step) - 1)]

    def _answer(self, talk: "_Talk", verb: str) -> bool:
        return self._act(talk, self._next(verb))

    def _act(self, talk: "_Talk", answer: Step) -> bool:
        """Answer, and return True if the conversation continues."""
        match answer:
            case str():
                talk.say(answer + "\r\n")
                return not answer.startswith("421")
            case Act.SILENCE:
                self.was_silent.set()
                talk.drain()
            case Act.TRICKLE:
                talk.trickle()
            case Act.RESET:
                talk.reset()
        return False


class _Talk:
    """One connection, read by lines."""

    def __init__(self, connection: socket.socket, stop: threading.Event, chunks: list[bytes]) -> None:
        self._connection = connection
        self._connection.settimeout(0.02)
        self._stop = stop
        self._chunks = chunks
        self._buffer = b""

    def encrypt(self, context: ssl.SSLContext | None) -> None:
        assert context is not None
        self._connection.settimeout(5)
        # Who hangs up instead of shaking hands is noticed here: wrap_socket would leave an open socket behind.
        if not self._connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError("the client has hung up")
        # First the name, then the handshake: what fails in it is closed like everything else.
        self._connection = context.wrap_socket(self._connection, server_side=True, do_handshake_on_connect=False)
        self._connection.do_handshake()
        self._connection.settimeout(0.02)

    def say(self, text: str) -> None:
        self.say_raw(text.encode("utf-8"))

    def say_raw(self, data: bytes) -> None:
        self._connection.sendall(data)

    def line(self) -> bytes | None:
        return self._until(b"\r\n")

    def data(self) -> bytes | None:
        """The data before the final dot, with its last line ending; None if the client hung up before it."""
        if self._buffer.startswith(b".\r\n"):
            return b""
        found = self._until(b"\r\n.\r\n")
        return None if found is None else (b"\r\n" + found + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]

    def drain(self) -> None:
        while self._receive() is not None:
            pass

    def trickle(self) -> None:
        with suppress(OSError):
            self.say("250-")
            while not self._stop.is_set():
                self.say("x")
                time.sleep(0.01)

    def reset(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def close(self) -> None:
        self._connection.close()

    def _until(self, end: bytes) -> bytes | None:
        while end not in self._buffer:
            received = self._receive()
            if received is None:
                return None
            self._buffer += received
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _receive(self) -> bytes | None:
        while not self._stop.is_set():
            try:
                received = self._connection.recv(65536)
            except TimeoutError:
                continue
            self._chunks.append(received)
            return received or None
        return None
