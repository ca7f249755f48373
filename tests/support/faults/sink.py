"""The relay of the fault tests: an SMTP server that records each mail at its last byte, before it answers.

It runs in a thread of the test, so that no fault of the service loses its records. Its port stays reserved while it
is down, so that no other test can listen there.
"""

import asyncio
import email
import email.policy
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

#: Each mail of the tests names its recipient once more in its body.
MARK = re.compile(r"Mail-of-([a-z0-9-]+)")
_LINE_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One copy that was accepted. `marks` are the recipients that its body names; `line` is its connection."""

    recipient: str
    message_id: str
    date: str
    to: str
    marks: frozenset[str]
    line: int
    at_s: float


class Sink:
    """A relay that runs inside a `with` block; it answers the end of data after `hold_s` seconds."""

    def __init__(self, *, hold_s: float = 0.0) -> None:
        self.hold_s = hold_s
        self.arrivals: list[Arrival] = []
        #: When a connection ended without QUIT: its client died, or we were stopped.
        self.broken_at_s: dict[int, float] = {}
        #: Mails that were recorded and not yet answered.
        self.on_the_wire = 0
        self._lines = itertools.count(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sink", daemon=True)
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]

    def __enter__(self) -> "Sink":
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._wait_for(self._drained)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    @property
    def environment(self) -> dict[str, str]:
        """Settings that make the service send its mail here."""
        return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(self.port), "SMTP_TLS": "none"}

    def up(self) -> None:
        """Start to listen."""
        self._wait_for(self._listen)

    def down(self) -> None:
        """Stop like a killed server: new connections are refused, open ones break."""
        self._wait_for(self._hang_up)

    def copies(self) -> dict[str, list[Arrival]]:
        """The copies that arrived, by Message-ID, in the order of arrival."""
        found: dict[str, list[Arrival]] = {}
        for arrival in list(self.arrivals):
            found.setdefault(arrival.message_id, []).append(arrival)
        return found

    def _wait_for(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(20)

    async def _listen(self) -> None:
        listener = _bound(self.port)
        listener.listen(200)
        self._server = await asyncio.start_server(self._converse, sock=listener, limit=_LINE_LIMIT_BYTES)

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.close()

    async def _drained(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = next(self._lines)
        self._writers.add(writer)
        try:
            await self._take_mails(line, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            self.broken_at_s[line] = time.monotonic()
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _take_mails(self, line: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 sink.test ESMTP\r\n")
        while True:
            command = (await reader.readuntil(b"\r\n")).decode()
            match command[:4].upper():
                case "EHLO":
                    writer.write(b"250-sink.test\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n")
                case "RCPT":
                    recipient = command.partition("<")[2].partition(">")[0]
                    writer.write(b"250 2.1.5 ok\r\n")
                case "DATA":
                    writer.write(b"354 go ahead\r\n")
                    data = await reader.readuntil(b"\r\n.\r\n")
                    self.arrivals.append(_arrival(recipient, data, line))
                    self.on_the_wire += 1
                    try:
                        await asyncio.sleep(self.hold_s)
                        writer.write(b"250 2.0.0 taken\r\n")
                        await writer.drain()
                    finally:
                        self.on_the_wire -= 1
                case "QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    return
                case _:
                    writer.write(b"250 2.0.0 ok\r\n")


def _arrival(recipient: str, data: bytes, line: int) -> Arrival:
    mail = email.message_from_bytes(data, policy=email.policy.compat32)
    marks = frozenset(MARK.findall(data.decode("utf-8", "replace")))
    return Arrival(recipient, mail["Message-ID"].strip("<>"), mail["Date"], mail["To"], marks, line, time.monotonic())


def _bound(port: int) -> socket.socket:
    """Bind `port` with a socket that never listens, so that only this test can listen on it."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
