"""What mail is delivered to: Postfix's smtp-sink, a line that delays, and a sink that tells when it took which mail.

The last two are programs of their own (`python -m benches.delivery_servers line PORT DELAY_MS` and `... sink`): they
print their port, and end with their standard input.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benches.http_load import environment_with
from benches.report import Unmeasured

#: Debian puts it where the PATH of an ordinary user does not look.
SINK = Path("/usr/sbin/smtp-sink")
_START_S = 10.0
_OFFERED = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def smtp_sink(elsewhere: Path = SINK) -> Iterator[int]:
    """Postfix's smtp-sink, written in C, which takes everything and keeps nothing; its port. Unmeasured: not there."""
    found = shutil.which("smtp-sink") or (str(elsewhere) if elsewhere.is_file() else None)
    if found is None:
        raise Unmeasured("smtp-sink is missing; Debian and Ubuntu: apt-get install postfix (it needs not run)")
    port = free_port()
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    process = subprocess.Popen((found, *user, f"127.0.0.1:{port}", "1000"), stderr=subprocess.DEVNULL)
    try:
        _until_it_listens(port)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def line(port: int, delay_ms: float) -> Iterator[int]:
    """A way to `port` that is `delay_ms` long in each direction; its own port."""
    with _program("line", str(port), str(delay_ms)) as (_, own):
        yield own


@contextmanager
def telling_sink() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A sink that prints `RECIPIENT SECONDS` (of the monotonic clock) for recipients that begin with `alert`."""
    with _program("sink") as running:
        yield running


@contextmanager
def _program(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    process = subprocess.Popen(
        (sys.executable, "-m", "benches.delivery_servers", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment_with({}),
    )
    with process:
        try:
            yield process, int(next(iter(process.stdout or ()), "0"))
        finally:
            process.terminate()


def _until_it_listens(port: int) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise Unmeasured("smtp-sink did not start") from None
            time.sleep(0.02)


async def _delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """What comes in goes out `delay_s` later, however much is under way."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due_s, data = await under_way.get()
            await asyncio.sleep(due_s - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)

    arriving = asyncio.create_task(arrive())
    data = b"begin"
    while data:
        try:
            data = await reader.read(262_144)
        except ConnectionError:
            data = b""
        under_way.put_nowait((loop.time() + delay_s, data))
    await arriving


async def _serve_line(port: int, delay_s: float) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_delay(reader, far_writer, delay_s), _delay(far_reader, writer, delay_s))

    await _serve(carry)


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    recipient = b""
    writer.write(b"220 sink\r\n")
    while command := await reader.readline():
        verb = command[:4].upper()
        if verb == b"EHLO":
            writer.write(_OFFERED)
        elif verb == b"DATA":
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 2.0.0 Ok\r\n")
            if recipient.startswith(b"alert"):
                print(recipient.decode(), time.monotonic(), flush=True)
        elif verb == b"QUIT":
            break
        else:
            if verb == b"RCPT":
                recipient = command.partition(b"<")[2].partition(b">")[0]
            writer.write(b"250 2.0.0 Ok\r\n")
    writer.close()


async def _serve(answer: "asyncio.streams._ClientConnectedCallback") -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**22, backlog=1_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # conversations under way are nobody's any more


if __name__ == "__main__":
    if sys.argv[1] == "line":
        asyncio.run(_serve_line(int(sys.argv[2]), float(sys.argv[3]) / 1_000))
    else:
        asyncio.run(_serve(_take))
