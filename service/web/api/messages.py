"""GET /messages and what hangs below it."""

from datetime import UTC, datetime, timedelta
from typing import Any, NotRequired, TypedDict, overload
from urllib.parse import quote

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from service.auth.admin_actions import AdminActions
from service.messages.cancel import Canceller
from service.messages.resend import Resender
from service.messages.search import MessageDetail, MessageFilter, MessageSearch
from service.models import Caller, Event, Message, Origin, Scope
from service.web.api.query import MessagesQuery
from service.web.auth import require
from service.web.dependencies import Provided, typed_query

#: A mail is somebody else's HTML: no script, no form, no request, and no access to our origin.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


_SUMMARY = {
    "id": "01a212f5-d497-74eb-b8b3-9681aff82671",
    "to": "john@techconnect.bj",
    "role": "to",
    "template_key": "onboarding_welcome",
    "template_version": 1,
    "subject": "Bienvenue sur RGZ Access!",
    "status": "sent",
    "created_at": "2026-11-25T13:49:31Z",
    "sent_at": "2026-11-25T13:49:32Z",
    "error_message": None,
}


class MessageSummary(TypedDict):
    """A message as lists show it; `role` is `to`, `cc`, `bcc`, or `copy` where the template added it.

    `suppressed_reason` is `environment`, or that of the suppression. `redirected_to` is the address that an environment
    sends it to instead of `to`.
    """

    id: str
    to: str
    role: str
    template_key: str
    template_version: int
    subject: str
    status: str
    waiting_for: str | None
    created_at: str
    sent_at: str | None
    delivered_at: str | None
    error_message: str | None
    suppressed_reason: str | None
    redirected_to: str | None
    source_endpoint: str | None
    attachments_count: int
    is_test: bool


class MessagesAnswer(TypedDict):
    """A page of messages; `total_capped` where more than `total` were not counted."""

    items: list[MessageSummary]
    total: int
    next: str | None
    total_capped: NotRequired[bool]


class SlaAnswer(TypedDict):
    """What was promised from acceptance to the relay's 250, and what it took."""

    seconds: int
    due_at: str
    took_seconds: float | None
    met: bool | None


class EventAnswer(TypedDict):
    """One line of a message's timeline."""

    type: str
    at: str
    source: str
    detail: str | None
    smtp_code: NotRequired[int]
    smtp_reply: NotRequired[str | None]
    provider_id: NotRequired[str]


class DeploymentOfMessage(TypedDict):
    """The deployment that served a message's template; who wrote its commit is null where it is not recorded."""

    id: str
    commit: str | None
    author: str | None
    first_line: str | None
    live_at: str | None


class AttachmentAnswer(TypedDict):
    """A file that went with a message."""

    n: int
    filename: str
    content_type: str
    size_bytes: int
    sha256: str


#: `from` is a word of Python, so that this field can't be written as a class.
_From = TypedDict("_From", {"from": str})


class MessageAnswer(MessageSummary, _From):
    """A message with its timeline. `message_id` is the header of that name (RFC 5322).

    `visible_to` and `visible_cc` are the addresses that its headers To and Cc show.
    """

    visible_to: list[str]
    visible_cc: list[str]

    send_id: str
    template_revision: str
    template_ref: str | None
    git_commit: str | None
    deployment: DeploymentOfMessage | None
    stream: str
    priority: str
    locale: str | None
    reply_to: str | None
    message_id: str | None
    attempts: int
    attempts_max: int
    next_attempt_at: str | None
    expires_at: str | None
    bounce_type: str | None
    bounce_subtype: str | None
    resend_of: str | None
    metadata: dict[str, Any]
    wire_sha256: str | None
    sla: SlaAnswer | None
    anonymised_at: str | None
    events: list[EventAnswer]
    attachments: list[AttachmentAnswer]


class ResendAnswer(TypedDict):
    """The new message of a resend."""

    id: str
    to: str
    status: str
    resend_of: str | None


