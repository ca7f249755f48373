"""GET /messages and what hangs below it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath

from service.messages.search import MessageDetail
from service.models import Event, Message, Scope
from service.web.api.query import number, parameters
from service.web.auth import caller_of, require, services_of

_PARAMETERS = frozenset(
    {"to", "status", "template_key", "source_endpoint", "since", "until", "text", "limit", "cursor"}
)

#: A mail is somebody else's HTML: no script, no form, no request, and no access to our origin.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


class MessageController(Controller):
    """What was sent, and what became of it."""

    path = "/messages"

    @get("/", guards=[require(Scope.ADMIN)])
    async def list_messages(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """List messages, newest first.

        Filters: `to`, `status`, `template_key`, `source_endpoint`, `since`, `until` and `text` (words that must all
        occur; `tech*` is the beginning of one). `limit` is up to 1,000; `next` is the `cursor` of the following page,
        null on the last.
        """
        given = parameters(request, _PARAMETERS)
        limit = number(given.pop("limit", "50"), "limit")
        auditor = services_of(request).message_search
        page = await anyio.to_thread.run_sync(lambda: auditor.search(limit=limit, **given))
        answer: dict[str, Any] = {
            "items": [_summary(message) for message in page.items],
            "total": page.total,
            "next": page.next,
        }
        return answer | ({"total_capped": True} if page.total_capped else {})

    @get("/{message_id:str}", guards=[require(Scope.SEND)])
    async def show_message(self, request: Request[Any, Any, Any], message_id: FromPath[str]) -> dict[str, Any]:
        """Show one message with its timeline, to the key that sent it or an admin."""
        auditor, caller = services_of(request).message_search, caller_of(request)
        return as_detail(await anyio.to_thread.run_sync(auditor.detail, message_id, caller))

    @get("/{message_id:str}/html", guards=[require(Scope.ADMIN)])
    async def show_html(self, request: Request[Any, Any, Any], message_id: FromPath[str]) -> Response[bytes]:
        """Return the HTML part as it was sent, byte for byte."""
        body = await anyio.to_thread.run_sync(services_of(request).message_search.body, message_id)
        return as_file(body.html_utf8, "text/html; charset=utf-8")

    @get("/{message_id:str}/text", guards=[require(Scope.ADMIN)])
    async def show_text(self, request: Request[Any, Any, Any], message_id: FromPath[str]) -> Response[bytes]:
        """Return the plain text part as it was sent, byte for byte."""
        body = await anyio.to_thread.run_sync(services_of(request).message_search.body, message_id)
        return as_file(body.text_utf8, "text/plain; charset=utf-8")

    @get("/{message_id:str}/raw", guards=[require(Scope.ADMIN)])
    async def show_raw(self, request: Request[Any, Any, Any], message_id: FromPath[str]) -> Response[bytes]:
        """Return the whole mail as it went over the wire (RFC 5322)."""
        raw = await anyio.to_thread.run_sync(services_of(request).message_search.raw, message_id)
        return as_file(raw, "message/rfc822")

    @get("/{message_id:str}/attachments/{n:int}", guards=[require(Scope.ADMIN)])
    async def show_attachment(
        self, request: Request[Any, Any, Any], message_id: FromPath[str], n: FromPath[int]
    ) -> Response[bytes]:
        """Return an attachment, counted from 0, byte for byte."""
        file = await anyio.to_thread.run_sync(services_of(request).message_search.attachment, message_id, n)
        return as_file(file.data, file.content_type, filename=file.filename)

    @post("/{message_id:str}/resend", guards=[require(Scope.ADMIN)], status_code=201)
    async def resend(self, request: Request[Any, Any, Any], message_id: FromPath[str]) -> Response[dict[str, Any]]:
        """Send the same content again as a new message, which names the old one."""
        resender, caller = services_of(request).resender, caller_of(request)
        copy = await anyio.to_thread.run_sync(resender.resend, message_id, caller)
        content = {"id": copy.id, "to": copy.recipient, "status": copy.status, "resend_of": copy.resend_of}
        return Response(content, status_code=201, headers={"Location": f"/api/v1/email/messages/{copy.id}"})

    @post("/{message_id:str}/cancel", guards=[require(Scope.ADMIN)], status_code=200)
    async def cancel(self, request: Request[Any, Any, Any], message_id: FromPath[str]) -> dict[str, Any]:
        """Cancel a message that has not left; 409 where it has."""
        canceller, caller = services_of(request).canceller, caller_of(request)
        return _summary(await anyio.to_thread.run_sync(canceller.cancel, message_id, caller))


def as_file(data: bytes, content_type: str, filename: str | None = None) -> Response[bytes]:
    """A response with the bytes of a file, sandboxed; `filename` makes it a download."""
    headers = {"Content-Security-Policy": _SANDBOX}
    if filename is not None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    return Response(data, media_type=content_type, headers=headers)


def _summary(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "to": message.recipient,
        "template_key": message.template_key,
        "template_version": message.template_version,
        "subject": message.subject,
        "status": message.status,
        "waiting_for": message.waiting_for,
        "created_at": as_time(message.created_at),
        "sent_at": as_time(message.sent_at),
        "delivered_at": as_time(message.delivered_at),
        "error_message": message.error_message,
        "source_endpoint": message.source_endpoint,
        "attachments_count": message.attachments_count,
        "is_test": message.is_test,
    }


def as_detail(story: MessageDetail) -> dict[str, Any]:
    """A message with its events and attachments as JSON values."""
    message = story.message
    return _summary(message) | {
        "send_id": message.send_id,
        "template_revision": message.template_revision,
        "stream": message.stream,
        "priority": message.priority,
        "locale": message.locale,
        "from": message.from_header,
        "reply_to": message.reply_to,
        "message_id": message.rfc_message_id,
        "attempts": message.attempts,
        "attempts_max": message.attempts_max,
        "next_attempt_at": as_time(message.next_attempt_at),
        "expires_at": as_time(message.expires_at),
        "bounce_type": message.bounce_type,
        "bounce_subtype": message.bounce_subtype,
        "resend_of": message.resend_of,
        "metadata": message.metadata,
        "wire_sha256": message.wire_sha256,
        "sla": _sla(message),
        "anonymised_at": as_time(message.anonymised_at),
        "events": [_event(event) for event in story.events],
        "attachments": [
            {
                "n": file.n,
                "filename": file.filename,
                "content_type": file.content_type,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
            }
            for file in story.attachments
        ],
    }


def _sla(message: Message) -> dict[str, Any] | None:
    """What was promised from accept to the next hop's 250, and what it took; None where nothing was."""
    if message.sla_s is None or message.sla_due_at is None:
        return None
    promised_from = message.sla_due_at - timedelta(seconds=message.sla_s)
    took_s = (message.sent_at - promised_from).total_seconds() if message.sent_at else None
    met = message.sent_at <= message.sla_due_at if message.sent_at else None
    return {"seconds": message.sla_s, "due_at": as_time(message.sla_due_at), "took_seconds": took_s, "met": met}


def _event(event: Event) -> dict[str, Any]:
    line: dict[str, Any] = {"type": event.type, "at": as_time(event.at), "source": event.source, "detail": event.detail}
    if event.smtp_code is not None:
        line |= {"smtp_code": event.smtp_code, "smtp_reply": event.smtp_reply}
    return line | ({"provider_id": event.provider_id} if event.provider_id else {})


def as_time(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None
