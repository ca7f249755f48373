"""Run the application on sockets, and shut it down without losing running requests."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from litestar import Litestar

from service.errors import ConfigurationError
from service.web.connection_limits import ConnectionLimits, check_all, limited

#: Running requests get this long on shutdown; with the shutdown of the worker it stays below 10 s.
GRACE_S = 4
#: Connections are checked every half second; a tick of uvicorn is a tenth.
_TICKS_PER_CHECK = 5


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free one. Raises ConfigurationError if the address is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError([f"Can't listen on {host} port {port}: {error.strerror}. Try --port 0."]) from error
    listener.listen(1024)
    return listener


def run(
    app: Litestar,
    listeners: Sequence[socket.socket],
    *,
    on_ready: Callable[[], None],
    on_end: Callable[[], None] = lambda: None,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; return after shutdown. See `server_of`."""
    # uvicorn raises the signal again after its shutdown; it has done its work by then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server_of(app, on_ready=on_ready, on_end=on_end, limits=limits).run(sockets=list(listeners))


def server_of(
    app: Litestar,
    *,
    on_ready: Callable[[], None],
    on_end: Callable[[], None] = lambda: None,
    limits: ConnectionLimits | None = None,
) -> uvicorn.Server:
    """Return the configured server; outside the main thread it is stopped with `should_exit`.

    The limits of connections are those of the settings, unless others are handed in.

    `on_end` is called before it waits for open connections, so that endless streams can stop.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        proxy_headers=False,  # a header sent by the client must not decide its address
        lifespan="on",
        http=limited(limits or ConnectionLimits.of(app.state.services.settings)),
        ws="none",
    )
    return _Server(config, on_ready, on_end)


class _Server(uvicorn.Server):
    """A uvicorn server that checks its connections, reports when it is ready, and stops streams before it waits."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_end = on_end

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_PER_CHECK == 0:
            check_all(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        self._on_end()
        await super().shutdown(sockets)
