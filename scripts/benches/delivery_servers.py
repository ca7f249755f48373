"""SMTP servers to deliver to: Postfix's smtp-sink, a proxy that delays, and a sink that prints when a mail came.

The last two are programs of their own (`python -m benches.delivery_servers delay PORT DELAY_MS` and `... sink`): they
print their port, and end when their standard input is closed.
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

from benches.processes import environment_with, free_port, wait_until
from benches.report import Unmeasured

#: Where Debian installs it, which is not on the PATH of an ordinary user.
SINK = Path("/usr/sbin/smtp-sink")
_START_TIMEOUT_S = 10.0
_EHLO_REPLY = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n"


@contextmanager
def smtp_sink(fallback: Path = SINK) -> Iterator[int]:
    """Postfix's smtp-sink, written in C, accepts every mail and stores none; yields its port.

    Raises Unmeasured where it is neither on PATH nor at `fallback`.
    """
    program = shutil.which("smtp-sink") or (str(fallback) if fallback.is_file() else None)
    if program is None:
        raise Unmeasured("smtp-sink is missing; Debian and Ubuntu: apt-get install postfix (Postfix need not run)")
    port = free_port()
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    process = subprocess.Popen((program, *user, f"127.0.0.1:{port}", "1000"), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), _START_TIMEOUT_S)
        yield port
    except TimeoutError:
        raise Unmeasured("smtp-sink did not start") from None
    finally:
        process.terminate()
        process.wait()


@contextmanager
def delayed(port: int, delay_ms: float) -> Iterator[int]:
    """A TCP proxy to `port` that delays each direction by `delay_ms`; yields its own port."""
    with _program("delay", str(port), str(delay_ms)) as (_, own_port):
        yield own_port


@contextmanager
def timing_sink() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A sink that prints `RECIPIENT SECONDS` (monotonic clock) for recipients that begin with `alert`; and its port."""
    with _program("sink") as process_and_port:
        yield process_and_port


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


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def _delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Forward each chunk `delay_s` after it came in, without a limit on how much is in flight."""
    loop = asyncio.get_running_loop()
    in_flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def forward() -> None:
        while True:
            due_s, data = await in_flight.get()
            await asyncio.sleep(due_s - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)

    forwarding = asyncio.create_task(forward())
    data = b"begin"
    while data:
        try:
            data = await reader.read(262_144)
        except ConnectionError:
            data = b""
        in_flight.put_nowait((loop.time() + delay_s, data))
    await forwarding


async def _serve_delayed(port: int, delay_s: float) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay_reader, relay_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_delay(reader, relay_writer, delay_s), _delay(relay_reader, writer, delay_s))

    await _serve(proxy)


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    recipient = b""
    writer.write(b"220 sink\r\n")
    while command := await reader.readline():
        verb = command[:4].upper()
        if verb == b"EHLO":
            writer.write(_EHLO_REPLY)
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


async def _serve(on_connection: "asyncio.streams._ClientConnectedCallback") -> None:
    server = await asyncio.start_server(on_connection, "127.0.0.1", 0, limit=2**22, backlog=1_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # without waiting for open connections


if __name__ == "__main__":
    if sys.argv[1] == "delay":
        asyncio.run(_serve_delayed(int(sys.argv[2]), float(sys.argv[3]) / 1_000))
    else:
        asyncio.run(_serve(_receive))
