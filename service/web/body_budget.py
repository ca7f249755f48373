"""A bound on the bytes of all request bodies that are held at a time.

A body is taken from the budget when a handler begins to read it, after guards: with Content-Length all of it, else as
it arrives. It is given back when the request is answered. Small bodies are free, so that large ones which nobody
finishes never keep them out; their number is bounded by that of connections.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from litestar.exceptions import ClientException
from litestar.types import HTTPReceiveMessage, Receive, Scope

from service.errors import TryLater

#: The beginning of each body that is not counted.
FREE_BYTES = 64 * 1024
#: When a caller for whom there was no room should come again.
RETRY_AFTER_S = 5


class BodyBudget:
    """Bytes of bodies in flight, at most `max_bytes`, and half of that for one caller. For one event loop.

    There is room for a body of `largest_bytes` in either.
    """

    def __init__(self, max_bytes: int, largest_bytes: int) -> None:
        self._max_bytes = max(max_bytes, largest_bytes)
        self._share_bytes = max(max_bytes // 2, largest_bytes)
        self._held_bytes = Counter[str]()

    @property
    def held_bytes(self) -> int:
        """What is taken now."""
        return self._held_bytes.total()

    @contextmanager
    def taken(self, scope: Scope, receive: Receive) -> Iterator[Receive]:
        """Give a `receive` that takes what it reads from the budget; all is given back at the end of the block.

        It raises TryLater where there is no room, and ClientException where the client leaves amid its body.
        """
        announced = _announced_bytes(scope)
        if announced == 0:
            yield receive
            return
        body = _Body(self, scope, receive, announced)
        try:
            yield body.receive
        finally:
            body.give_back()

    def take(self, caller: str, size_bytes: int) -> None:
        """Raises TryLater."""
        is_share_full = self._held_bytes[caller] + size_bytes > self._share_bytes
        if is_share_full or self.held_bytes + size_bytes > self._max_bytes:
            raise TryLater("Too many large requests are under way.", retry_after_s=RETRY_AFTER_S)
        self._held_bytes[caller] += size_bytes

    def give_back(self, caller: str, size_bytes: int) -> None:
        """End what `take` began."""
        self._held_bytes[caller] -= size_bytes
        if not self._held_bytes[caller]:
            del self._held_bytes[caller]


class _Body:
    """The body of one request; `announced_bytes` is None where it comes in chunks."""

    def __init__(self, budget: BodyBudget, scope: Scope, receive: Receive, announced_bytes: int | None) -> None:
        self._budget = budget
        self._scope = scope
        self._receive = receive
        self._announced_bytes = announced_bytes
        self._came_bytes = 0
        self._taken_bytes = 0
        self._caller: str | None = None
        self._is_whole = False

    async def receive(self) -> HTTPReceiveMessage:
        if self._announced_bytes is not None:
            self._take_up_to(self._announced_bytes)
        message = await self._receive()
        if message["type"] == "http.request":
            self._came_bytes += len(message["body"])
            self._take_up_to(self._came_bytes)
            self._is_whole = self._is_whole or not message["more_body"]
        elif not self._is_whole:
            raise ClientException("The request ended before its body did.")
        return message  # type: ignore[return-value]  # a request's receive has no other messages

    def give_back(self) -> None:
        if self._caller is not None:
            self._budget.give_back(self._caller, self._taken_bytes)

    def _take_up_to(self, size_bytes: int) -> None:
        missing = size_bytes - FREE_BYTES - self._taken_bytes
        if missing <= 0:
            return
        caller = self._caller or _caller_id(self._scope)
        self._budget.take(caller, missing)
        self._caller = caller
        self._taken_bytes += missing


def _caller_id(scope: Scope) -> str:
    """The caller, whom the guard has found by now; all who need none share."""
    caller = scope["state"].get("caller")
    return caller.id if caller is not None else ""


def _announced_bytes(scope: Scope) -> int | None:
    """What Content-Length says; 0 for a request without a body, None for one in chunks."""
    is_chunked = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)  # the server has checked it
        is_chunked = is_chunked or name == b"transfer-encoding"
    return None if is_chunked else 0
