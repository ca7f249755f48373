"""GET /admin/templates: the gallery of templates, with a preview, findings and statistics of each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio.to_thread
from litestar import Controller, Response, get
from litestar.response import ServerSentEvent

from service.bootstrap import PreviewServices
from service.monitoring.template_stats import TemplateStats
from service.web.auth import preview_services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.render import show
from service.web.pages.request_context import can_preview, may_still_preview
from service.web.pages.server_sent_events import Streams

#: Seconds of silence after which an open stream sends an event; proxies close a connection after a silent minute.
_KEEP_ALIVE_S = 25.0
#: Cards on one page, which bounds its size.
PAGE_SIZE = 60


@dataclass(frozen=True, slots=True)
class Card:
    """A template in the gallery; subject, description, category and version are None without a valid revision."""

    key: str
    subject: str | None
    description: str | None
    category: str | None
    version: int | None
    active: bool
    errors: int
    warnings: int


class GalleryController(Controller):
    """The gallery, and the stream of changes to templates."""

    path = "/admin/templates"
    guards = [can_preview()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def gallery(
        self, request: AnyRequest, template_stats: Provided[TemplateStats | None] = None
    ) -> Response[str]:
        """Page: every template as a live picture, with its findings and the figures of the last 30 days.

        `q` filters by words, `from` shows the next sixty.
        """
        preview_services, words = preview_services_of(request), request.query_params.get("q", "").strip()
        all_cards = cards(preview_services)
        found = [card for card in all_cards if _matches(card, words)]
        start = _start(request.query_params.get("from", ""), len(found))
        counted = await anyio.to_thread.run_sync(template_stats.get) if template_stats else None
        return show(
            request,
            "gallery.html",
            cards=found[start : start + PAGE_SIZE],
            found=len(found),
            start=start,
            page_size=PAGE_SIZE,
            total=len(all_cards),
            q=words,
            has_service=template_stats is not None,
            counted=counted,
        )

    @get("/_live")
    async def live(self, request: AnyRequest) -> ServerSentEvent:
        """Stream server-sent events: `changed` after each change of a template, or of the one named `key`."""
        preview_services, streams = preview_services_of(request), _streams(request)
        return streams.answer(_changes(request, preview_services, streams, request.query_params.get("key")))


def cards(preview_services: PreviewServices) -> Sequence[Card]:
    """Return a card for each template, ordered by key."""
    made = []
    for entry in preview_services.catalogue.current:
        errors = sum(1 for finding in entry.findings if finding.is_error)
        manifest = entry.template.manifest if entry.template else None
        made.append(
            Card(
                entry.key,
                manifest.subject if manifest else None,
                manifest.description if manifest else None,
                manifest.category if manifest else None,
                manifest.version if manifest else None,
                manifest.active if manifest else False,
                errors,
                len(entry.findings) - errors,
            )
        )
    return made


def _start(text: str, total: int) -> int:
    """Return the index of the first card of a page; 0 if the parameter is not a valid index."""
    start = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return start if start < total else 0


def _matches(card: Card, words: str) -> bool:
    text = " ".join(filter(None, (card.key, card.subject, card.description, card.category))).casefold()
    return all(word in text for word in words.casefold().split())


def _streams(request: AnyRequest) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


async def _changes(
    request: AnyRequest, preview_services: PreviewServices, streams: Streams, key: str | None
) -> AsyncIterator[tuple[str, str]]:
    loop, woken = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has ended, and the listener with it
            loop.call_soon_threadsafe(woken.set)

    with preview_services.catalogue.listening(wake):
        shown = preview_services.previewer.state(key) if key else None
        yield "listening", ""
        while (what := await streams.next(woken, _KEEP_ALIVE_S)) != "ending" and await may_still_preview(request):
            now = preview_services.previewer.state(key) if key else None
            if what == "woken" and (key is None or now != shown):
                shown = now
                yield "changed", key or ""
            else:
                yield "silence", ""
