"""Limits of HTTP connections: deadlines, sizes, and how many there are; uvicorn has none of them.

A head must be complete within a time. A body must keep coming, and an answer must be read, at a rate that any real
client has. Where there are too many connections, those that wait for their client are closed first; beyond that, a
few places are left for `/healthz` and `/readyz` alone.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from service.config.settings import Settings
from service.web.edge import PROBLEM_TYPE, completed, problem

#: A body comes, and an answer is read, at least at this rate: a tenth of what the slowest mobile networks give.
LEAST_BYTES_PER_S = 1_024
#: Bytes of a head, and of what stands between two pieces of a body (RFC 9112, 7.1: extensions, trailers).
MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 200
#: Requests that a client may send before the first is answered.
MAX_PIPELINED = 16
#: Connections beyond the limit that are kept for the paths below.
RESERVE = 16
RESERVED_PATHS = (b"/healthz", b"/readyz")
#: A body or an answer that is younger is not closed for another connection.
_YOUNG_S = 2.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`head_s` and `body_s` are how long a head may take, and for how long nothing may come or be read."""

    head_s: float
    body_s: float
    max_connections: int

    @classmethod
    def of(cls, settings: Settings) -> "ConnectionLimits":
        """The limits of the settings."""
        return cls(
            settings.email_http_head_timeout_seconds,
            settings.email_http_body_timeout_seconds,
            settings.email_http_max_connections,
        )


class Refused(Exception):
    """The request is refused before it reaches the application."""

    def __init__(self, status: int, detail: str, code: str, retry_after_s: int | None = None) -> None:
        self.status = status
        self.detail = detail
        self.code = code
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class _Progress:
    """Whether bytes keep moving: `window_s` at a time, at the least rate."""

    def __init__(self, now: float, window_s: float) -> None:
        self.since = now
        self._window_s = window_s
        self._window_since = now
        self._moved_before = 0

    def restart(self, now: float, moved: int) -> None:
        self._window_since, self._moved_before = now, moved

    def has_stopped(self, now: float, moved: int) -> bool:
        """Tell whether too little has moved since the window began; `moved` counts bytes from the start."""
        if now - self._window_since < self._window_s:
            return False
        is_slow = moved - self._moved_before < LEAST_BYTES_PER_S * self._window_s
        self.restart(now, moved)
        return is_slow


