"""GET /admin/actions and below: what admins did, and who was refused."""

from urllib.parse import urlencode

import anyio.to_thread
from litestar import Controller, Response, get

from service.auth.admin_actions import ActionFilter, AdminActions
from service.errors import InvalidRequest
from service.models import REFUSALS, ActionKind
from service.web.api.admin_actions import as_csv
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.i18n import Language
from service.web.pages.render import show
from service.web.pages.request_context import page_context, signed_in

#: Filters of the form; other parameters are ignored.
FILTERS = ("kind", "actor", "person", "since", "until")
PAGE = 50


class ActionPages(Controller):
    """What admins did, as a list and as a file."""

    path = "/admin/actions"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def list_actions(self, request: AnyRequest, admin_actions: Provided[AdminActions]) -> Response[str]:
        """Page: what admins did and who was refused, newest first.

        Filters: `kind`, `actor`, `person` (an address), `since`, `until` (in `EMAIL_TIMEZONE`).
        """
        language, given = page_context(request).language, _given(request)
        cursor = request.query_params.get("cursor") or None
        page, problems = None, []
        try:
            page = await anyio.to_thread.run_sync(
                lambda: admin_actions.search(_filter(given, language), limit=PAGE, cursor=cursor)
            )
        except InvalidRequest as error:
            problems = [problem.message for problem in error.problems]
        return show(
            request,
            "actions.html",
            status=422 if problems else 200,
            page=page,
            problems=problems,
            given=given,
            kinds=list(ActionKind),
            refusals=REFUSALS,
            link=lambda **more: f"/admin/actions?{urlencode({**given, **more})}",
            export_link=f"/admin/actions/export/csv?{urlencode(given)}",
            is_first=cursor is None,
        )

    @get("/export/csv", sync_to_thread=True)
    def export(self, request: AnyRequest, admin_actions: Provided[AdminActions]) -> Response[bytes]:
        """Download the list with the same filters as CSV, safe from formulas in spreadsheets."""
        return as_csv(admin_actions, _filter(_given(request), page_context(request).language))


def _given(request: AnyRequest) -> dict[str, str]:
    return {name: value for name in FILTERS if (value := (request.query_params.get(name) or "").strip())}


def _filter(given: dict[str, str], language: Language) -> ActionFilter:
    return ActionFilter(
        given.get("kind"),
        given.get("actor"),
        given.get("person"),
        language.with_offset(given["since"]) if "since" in given else None,
        language.with_offset(given["until"]) if "until" in given else None,
    )
