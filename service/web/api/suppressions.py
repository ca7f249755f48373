"""GET, POST /suppressions and what hangs below it."""

from typing import TypedDict

from litestar import Controller, Response, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from service.auth.admin_actions import AdminActions
from service.models import Caller, Scope
from service.models.requests import SuppressionRequest
from service.recipients.suppressions import Suppression, SuppressionList, reason_of
from service.web.api.messages import as_time
from service.web.api.query import LiftQuery, SuppressionsQuery
from service.web.auth import require
from service.web.dependencies import Provided, json_body, typed_query


class SuppressionAnswer(TypedDict):
    """An address that must not be written to, and why; with `lifted_at` it may be written to again."""

    id: str
    address: str | None
    scope: str
    reason: str
    since: str
    source: str
    event_id: str | None
    created_by: str | None
    lifted_at: str | None
    lifted_by: str | None
    lift_reason: str | None


class SuppressionsAnswer(TypedDict):
    """A page of suppressions; `next` is the cursor of the following one."""

    items: list[SuppressionAnswer]
    total: int
    next: str | None


class SuppressionController(Controller):
    """Who must not be written to."""

    path = "/suppressions"
    guards = [require(Scope.ADMIN)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/", sync_to_thread=True, dependencies={"asked": typed_query(SuppressionsQuery)})
    def list_suppressions(
        self,
        asked: Provided[SuppressionsQuery],
        suppressions: Provided[SuppressionList],
        admin_actions: Provided[AdminActions],
        caller: Provided[Caller],
    ) -> SuppressionsAnswer:
        """List suppressed addresses, newest first.

        `address` and `scope` filter, `lifted=true` adds lifted suppressions; `limit` and `cursor` page.
        """
        if asked.address is not None:
            admin_actions.person_shown(asked.address, caller)
        page = suppressions.search(
            address=asked.address, scope=asked.scope, lifted=asked.lifted, limit=asked.limit, cursor=asked.cursor
        )
        return {"items": [as_json(item) for item in page.items], "total": page.total, "next": page.next}

    @post(
        "/",
        status_code=201,
        sync_to_thread=True,
        dependencies={"asked": json_body(SuppressionRequest)},
        responses={200: ResponseSpec(SuppressionAnswer, generate_examples=False, description="Suppressed before.")},
    )
    def suppress(
        self, asked: Provided[SuppressionRequest], suppressions: Provided[SuppressionList], caller: Provided[Caller]
    ) -> Response[SuppressionAnswer]:
        """Suppress an `address` by hand.

        `scope` is `all` (the default) or `marketing`, `reason` a word or a sentence. 201; 200 with the existing
        suppression where the address is suppressed already.
        """
        item, is_new = suppressions.add(asked, caller, source="api")
        headers = {"Location": f"/api/v1/email/suppressions/{item.id}"}
        return Response(as_json(item), status_code=201 if is_new else 200, headers=headers)

    @get("/{suppression_id:str}", sync_to_thread=True)
    def show_suppression(
        self, suppression_id: FromPath[str], suppressions: Provided[SuppressionList]
    ) -> SuppressionAnswer:
        """Show one suppression, lifted or not: address, time, reason, causing event."""
        return as_json(suppressions.get(suppression_id))

    @delete(
        "/{suppression_id:str}", status_code=200, sync_to_thread=True, dependencies={"asked": typed_query(LiftQuery)}
    )
    def lift(
        self,
        suppression_id: FromPath[str],
        asked: Provided[LiftQuery],
        suppressions: Provided[SuppressionList],
        caller: Provided[Caller],
    ) -> SuppressionAnswer:
        """Lift a suppression.

        It stays on record, with who lifted it, when and why (`?reason=`).
        """
        return as_json(suppressions.lift(suppression_id, caller, reason=asked.reason))


def as_json(item: Suppression) -> SuppressionAnswer:
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