class LimitedConnection(HttpToolsProtocol):
    """A connection with limits. `check` must be called every second or so.

    `waiting` is shared: the connections that wait for a request, those that wait longest first.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
        *,
        limits: ConnectionLimits,
        waiting: "dict[LimitedConnection, None]",
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._waiting = waiting
        self._reading: Literal["head", "body", "whole"] = "head"
        self._received_bytes = 0
        self._silent_bytes = 0
        self._is_reserve = False
        self._refusal: Refused | None = None
        self._body = self._head = _Progress(self.loop.time(), limits.body_s)
        self._answer: _Progress | None = None
        self._unsent_bytes = 0
        self._drained_until: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a place; where there is none, that of a connection which waits for its client."""
        super().connection_made(transport)
        self._waiting[self] = None
        if len(self.connections) <= self._limits.max_connections:
            return
        oldest = next(iter(self._waiting))
        if oldest is not self:
            oldest.drop()
            return
        now = self.loop.time()
        others = [one for one in self.connections if isinstance(one, LimitedConnection) and one is not self]
        ranked = [(rank, one) for one in others if (rank := one.rank(now)) is not None]
        if ranked:
            min(ranked, key=lambda pair: pair[0])[1].drop()
        elif len(self.connections) <= self._limits.max_connections + RESERVE:
            self._is_reserve = True
        else:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._waiting.pop(self, None)
        super().connection_lost(exc)

    def rank(self, now: float) -> tuple[int, float] | None:
        """Order of the connections that may be closed where none waits for a request; None for one that may not."""
        age_s = now - self._body.since
        if self._reading == "body" and age_s > _YOUNG_S:
            return 0, self._received_bytes / age_s
        if self._answer is not None and now - self._answer.since > _YOUNG_S:
            return 1, self._answer.since
        return None

    def drop(self) -> None:
        """Close at once, without an answer."""
        self.connections.discard(self)
        self._waiting.pop(self, None)
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def check(self, now: float) -> None:
        """Close the connection if its client keeps it waiting for too long."""
        if self._is_unread(now) or (self._drained_until is not None and now > self._drained_until):
            self.drop()
        elif self.transport.is_closing():
            return
        elif self._reading == "head" and not self._is_busy and now - self._head.since > self._limits.head_s:
            self._refuse(Refused(408, "The head of the request took too long.", "too_slow"))
        elif self._reading == "body" and not self._is_answered:
            if self.flow.read_paused or self.cycle.waiting_for_100_continue:
                self._body.restart(now, self._received_bytes)  # it is us who do not read on
            elif self._body.has_stopped(now, self._received_bytes):
                self._refuse(Refused(408, "The body of the request came too slowly.", "too_slow"))

    def data_received(self, data: bytes) -> None:
        """Parse what came. What is neither body nor complete is bounded, too."""
        if self._reading == "whole" and not self._is_busy:
            self._begin_head()  # an empty line before a request is no part of one, yet ends uvicorn's time-out
        self._received_bytes += len(data)
        self._silent_bytes += len(data)
        super().data_received(data)
        if self._silent_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_too_large_head())

    def send_400_response(self, msg: str) -> None:
        """Answer a request that can't be parsed, or that a callback of the parser has refused."""
        self._refuse(self._refusal or Refused(400, msg, "malformed_http"))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        """Refuse what the head shows to be too much; else the application begins. Raises Refused."""
        self._refusal = self._judged_head()
        if self._refusal is not None:
            raise self._refusal
        self._waiting.pop(self, None)
        self._reading, self._silent_bytes, self._received_bytes = "body", 0, 0
        self._body = _Progress(self.loop.time(), self._limits.body_s)
        super().on_headers_complete()
        if self._is_reserve:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._silent_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._reading, self._silent_bytes, self._drained_until = "whole", 0, None
        super().on_message_complete()
        if self._is_answered:
            self._waiting[self] = None

    def on_response_complete(self) -> None:
        """The answer is complete; what is left of a body that nobody wanted may still come for a while."""
        if self._reading == "body":
            self._drained_until = self.loop.time() + self._limits.body_s
        super().on_response_complete()
        if self._reading != "body" and not self._is_busy and not self.transport.is_closing():
            self._waiting[self] = None

    @property
    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _is_busy(self) -> bool:
        """Whether an answer is due."""
        return not self._is_answered

    def _begin_head(self) -> None:
        self._reading = "head"
        self._head = _Progress(self.loop.time(), self._limits.head_s)

    def _judged_head(self) -> Refused | None:
        if self.parser.should_upgrade():
            return Refused(400, "This service speaks HTTP/1.1, and upgrades to nothing else.", "no_upgrade")
        size_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            return _too_large_head()
        if len(self.pipeline) >= MAX_PIPELINED:
            return Refused(400, "Too many requests were sent before the first was answered.", "pipelined")
        if self._is_reserve and self.url.partition(b"?")[0] not in RESERVED_PATHS:
            return Refused(503, "Too many connections are open.", "try_later", retry_after_s=5)
        return None

    def _is_unread(self, now: float) -> bool:
        """Whether an answer is waiting for a client that does not read it."""
        left = self.transport.get_write_buffer_size()
        if not left:
            self._answer = None
            return False
        if self._answer is None:
            self._answer, self._unsent_bytes = _Progress(now, self._limits.body_s), left
        # A stream adds to what is left, and would look as if less had been read: it is not ahead of its reader either.
        return self._answer.has_stopped(now, self._unsent_bytes - left)

    def _refuse(self, refused: Refused) -> None:
        """Answer and close; the application is told that the client has gone, and what it still says is not sent."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            is_answered_first = self.pipeline or cycle.response_started or refused is self._refusal
            cycle.disconnected = True
            cycle.message_event.set()
            if is_answered_first:  # in the midst of another answer, ours would be a part of that
                self.drop()
                return
        body = problem(refused.status, refused.detail, refused.code)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", PROBLEM_TYPE),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if refused.retry_after_s is not None:
            headers.append((b"retry-after", str(refused.retry_after_s).encode()))
        lines = b"".join(b"%s: %s\r\n" % pair for pair in completed(headers))
        self.transport.write(STATUS_LINE[refused.status] + lines + b"\r\n" + body)
        self.transport.close()


def limited(limits: ConnectionLimits) -> Any:
    """What uvicorn makes its connections with."""
    return partial(LimitedConnection, limits=limits, waiting={})


def check_all(connections: Collection[Any], now: float) -> None:
    """Close those whose clients keep them waiting for too long."""
    for one in list(connections):
        if isinstance(one, LimitedConnection):
            one.check(now)


def _too_large_head() -> Refused:
    return Refused(
        431, f"The head of a request has at most {MAX_HEAD_BYTES:,} bytes and {MAX_HEADERS} lines.", "too_long"
    )
