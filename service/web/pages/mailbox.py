"""GET /admin/mailbox: the pages of the development mailbox."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import structlog
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent

from service.errors import NotFound
from service.mail import inspection
from service.mail.inspection import Inspection
from service.mail.neutral_html import has_remote_images
from service.web.api.messages import as_file
from service.web.auth import services_of
from service.web.dependencies import AnyRequest
from service.web.pages.mail_frame import framed
from service.web.pages.render import part, shortened, show
from service.web.pages.request_context import form_of, is_still_signed_in, signed_in
from service.web.pages.server_sent_events import Streams

#: Mails on one page; the filter `to` finds older ones.
SHOWN = 100
#: Octets of images that one frame embeds.
MAX_EMBEDDED_BYTES = 32 * 1024 * 1024
#: How often an open page polls for new mail, in seconds.
POLL_EVERY_S = 0.5
_log = structlog.get_logger("mailbox")
VIEWS = ("html", "text", "check", "links", "headers", "raw")


class MailboxPages(Controller):
    """The mails that the development mailbox caught."""

    path = "/admin/mailbox"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def list_mails(self, request: AnyRequest) -> Response[str]:
        """Page: the development mailbox; `to` picks one recipient."""
        return show(request, "mailbox.html", **_listed(request))

    @get("/live")
    async def live(self, request: AnyRequest) -> ServerSentEvent:
        """Stream the mailbox list as server-sent events when it changes."""
        streams: Streams = request.app.state.streams

        async def events() -> AsyncIterator[tuple[str, str]]:
            seen = _listed(request)["mails"]
            while not await streams.ends_within(POLL_EVERY_S) and await is_still_signed_in(request):
                listed = _listed(request)
                if listed["mails"] != seen:
                    seen = listed["mails"]
                    yield "part", json.dumps({"id": "mails", "html": part(request, "mailbox_rows.html", **listed)})

        return streams.answer(events())

    @get("/{mail_id:str}")
    async def show_mail(self, request: AnyRequest, mail_id: FromPath[str]) -> Response[str]:
        """Page: one mail of the mailbox, with its parts, HTML check, links and headers.

        `view` is `html`, `text`, `check`, `links`, `headers` or `raw`.
        """
        raw = _raw(request, mail_id)
        item = next((item for item in services_of(request).require_mailbox().list() if item.id == mail_id), None)
        if item is None:
            raise _no_mail()

        found, has_images = await anyio.to_thread.run_sync(_inspected, raw)
        view = request.query_params.get("view", "html")
        if view not in VIEWS or (view == "html" and found.html is None):
            view = "html" if found.html is not None else "text" if found.text is not None else "raw"
        return show(
            request,
            "mailbox_mail.html",
            item=item,
            mail=found,
            view=view,
            views=VIEWS,
            raw=shortened(raw),
            text=shortened(found.text.encode("utf-8", "replace")) if found.text is not None else None,
            has_images=has_images,
            with_images=request.query_params.get("images") == "1",
        )

    @get("/{mail_id:str}/frame")
    async def show_frame(self, request: AnyRequest, mail_id: FromPath[str]) -> Response[str]:
        """Return its HTML with embedded pictures, for a sandboxed frame."""
        raw, with_images = _raw(request, mail_id), request.query_params.get("images") == "1"

        def render_frame() -> Response[str]:
            found, images = _inspected(raw)[0], _EmbeddedImages(raw)
            return framed(found.html or "", with_images=with_images, inline=images.data_url)

        return await anyio.to_thread.run_sync(render_frame)

    @get("/{mail_id:str}/raw")
    async def download(self, request: AnyRequest, mail_id: FromPath[str]) -> Response[bytes]:
        """Download the mail as it was received."""
        return as_file(_raw(request, mail_id), "message/rfc822", filename=f"mailbox-{mail_id}.eml")

    @get("/{mail_id:str}/attachments/{n:int}")
    async def attachment(self, request: AnyRequest, mail_id: FromPath[str], n: FromPath[int]) -> Response[bytes]:
        """Download an attachment of that mail."""
        found = await anyio.to_thread.run_sync(inspection.file, _raw(request, mail_id), n)
        if found is None:
            raise NotFound(f"This mail has no attachment {n}; they count from 0.")
        # Never with its own media type: untrusted HTML must not run in our origin.
        return as_file(found[1], "application/octet-stream", filename=found[0].filename)

    @post("/clear")
    async def clear(self, request: AnyRequest) -> Redirect:
        """Form: empty the development mailbox."""
        await form_of(request)
        services_of(request).require_mailbox().clear()
        return Redirect("/admin/mailbox", status_code=303)


def _listed(request: AnyRequest) -> dict[str, Any]:
    to = (request.query_params.get("to") or "").strip()
    mails = services_of(request).require_mailbox().list(to or None)
    return {"mails": mails[:SHOWN], "total": len(mails), "to": to}


def _raw(request: AnyRequest, mail_id: str) -> bytes:
    raw = services_of(request).require_mailbox().raw(mail_id)
    if raw is None:
        raise _no_mail()
    return raw


def _inspected(raw: bytes) -> tuple[Inspection, bool]:
    """Return the inspection, and whether remote images would be loaded; an empty one where it fails.

    The mail is then still shown as it came.
    """
    try:
        found = inspection.inspect(raw)
        return found, has_remote_images(found.html or "")
    except Exception as error:  # anybody may send a mail
        _log.error("mail_not_inspected", size_bytes=len(raw), exc_info=error)
        return inspection.uninspected(raw), False


def _no_mail() -> NotFound:
    return NotFound("There is no such mail in the mailbox.")


class _EmbeddedImages:
    """The images of a mail as data: URLs (RFC 2392), up to a size in all: one image may be shown many times."""

    def __init__(self, raw: bytes) -> None:
        self._images = inspection.embedded_images(raw)
        self._left_bytes = MAX_EMBEDDED_BYTES

    def data_url(self, content_id: str) -> str | None:
        """Return the image's URL; None for anything else, and beyond the size."""
        content_type, data = self._images.get(content_id, ("", b""))
        self._left_bytes -= len(data)
        if not data or self._left_bytes < 0:
            return None
        return f"data:{content_type};base64,{base64.b64encode(data).decode()}"
