"""GET /admin/recipients/{address} and /admin/suppressions: one person's messages, and the suppressed addresses."""

import json
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.errors import InvalidRequest, NotFound
from service.messages.search import MessageFilter, MessageSearch
from service.models import Message
from service.models.requests import SuppressionRequest, parse
from service.recipients.data_requests import DataRequests, RecipientData
from service.recipients.suppressions import SuppressionList, SuppressionPage, reason_of
from service.web import csv_export
from service.web.api.messages import as_file, as_time
from service.web.api.recipients import as_known
from service.web.auth import caller_of, services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.charts import chart, days_before
from service.web.pages.render import show
from service.web.pages.request_context import form_of, local_path, page_context, signed_in

#: Messages on the page of a recipient; the list of messages shows the others.
SHOWN = 50
CHARTED_DAYS = 30


class RecipientPages(Controller):
    """The page of a recipient, with export and erasure."""

    path = "/admin/recipients"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/{address:str}")
    async def show_recipient(
        self,
        request: AnyRequest,
        address: FromPath[str],
        message_search: Provided[MessageSearch],
        suppressions: Provided[SuppressionList],
    ) -> Response[str]:
        """Page: everything about one person: messages, outcomes, suppressions."""
        services, language = services_of(request), page_context(request).language
        edges = days_before(services.clock(), CHARTED_DAYS, language)
        caller = caller_of(request)
        to_them = MessageFilter(to=address)

        def load() -> dict[str, Any]:
            services.admin_actions.person_shown(address, caller)
            return {
                "page": message_search.search(to_them, limit=SHOWN),
                "chart": chart(message_search.counts(edges, to_them), language),
                "suppressions": suppressions.search(address=address, lifted=True, limit=100).items,
            }

        found = await anyio.to_thread.run_sync(load)
        return show(
            request,
            "recipient.html",
            address=address,
            reason_of=reason_of,
            done=request.query_params.get("done"),
            **found,
        )

    @get("/{address:str}/export/{kind:str}")
    async def export(
        self, request: AnyRequest, address: FromPath[str], kind: FromPath[str], data_requests: Provided[DataRequests]
    ) -> Response[bytes]:
        """Download everything about one person.

        `json` has contents and timelines, `csv` a line for each message, safe from formulas in spreadsheets.
        """
        if kind not in ("json", "csv"):
            raise NotFound("The export is available as json and csv.")
        services, caller = services_of(request), caller_of(request)

        def load() -> RecipientData:
            found = data_requests.export(address)
            services.admin_actions.person_exported(address, caller)
            return found

        found = await anyio.to_thread.run_sync(load)
        if kind == "json":
            data = json.dumps(as_known(found), ensure_ascii=False, indent=2).encode("utf-8", "replace")
            return as_file(data, "application/json", filename=f"{address}.json")
        lines = (_line(item.message) for item in found.messages)
        return as_file(csv_export.write(_CSV_COLUMNS, lines), "text/csv; charset=utf-8", filename=f"{address}.csv")

    @post("/{address:str}/erase")
    async def erase(
        self, request: AnyRequest, address: FromPath[str], data_requests: Provided[DataRequests]
    ) -> Redirect:
        """Form: erase a person's data from every row; `sure=yes` confirms."""
        form, caller = await form_of(request), caller_of(request)
        if form.get("sure") != "yes":
            raise InvalidRequest("Tick the box to confirm: erasing can't be undone.")
        await anyio.to_thread.run_sync(lambda: data_requests.erase(address, caller))
        return Redirect(f"/admin/recipients/{quote(address, safe='')}?done=erased", status_code=303)


class SuppressionPages(Controller):
    """The list of suppressions."""

    path = "/admin/suppressions"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def list_suppressions(self, request: AnyRequest, suppressions: Provided[SuppressionList]) -> Response[str]:
        """Page: suppressed addresses, newest first; `address` finds one, `lifted=1` adds lifted ones."""
        address = (request.query_params.get("address") or "").strip()
        lifted = request.query_params.get("lifted") == "1"
        cursor = request.query_params.get("cursor") or None
        services, caller = services_of(request), caller_of(request)

        def load() -> SuppressionPage:
            if address:
                services.admin_actions.person_shown(address, caller)
            return suppressions.search(address=address or None, lifted=lifted, cursor=cursor)

        page, problems = None, []
        try:
            page = await anyio.to_thread.run_sync(load)
        except InvalidRequest as error:
            problems = [problem.message for problem in error.problems]
        return show(
            request,
            "suppressions.html",
            status=422 if problems else 200,
            page=page,
            problems=problems,
            address=address,
            lifted=lifted,
            reason_of=reason_of,
            done=request.query_params.get("done"),
        )

    @post("/")
    async def add(self, request: AnyRequest, suppressions: Provided[SuppressionList]) -> Redirect:
        """Form: suppress an address by hand."""
        form = await form_of(request)
        fields = {name: str(form.get(name) or "").strip() for name in ("address", "scope", "reason")}
        wanted = parse(
            json.dumps({name: value for name, value in fields.items() if value}).encode(), SuppressionRequest
        )
        caller = caller_of(request)
        await anyio.to_thread.run_sync(lambda: suppressions.add(wanted, caller, source="admin"))
        return Redirect(f"/admin/suppressions?{_query(fields['address'])}&done=added", status_code=303)

    @post("/{suppression_id:str}/lift")
    async def lift(
        self, request: AnyRequest, suppression_id: FromPath[str], suppressions: Provided[SuppressionList]
    ) -> Redirect:
        """Form: lift a suppression."""
        form, caller = await form_of(request), caller_of(request)
        reason = str(form.get("reason") or "").strip() or None
        await anyio.to_thread.run_sync(lambda: suppressions.lift(suppression_id, caller, reason=reason))
        back = local_path(form.get("next"), "/admin/suppressions")
        return Redirect(f"{back}{'&' if '?' in back else '?'}done=lifted", status_code=303)


_CSV_COLUMNS = (
    "id", "created_at", "status", "template_key", "template_version", "subject", "sent_at", "delivered_at",
    "bounce_type", "error_message", "source_endpoint",
)  # fmt: skip


def _line(message: Message) -> tuple[object, ...]:
    return (
        message.id, as_time(message.created_at), message.status, message.template_key, message.template_version,
        message.subject, as_time(message.sent_at), as_time(message.delivered_at), message.bounce_type,
        message.error_message, message.source_endpoint,
    )  # fmt: skip


def _query(address: str) -> str:
    return f"address={quote(address, safe='')}"
