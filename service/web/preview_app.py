"""ASGI application of `rgz-email preview`: read-only template pages for this machine, no database, no sign-in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event, Thread
from typing import Any

import anyio.to_thread
from litestar import Controller, Litestar, get
from litestar.response import Redirect

from service.bootstrap import PreviewServices
from service.web.app import Site, application
from service.web.pages.assets import AssetController
from service.web.pages.gallery import GalleryController
from service.web.pages.navigation import SECTIONS
from service.web.pages.request_context import can_preview, on_this_machine
from service.web.pages.sign_in import PreferencesController
from service.web.pages.template_page import TemplatePageController


class PreviewRootController(Controller):
    """The start page."""

    guards = [can_preview()]  # noqa: RUF012  # Litestar reads it from the class

    @get(["/", "/admin"])
    async def start(self) -> Redirect:
        """Redirect to the gallery."""
        return Redirect("/admin/templates")


def create_preview(preview_services: PreviewServices) -> Litestar:
    """The ASGI application of `rgz-email preview`; it watches the template directory while it runs."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        stop = Event()
        watch = Thread(target=preview_services.catalogue.watch, args=(stop,), name="templates", daemon=True)
        watch.start()
        try:
            yield
        finally:
            stop.set()
            await anyio.to_thread.run_sync(watch.join)

    routes: list[Any] = [
        PreviewRootController,
        PreferencesController,
        AssetController,
        GalleryController,
        TemplatePageController,
    ]
    sections = [one for one in SECTIONS if one[0] == "/admin/templates"]
    site = Site(preview_services, sections, preview_guard=on_this_machine())
    return application(site, routes, lifespan=lifespan)
