"""Server-sent events that end when the service is told to: an open stream would else delay its end by the grace time.

The last event is `closing`; a browser then comes back by itself, when there is somebody to come back to.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from litestar.response import ServerSentEvent, ServerSentEventMessage


class Streams:
    """All streams of one application, in its event loop."""

    def __init__(self) -> None:
        self._ending = asyncio.Event()

    def close(self) -> None:
        """End all streams, with a last word; new ones end at once. To be called in the event loop."""
        self._ending.set()

    async def ends_within(self, seconds: float) -> bool:
        """Waits so long; True as soon as the service ends, which is the moment to return."""
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def next(self, event: asyncio.Event, seconds: float) -> Literal["ending", "woken", "silence"]:
        """Waits for the event, at most so long, and clears it; "ending" as soon as the service ends: then return."""
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
        """A response of (name, data) until `events` is exhausted: it asks `ends_within` between two of them."""

        async def until_closing() -> AsyncIterator[ServerSentEventMessage]:
            async for name, data in events:
                yield ServerSentEventMessage(event=name, data=data)
            yield ServerSentEventMessage(event="closing", data="")

        return ServerSentEvent(until_closing(), headers={"X-Accel-Buffering": "no"})
