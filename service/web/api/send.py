"""POST /send, /send/batch."""

from typing import TypedDict

from litestar import Controller, Response, post

from service.errors import InvalidRequest, Problem
from service.models import Scope
from service.models.requests import BatchRequest, SendRequest
from service.sending.acceptor import Accepted, Acceptor
from service.sending.group_commit import GroupCommit
from service.web.auth import caller_of, require
from service.web.dependencies import AnyRequest, Provided

#: A key is a header value; 255 characters hold any UUID, ULID or digest with a prefix.
MAX_IDEMPOTENCY_KEY_LENGTH = 255

_HEADERS = {"Idempotency-Key": "the same request again gets the first answer for 24 hours"}
_ANSWER = {
    "id": "01a212f5-d497-74eb-b8b3-9680075c7dec",
    "status": "queued",
    "template": {"key": "onboarding_welcome", "version": 1, "revision": "0da2874f…"},
    "messages": [
        {"id": "01a212f5-d497-74eb-b8b3-9681aff82671", "to": "john@techconnect.bj", "role": "to", "status": "queued"}
    ],
}


class SentTemplate(TypedDict):
    """The template that rendered a send."""

    key: str
    version: int
    revision: str


class SentMessage(TypedDict):
    """One recipient's message; `role` is `to`, `cc`, `bcc`, or `copy` where the template added it."""

    id: str
    to: str
    role: str
    status: str


class SendAnswer(TypedDict):
    """A send that is stored. `status` is that of its messages where all agree, else `mixed`."""

    id: str
    status: str
    template: SentTemplate
    messages: list[SentMessage]


class SendController(Controller):
    """Accepts mail, in the event loop and from raw bytes: this is the hot path."""

    @post(
        "/send",
        guards=[require(Scope.SEND)],
        status_code=201,
        opt={"body": SendRequest, "headers": _HEADERS, "answer": _ANSWER},
    )
    async def send(self, request: AnyRequest, acceptor: Provided[Acceptor]) -> Response[SendAnswer]:
        """Send one mail to one or several recipients, each of whom gets a message of their own.

        `to`, `template_key` and `variables`; where wanted `cc`, `bcc`, `template_version` or `template_revision`,
        `locale`, `attachments`, `reply_to`, `source_endpoint`, `send_at` and `metadata`. A version or revision that was
        ever deployed is rendered as it was then, also where the template is gone. `template_ref` (pr-12) is the
        template of an open pull request, only where EMAIL_RECIPIENTS restricts who gets mail. Copies are messages of
        their own: with `cc` all show the real To and Cc, nothing shows `bcc`, and a copy that is suppressed or over a
        limit stops no other message. Those of the template's front matter (`copies`) are added. 201 once everything is
        stored; `Location` is the first message.
        With the header `Idempotency-Key` the same request again gets the first answer for 24 hours.
        """
        caller, key = caller_of(request), idempotency_key(request)
        return _created(await acceptor.accept_send(await request.body(), caller, idempotency_key=key))


class BatchController(Controller):
    """Accepts many mails in one request, with a limit of its own on the body."""

    @post("/send/batch", guards=[require(Scope.SEND)], status_code=201, opt={"body": BatchRequest, "headers": _HEADERS})
    async def send_batch(
        self, request: AnyRequest, acceptor: Provided[Acceptor], group_commit: Provided[GroupCommit]
    ) -> Response[SendAnswer]:
        """Send up to 1,000 mails of one template, all or none.

        `template_key` and `messages: [{to, cc?, bcc?, variables, attachments?}]`, beside them what `/send` takes. 201
        once all are stored; 422 with every mistake of every message (`/messages/17/variables/amount`).
        `Idempotency-Key` as on `/send`.
        """
        caller, key = caller_of(request), idempotency_key(request)
        group_commit.require_room()  # before the body is read
        return _created(await acceptor.accept_batch(await request.body(), caller, idempotency_key=key))


def _created(accepted: Accepted) -> Response[SendAnswer]:
    """`Location` is the first message."""
    location = f"/api/v1/email/messages/{accepted.messages[0].id}"
    headers = {"Location": location} | ({"Idempotency-Replayed": "true"} if accepted.replayed else {})
    return Response(as_json(accepted), status_code=201, headers=headers)


def as_json(accepted: Accepted) -> SendAnswer:
    """The answer to a send."""
    statuses = {message.status for message in accepted.messages}
    return {
        "id": accepted.id,
        "status": statuses.pop() if len(statuses) == 1 else "mixed",
        "template": {
            "key": accepted.template_key,
            "version": accepted.template_version,
            "revision": accepted.template_revision,
        },
        "messages": [
            {"id": item.id, "to": item.to, "role": item.role, "status": item.status} for item in accepted.messages
        ],
    }


def idempotency_key(request: AnyRequest) -> str | None:
    """The header `Idempotency-Key`. Raises InvalidRequest for one that is empty, too long or not printable ASCII.

    Litestar's own header parameters would read the key `null` as no key at all.
    """
    key: str | None = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        message = f"1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters"
        raise InvalidRequest("The Idempotency-Key is not usable.", [Problem("", "idempotency_key", message)])
    return key
