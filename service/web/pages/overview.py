"""GET /admin: how things stand."""

from typing import Any

from litestar import Controller, Request, Response, get

from service.web.pages.page import show
from service.web.pages.visit import signed_in


class OverviewController(Controller):
    """What is queued, what is late, what is broken."""

    path = "/admin"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def overview(self, request: Request[Any, Any, Any]) -> Response[str]:
        """The whole page."""
        return show(request, "overview.html")
