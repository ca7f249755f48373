"""GET /admin/messages and below: the list of messages, and one message with its timeline."""

import json
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.errors import Gone, InvalidRequest
from service.mail.neutral_html import has_remote_images
from service.messages.cancel import Canceller
from service.messages.resend import Resender
from service.messages.search import MessageFilter, MessageSearch
from service.models import Status
from service.templates.catalogue import Catalogue
from service.web.api.messages import as_file
from service.web.auth import caller_of, services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.charts import chart, days_before
from service.web.pages.i18n import Language
from service.web.pages.mail_frame import framed
from service.web.pages.render import shortened, show
from service.web.pages.request_context import form_of, page_context, signed_in
from service.web.pages.timeline import lines

#: Filters of the form; other parameters are ignored.
FILTERS = (
    "to",
    "text",
    "status",
    "reason",
    "template_key",
    "source_endpoint",
    "since",
    "until",
    "template_revision",
    "deployment",
    "commit",
)
#: Why messages are suppressed.
REASONS = ("environment", "bounce", "complaint", "unsubscribe", "manual", "erasure")
PAGE = 50
#: Days of the chart.
CHARTED_DAYS = 14


class MessagePages(Controller):
    """The pages of messages."""

    path = "/admin/messages"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def list_messages(
        self, request: AnyRequest, message_search: Provided[MessageSearch], catalogue: Provided[Catalogue]
    ) -> Response[str]:
        """Page: what was sent, with counts over time.

        Filters: `to`, `text`, `status`, `reason`, `template_key`, `source_endpoint`, `since`, `until` (in
        `EMAIL_TIMEZONE`), `template_revision`, `deployment`, `commit`.
        """
        services, language = services_of(request), page_context(request).language
        given = {name: value for name in FILTERS if (value := (request.query_params.get(name) or "").strip())}
        asked = _as_asked(given, language)
        cursor = request.query_params.get("cursor") or None
        edges = days_before(services.clock(), CHARTED_DAYS, language)
        wanted = MessageFilter(**asked)

        caller = caller_of(request)

        def load() -> tuple[Any, Any]:
            if wanted.to is not None:
                services.admin_actions.person_shown(wanted.to, caller)
            page = message_search.search(wanted, limit=PAGE, cursor=cursor)
            return page, chart(message_search.counts(edges, wanted), language)

        page, counts, problems, indexed_to = None, None, [], None
        try:
            page, counts = await anyio.to_thread.run_sync(load)
            if "text" in asked:
                indexed_to = await anyio.to_thread.run_sync(message_search.searchable_up_to)
        except InvalidRequest as error:
            problems = [problem.message for problem in error.problems]
        return show(
            request,
            "messages.html",
            status=422 if problems else 200,
            page=page,
            chart=counts,
            problems=problems,
            indexed_to=indexed_to,
            given=given,
            templates=sorted(catalogue.current.entries),
            states=list(Status),
            reasons=REASONS,
            narrowed=bool(given),
            link=lambda **more: f"/admin/messages?{urlencode({**given, **more})}",
            is_first=cursor is None,
        )

    @get("/{message_id:str}")
    async def show_message(
        self, request: AnyRequest, message_id: FromPath[str], message_search: Provided[MessageSearch]
    ) -> Response[str]:
        """Page: one message, its timeline in words, and the mail as it was sent.

        `view` is `html`, `text` or `raw`; `images=1` loads pictures from elsewhere.
        """
        language = page_context(request).language
        view = request.query_params.get("view", "html")
        view = view if view in ("html", "text", "raw") else "html"

        def load() -> dict[str, Any]:
            detail = message_search.detail(message_id, caller_of(request))
            variables = message_search.variables(message_id)
            found = {
                "message": detail.message,
                "origin": detail.origin,
                "lines": lines(detail.events, language),
                "attachments": detail.attachments,
                "variables": json.dumps(variables, indent=2, ensure_ascii=False) if variables else "",
                "can_cancel": detail.message.status is Status.QUEUED,
            }
            try:
                body = message_search.body(message_id)
            except Gone:
                return found | {"body": None}
            raw = message_search.raw(message_id) if view == "raw" else b""
            return found | {
                "body": body,
                "text": shortened(body.text_utf8),
                "raw": shortened(raw),
                "has_images": view == "html" and has_remote_images(body.html),
            }

        found = await anyio.to_thread.run_sync(load)
        return show(
            request,
            "message.html",
            view=view,
            with_images=request.query_params.get("images") == "1",
            **found,
            done=request.query_params.get("done"),
        )

    @get("/{message_id:str}/frame")
    async def show_frame(
        self, request: AnyRequest, message_id: FromPath[str], message_search: Provided[MessageSearch]
    ) -> Response[str]:
        """Return the mail's HTML for a sandboxed frame: no script, no form, no request."""
        with_images = request.query_params.get("images") == "1"
        return await anyio.to_thread.run_sync(
            lambda: framed(message_search.body(message_id).html, with_images=with_images)
        )

    @get("/{message_id:str}/raw")
    async def download(self, message_id: FromPath[str], message_search: Provided[MessageSearch]) -> Response[bytes]:
        """Download the whole mail."""
        raw = await anyio.to_thread.run_sync(message_search.raw, message_id)
        return as_file(raw, "message/rfc822", filename=f"{message_id}.eml")

    @get("/{message_id:str}/attachments/{n:int}")
    async def attachment(
        self, message_id: FromPath[str], n: FromPath[int], message_search: Provided[MessageSearch]
    ) -> Response[bytes]:
        """Download an attachment."""
        file = await anyio.to_thread.run_sync(message_search.attachment, message_id, n)
        return as_file(file.data, file.content_type, filename=file.filename)

    @post("/{message_id:str}/resend")
    async def resend(self, request: AnyRequest, message_id: FromPath[str], resender: Provided[Resender]) -> Redirect:
        """Form: send the same content again, and lead to the new message."""
        await form_of(request)
        copy = await anyio.to_thread.run_sync(resender.resend, message_id, caller_of(request))
        return Redirect(f"/admin/messages/{copy.id}?done=resent", status_code=303)

    @post("/{message_id:str}/cancel")
    async def cancel(self, request: AnyRequest, message_id: FromPath[str], canceller: Provided[Canceller]) -> Redirect:
        """Form: cancel a message that has not left."""
        await form_of(request)
        await anyio.to_thread.run_sync(canceller.cancel, message_id, caller_of(request))
        return Redirect(f"/admin/messages/{message_id}?done=cancelled", status_code=303)


def _as_asked(given: dict[str, str], language: Language) -> dict[str, str]:
    """Return the filters for the search: times of the form, which have no offset, get that of EMAIL_TIMEZONE."""
    asked = dict(given)
    for name in ("since", "until"):
        if name in asked:
            asked[name] = language.with_offset(asked[name])
    return asked
