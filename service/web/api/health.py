"""GET /healthz, /readyz, /metrics."""

from typing import Any, NotRequired, TypedDict

import anyio
import anyio.to_thread
from litestar import Controller, Response, get
from litestar.openapi import ResponseSpec

from service.errors import NotAuthenticated, StoreBusy, TooManyAttempts
from service.models import Scope
from service.monitoring.prometheus import MEDIA_TYPE, MetricsExporter
from service.monitoring.readiness import Readiness
from service.web.auth import identify
from service.web.dependencies import AnyRequest, Provided


class Health(TypedDict):
    """The process runs."""

    status: str


class ReadinessAnswer(TypedDict):
    """Whether mail can be accepted: `ready`, `degraded` or `unavailable`."""

    status: str
    details: NotRequired[dict[str, Any]]


class HealthController(Controller):
    """For machines that watch over this one; open, with details for the admin."""

    @get("/healthz", opt={"open": True, "unmetered": True}, sync_to_thread=False)
    def alive(self) -> Health:
        """Answer 200 while the process runs (liveness)."""
        return {"status": "ok"}

    @get(
        "/readyz",
        opt={"open": True, "unmetered": True},
        responses={503: ResponseSpec(ReadinessAnswer, generate_examples=False, description="Unavailable.")},
    )
    async def ready(self, request: AnyRequest, readiness: Provided[Readiness]) -> Response[ReadinessAnswer]:
        """Tell whether mail can be accepted (readiness).

        200 with `ready`, or `degraded` where something beside it is broken; 503 with `unavailable`. Details for the
        admin.
        """
        report = await anyio.to_thread.run_sync(readiness.report, limiter=_reserved_threads(request))
        content: ReadinessAnswer = {"status": report.status}
        if await _is_admin(request):
            content["details"] = dict(report.details)
        return Response(content, status_code=503 if report.status == "unavailable" else 200)

    @get("/metrics", opt={"open": True}, media_type=MEDIA_TYPE)
    async def metrics(self, request: AnyRequest, metrics_exporter: Provided[MetricsExporter]) -> Response[bytes]:
        """Return metrics for Prometheus, of this process and the workers beside it.

        What was accepted, refused and tried, what is queued and how long, what is late; by template for the admin.
        """
        with_details = await _is_admin(request)
        text = await anyio.to_thread.run_sync(
            lambda: metrics_exporter.exposition(with_details=with_details), limiter=_reserved_threads(request)
        )
        return Response(text, media_type=MEDIA_TYPE)


def _reserved_threads(request: AnyRequest) -> anyio.CapacityLimiter:
    """Threads of their own: whoever watches over the service gets an answer while all others are at work."""
    limiter: anyio.CapacityLimiter = request.app.state.reserved_threads
    return limiter


async def _is_admin(request: AnyRequest) -> bool:
    """False also for a key that is unknown, or can't be looked up: these routes are open."""
    try:
        caller = await identify(request)
    except (NotAuthenticated, TooManyAttempts, StoreBusy):
        return False
    return caller is not None and caller.may(Scope.ADMIN)
