"""GET /admin-actions: what admins did, and who was refused."""

from typing import Any, NotRequired, TypedDict

from litestar import Controller, Response, get

from service.auth.admin_actions import ActionFilter, AdminActions
from service.models import AdminAction, Scope
from service.web import csv_export
from service.web.api.messages import as_file, as_time
from service.web.api.query import ActionsQuery
from service.web.auth import require
from service.web.dependencies import AnyRequest, Provided, typed_query

CSV = "text/csv"


class ActionAnswer(TypedDict):
    """One action, or `count` refusals of one kind. `person`, `client` are pseudonyms; null `actor_id`: a stranger."""

    id: str
    created_at: str
    kind: str
    actor_id: str | None
    actor_name: str | None
    via: str
    subject: str | None
    person: str | None
    client: str | None
    detail: str | None
    count: int


class ActionsAnswer(TypedDict):
    """A page of actions; `next` is the cursor of the following one. With `total_capped` there are more than `total`."""

    items: list[ActionAnswer]
    total: int
    next: str | None
    total_capped: NotRequired[bool]


class AdminActionController(Controller):
    """What admins did."""

    path = "/admin-actions"
    guards = [require(Scope.ADMIN)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/", sync_to_thread=True, dependencies={"asked": typed_query(ActionsQuery)})
    def list_actions(
        self, request: AnyRequest, asked: Provided[ActionsQuery], admin_actions: Provided[AdminActions]
    ) -> Response[ActionsAnswer]:
        """List what admins did, newest first: sign-ins, keys, persons' data, suppressions, templates, deployments.

        Refused sign-ins, keys and scopes are counted by client. `kind`, `actor`, `person`, `since` and `until` filter;
        `limit` and `cursor` page. With `Accept: text/csv` it is a file of all of them, without pages.
        """
        wanted = ActionFilter(asked.kind, asked.actor, asked.person, asked.since, asked.until)
        if "text/csv" in request.headers.get("accept", ""):
            found: Any = as_csv(admin_actions, wanted)
            return found  # type: ignore[no-any-return]
        page = admin_actions.search(wanted, limit=asked.limit, cursor=asked.cursor)
        answer: ActionsAnswer = {
            "items": [as_json(item) for item in page.items],
            "total": page.total,
            "next": page.next,
        }
        if page.total_capped:
            answer["total_capped"] = True
        return Response(answer)


def as_json(item: AdminAction) -> ActionAnswer:
    """An action as JSON values."""
    return {
        "id": item.id,
        "created_at": as_time(item.created_at),
        "kind": item.kind.value,
        "actor_id": item.actor_id,
        "actor_name": item.actor_name,
        "via": item.via,
        "subject": item.subject,
        "person": item.recipient_hash,
        "client": item.client,
        "detail": item.detail,
        "count": item.count,
    }


def as_csv(admin_actions: AdminActions, wanted: ActionFilter) -> Response[bytes]:
    """All actions as a file, safe from formulas in spreadsheets. Raises InvalidRequest."""
    names = list(ActionAnswer.__annotations__)
    lines = (list(as_json(item).values()) for item in admin_actions.every(wanted))
    return as_file(csv_export.write(names, lines), CSV, filename="admin-actions.csv")