class MessageController(Controller):
    """What was sent, and what became of it."""

    path = "/messages"

    @get(
        "/",
        guards=[require(Scope.ADMIN)],
        sync_to_thread=True,
        dependencies={"asked": typed_query(MessagesQuery)},
        opt={"answer": {"items": [_SUMMARY], "total": 1, "next": None}},
    )
    def list_messages(
        self,
        asked: Provided[MessagesQuery],
        message_search: Provided[MessageSearch],
        admin_actions: Provided[AdminActions],
        caller: Provided[Caller],
    ) -> MessagesAnswer:
        """List messages, newest first.

        Filters: `to`, `status`, `reason` (of `suppressed`: `environment`, `bounce`, …), `template_key`,
        `source_endpoint`, `since`, `until`, `template_revision` (at least 12 digits), `deployment`, `commit` (or how
        they begin) and `text` (words that must all occur; `tech*` is the beginning of one; the value of a mail's header
        `X-RGZ-Template` finds the mails of its revision). `limit` is up to 1,000; `next` is the `cursor` of the
        following page, null on the last.
        """
        filters = asked.model_dump(exclude={"limit", "cursor"})
        if asked.to is not None:
            admin_actions.person_shown(asked.to, caller)
        page = message_search.search(MessageFilter(**filters), limit=asked.limit, cursor=asked.cursor)
        answer: MessagesAnswer = {
            "items": [_summary(message) for message in page.items],
            "total": page.total,
            "next": page.next,
        }
        if page.total_capped:
            answer["total_capped"] = True
        return answer

    @get(
        "/{message_id:str}",
        guards=[require(Scope.SEND)],
        sync_to_thread=True,
        opt={"answer": _SUMMARY | {"events": [{"type": "sent", "at": "2026-11-25T13:49:32Z", "smtp_code": 250}]}},
    )
    def show_message(
        self, message_id: FromPath[str], message_search: Provided[MessageSearch], caller: Provided[Caller]
    ) -> MessageAnswer:
        """Show one message with its timeline, to the key that sent it or an admin.

        `git_commit` is the commit of the template that rendered it, `deployment` the deployment that served it: null
        where none was recorded, or the send pinned another revision than the live one. `template_ref` is the preview of
        a pull request that it was sent with. A resend has those of the original.
        """
        return as_detail(message_search.detail(message_id, caller))

    @get("/{message_id:str}/html", guards=[require(Scope.ADMIN)], sync_to_thread=True, media_type="text/html")
    def show_html(self, message_id: FromPath[str], message_search: Provided[MessageSearch]) -> Response[bytes]:
        """Return the HTML part as it was sent, byte for byte."""
        return as_file(message_search.body(message_id).html_utf8, "text/html; charset=utf-8")

    @get("/{message_id:str}/text", guards=[require(Scope.ADMIN)], sync_to_thread=True, media_type="text/plain")
    def show_text(self, message_id: FromPath[str], message_search: Provided[MessageSearch]) -> Response[bytes]:
        """Return the plain text part as it was sent, byte for byte."""
        return as_file(message_search.body(message_id).text_utf8, "text/plain; charset=utf-8")

    @get("/{message_id:str}/raw", guards=[require(Scope.ADMIN)], sync_to_thread=True, media_type="message/rfc822")
    def show_raw(self, message_id: FromPath[str], message_search: Provided[MessageSearch]) -> Response[bytes]:
        """Return the whole mail as it went over the wire (RFC 5322)."""
        return as_file(message_search.raw(message_id), "message/rfc822")

    @get(
        "/{message_id:str}/attachments/{n:int}",
        guards=[require(Scope.ADMIN)],
        sync_to_thread=True,
        media_type="application/octet-stream",
    )
    def show_attachment(
        self, message_id: FromPath[str], n: FromPath[int], message_search: Provided[MessageSearch]
    ) -> Response[bytes]:
        """Return an attachment, counted from 0, byte for byte."""
        file = message_search.attachment(message_id, n)
        return as_file(file.data, file.content_type, filename=file.filename)

    @post("/{message_id:str}/resend", guards=[require(Scope.ADMIN)], status_code=201, sync_to_thread=True)
    def resend(
        self, message_id: FromPath[str], resender: Provided[Resender], caller: Provided[Caller]
    ) -> Response[ResendAnswer]:
        """Send the same content again as a new message, which names the old one."""
        copy = resender.resend(message_id, caller)
        content: ResendAnswer = {
            "id": copy.id,
            "to": copy.recipient,
            "status": copy.status,
            "resend_of": copy.resend_of,
        }
        return Response(content, status_code=201, headers={"Location": f"/api/v1/email/messages/{copy.id}"})

    @post("/{message_id:str}/cancel", guards=[require(Scope.ADMIN)], status_code=200, sync_to_thread=True)
    def cancel(
        self, message_id: FromPath[str], canceller: Provided[Canceller], caller: Provided[Caller]
    ) -> MessageSummary:
        """Cancel a message that has not left; 409 where it has."""
        return _summary(canceller.cancel(message_id, caller))


