"""GET, POST /suppressions and what hangs below it."""

from typing import Any

import anyio.to_thread
from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath

from service.models import Scope
from service.models.requests import SuppressionRequest, parse
from service.recipients.suppressions import Suppression, reason_of
from service.web.api.messages import as_time
from service.web.api.query import number, parameters, truth
from service.web.auth import caller_of, require, services_of

_PARAMETERS = frozenset({"address", "scope", "lifted", "limit", "cursor"})


class SuppressionController(Controller):
    """Who must not be written to."""

    path = "/suppressions"

    @get("/", guards=[require(Scope.ADMIN)])
    async def list_suppressions(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """List suppressed addresses, newest first.

        `address` and `scope` filter, `lifted=true` adds lifted suppressions; `limit` and `cursor` page.
        """
        given = parameters(request, _PARAMETERS)
        limit, lifted = number(given.pop("limit", "50"), "limit"), truth(given.pop("lifted", "false"), "lifted")
        suppressor = services_of(request).suppressions
        page = await anyio.to_thread.run_sync(lambda: suppressor.search(limit=limit, lifted=lifted, **given))
        return {"items": [as_json(item) for item in page.items], "total": page.total, "next": page.next}

    @post("/", guards=[require(Scope.ADMIN)], status_code=201)
    async def suppress(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Suppress an `address` by hand.

        `scope` is `all` (the default) or `marketing`, `reason` a word or a sentence. 201; 200 with the existing
        suppression where the address is suppressed already.
        """
        suppressor, caller, body = services_of(request).suppressions, caller_of(request), await request.body()

        def work() -> tuple[Suppression, bool]:
            return suppressor.add(parse(body, SuppressionRequest), caller, source="api")

        item, is_new = await anyio.to_thread.run_sync(work)
        headers = {"Location": f"/api/v1/email/suppressions/{item.id}"}
        return Response(as_json(item), status_code=201 if is_new else 200, headers=headers)

    @get("/{suppression_id:str}", guards=[require(Scope.ADMIN)])
    async def show_suppression(self, request: Request[Any, Any, Any], suppression_id: FromPath[str]) -> dict[str, Any]:
        """Show one suppression, lifted or not: address, time, reason, causing event."""
        return as_json(await anyio.to_thread.run_sync(services_of(request).suppressions.get, suppression_id))

    @delete("/{suppression_id:str}", guards=[require(Scope.ADMIN)], status_code=200)
    async def lift(self, request: Request[Any, Any, Any], suppression_id: FromPath[str]) -> dict[str, Any]:
        """Lift a suppression.

        It stays on record, with who lifted it, when and why (`?reason=`).
        """
        reason = parameters(request, frozenset({"reason"})).get("reason")
        suppressor, caller = services_of(request).suppressions, caller_of(request)
        return as_json(await anyio.to_thread.run_sync(lambda: suppressor.lift(suppression_id, caller, reason=reason)))


def as_json(item: Suppression) -> dict[str, Any]:
    """A suppression as JSON values."""
    return {
        "id": item.id,
        "address": item.address,
        "scope": item.scope,
        "reason": reason_of(item),
        "since": as_time(item.since),
        "source": item.source,
        "event_id": item.event_id,
        "created_by": item.created_by,
        "lifted_at": as_time(item.lifted_at),
        "lifted_by": item.lifted_by,
        "lift_reason": item.lift_reason,
    }
