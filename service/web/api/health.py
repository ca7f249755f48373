"""GET /healthz, /readyz, /metrics."""

from typing import Any

import anyio.to_thread
from litestar import Controller, Request, Response, get

from service.errors import NotAuthenticated, StoreBusy
from service.models import Scope
from service.monitoring.prometheus import MEDIA_TYPE
from service.web.auth import identify, services_of


class HealthController(Controller):
    """For machines that watch over this one; open, with details for the admin."""

    @get("/healthz", opt={"open": True})
    async def alive(self) -> dict[str, str]:
        """Answer 200 while the process runs (liveness)."""
        return {"status": "ok"}

    @get("/readyz", opt={"open": True})
    async def ready(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Tell whether mail can be accepted (readiness).

        200 with `ready`, or `degraded` where something beside it is broken; 503 with `unavailable`. Details for the
        admin.
        """
        report = await anyio.to_thread.run_sync(services_of(request).readiness.report)
        content: dict[str, Any] = {"status": report.status}
        if await _is_admin(request):
            content["details"] = report.details
        return Response(content, status_code=503 if report.status == "unavailable" else 200)

    @get("/metrics", opt={"open": True})
    async def metrics(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return metrics for Prometheus, of this process and the workers beside it.

        What was accepted, refused and tried, what is queued and how long, what is late; by template for the admin.
        """
        observer, with_details = services_of(request).metrics_exporter, await _is_admin(request)
        text = await anyio.to_thread.run_sync(lambda: observer.exposition(with_details=with_details))
        return Response(text, media_type=MEDIA_TYPE)


async def _is_admin(request: Request[Any, Any, Any]) -> bool:
    """False also for a key that is unknown, or can't be looked up: these routes are open."""
    try:
        caller = await identify(request)
    except (NotAuthenticated, StoreBusy):
        return False
    return caller is not None and caller.may(Scope.ADMIN)