def as_file(data: bytes, content_type: str, filename: str | None = None) -> Response[bytes]:
    """A response with the bytes of a file, sandboxed; `filename` makes it a download."""
    headers = {"Content-Security-Policy": _SANDBOX}
    if filename is not None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    return Response(data, media_type=content_type, headers=headers)


def _summary(message: Message) -> MessageSummary:
    return {
        "id": message.id,
        "to": message.recipient,
        "role": message.role,
        "template_key": message.template_key,
        "template_version": message.template_version,
        "subject": message.subject,
        "status": message.status,
        "waiting_for": message.waiting_for,
        "created_at": as_time(message.created_at),
        "sent_at": as_time(message.sent_at),
        "delivered_at": as_time(message.delivered_at),
        "error_message": message.error_message,
        "suppressed_reason": message.suppressed_reason,
        "redirected_to": message.redirected_to,
        "source_endpoint": message.source_endpoint,
        "attachments_count": message.attachments_count,
        "is_test": message.is_test,
    }


def as_detail(found: MessageDetail) -> MessageAnswer:
    """A message with its events and attachments as JSON values."""
    message = found.message
    return {
        **_summary(message),
        "visible_to": message.shown_to,
        "visible_cc": message.shown_cc,
        "send_id": message.send_id,
        "template_revision": message.template_revision,
        "template_ref": message.template_ref,
        "git_commit": found.origin.commit,
        "deployment": _deployment(found.origin),
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
        "metadata": dict(message.metadata),
        "wire_sha256": message.wire_sha256,
        "sla": _sla(message),
        "anonymised_at": as_time(message.anonymised_at),
        "events": [_event(event) for event in found.events],
        "attachments": [
            {
                "n": file.n,
                "filename": file.filename,
                "content_type": file.content_type,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
            }
            for file in found.attachments
        ],
    }


def _deployment(origin: Origin) -> DeploymentOfMessage | None:
    if origin.deployment_id is None:
        return None
    return {
        "id": origin.deployment_id,
        "commit": origin.commit,
        "author": origin.author,
        "first_line": origin.first_line,
        "live_at": as_time(origin.live_at),
    }


def _sla(message: Message) -> SlaAnswer | None:
    """What was promised from accept to the next hop's 250, and what it took; None where nothing was."""
    if message.sla_s is None or message.sla_due_at is None:
        return None
    promised_from = message.sla_due_at - timedelta(seconds=message.sla_s)
    took_s = (message.sent_at - promised_from).total_seconds() if message.sent_at else None
    met = message.sent_at <= message.sla_due_at if message.sent_at else None
    return {"seconds": message.sla_s, "due_at": as_time(message.sla_due_at), "took_seconds": took_s, "met": met}


def _event(event: Event) -> EventAnswer:
    line: EventAnswer = {
        "type": event.type,
        "at": as_time(event.at),
        "source": event.source,
        "detail": event.detail,
    }
    if event.smtp_code is not None:
        line["smtp_code"] = event.smtp_code
        line["smtp_reply"] = event.smtp_reply
    if event.provider_id:
        line["provider_id"] = event.provider_id
    return line


@overload
def as_time(at: datetime) -> str: ...
@overload
def as_time(at: None) -> None: ...
@overload
def as_time(at: datetime | None) -> str | None: ...
def as_time(at: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None
