"""GET /healthz, /readyz."""

from typing import Any

import anyio.to_thread
from litestar import Controller, Request, Response, get

from service.errors import NotAuthenticated, StoreBusy
from service.models import Scope
from service.web.auth import identify, services_of


class HealthController(Controller):
    """For machines that watch over this one; open, with details for the admin."""

    @get("/healthz", opt={"open": True})
    async def alive(self) -> dict[str, str]:
        """200 as long as the process answers."""
        return {"status": "ok"}

    @get("/readyz", opt={"open": True})
    async def ready(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """200 when mail can be taken, `degraded` when something is broken beside it, 503 when it can't."""
        report = await anyio.to_thread.run_sync(services_of(request).readiness.report)
        content: dict[str, Any] = {"status": report.status}
        try:
            caller = await identify(request)
        except (NotAuthenticated, StoreBusy):
            caller = None
        if caller is not None and caller.may(Scope.ADMIN):
            content["details"] = report.details
        return Response(content, status_code=503 if report.status == "unavailable" else 200)
