"""Server-sent event streams that end on shutdown; an open stream would otherwise delay it by the grace period.

The last event is `closing`; the browser then reconnects until the service is back.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from litestar.response import ServerSentEvent, ServerSentEventMessage


class Streams:
    """All open streams of an application, in its event loop."""

    def __init__(self) -> None:
        self._ending = asyncio.Event()

    def close(self) -> None:
        """End all streams with the event `closing`; new ones end at once. Call it in the event loop."""
        self._ending.set()

    async def ends_within(self, seconds: float) -> bool:
        """Wait; return True as soon as the service shuts down, and the stream must then end."""
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def next(self, event: asyncio.Event, seconds: float) -> Literal["ending", "woken", "silence"]:
        """Wait for the event, at most `seconds`, and clear it; on "ending" (shutdown) the stream must end."""
        waiting = {asyncio.create_task(one.wait()) for one in (self._ending, event)}
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        was_set = event.is_set()
        event.clear()
        return "ending" if self._ending.is_set() else "woken" if was_set else "silence"

    def answer(self, events: AsyncIterator[tuple[str, str]]) -> ServerSentEvent:
        """Return a stream of (name, data); `events` must call `ends_within` or `next` between two of them."""

        async def until_closing() -> AsyncIterator[ServerSentEventMessage]:
            async for name, data in events:
                yield ServerSentEventMessage(event=name, data=data)
            yield ServerSentEventMessage(event="closing", data="")

        return ServerSentEvent(until_closing(), headers={"X-Accel-Buffering": "no"})
