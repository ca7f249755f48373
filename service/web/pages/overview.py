"""GET /admin: the overview of queues, SLA and templates, and a stream that keeps the page up to date."""

import json
from collections.abc import AsyncIterator

import anyio.to_thread
from litestar import Controller, Response, get
from litestar.response import ServerSentEvent

from service.errors import StoreBusy
from service.monitoring.overview import Overview
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.render import part, show
from service.web.pages.request_context import is_still_signed_in, signed_in
from service.web.pages.server_sent_events import Streams

#: How often an open page is updated, in seconds.
UPDATE_EVERY_S = 2.0


class OverviewController(Controller):
    """The overview and its stream of updates."""

    path = "/admin"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def overview(self, request: AnyRequest, overview: Provided[Overview]) -> Response[str]:
        """Page: the overview of what is queued, late and broken."""
        snapshot = await anyio.to_thread.run_sync(overview.snapshot)
        return show(request, "overview.html", snapshot=snapshot)

    @get("/live")
    async def live(self, request: AnyRequest, overview: Provided[Overview]) -> ServerSentEvent:
        """Stream the overview's figures as server-sent events, every two seconds."""
        overview, streams = overview, _streams(request)

        async def events() -> AsyncIterator[tuple[str, str]]:
            while not await streams.ends_within(UPDATE_EVERY_S) and await is_still_signed_in(request):
                try:
                    snapshot = await anyio.to_thread.run_sync(overview.snapshot)
                except StoreBusy:
                    continue  # the page shows the time of its figures
                html = part(request, "overview_figures.html", snapshot=snapshot)
                yield "part", json.dumps({"id": "overview-figures", "html": html})

        return streams.answer(events())


def _streams(request: AnyRequest) -> Streams:
    streams: Streams = request.app.state.streams
    return streams
