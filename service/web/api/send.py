"""POST /send, /send/batch."""

from typing import Any

from litestar import Controller, Request, Response, post

from service.errors import InvalidRequest, Problem
from service.models import Scope
from service.sending.acceptor import Accepted
from service.web.auth import caller_of, require, services_of

#: A key is a header value; 255 characters hold any UUID, ULID or digest with a prefix.
MAX_IDEMPOTENCY_KEY_LENGTH = 255


class SendController(Controller):
    """Take mail. Bodies are JSON whatever their content type says: `curl -d` calls them a form."""

    @post("/send", guards=[require(Scope.SEND)], status_code=201)
    async def send(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Send one mail to one or several recipients, each of whom gets a message of their own.

        `to`, `template_key` and `variables`; where wanted `template_version`, `locale`, `attachments`, `reply_to`,
        `source_endpoint`, `send_at` and `metadata`. 201 once everything is stored; `Location` is the first message.
        With the header `Idempotency-Key` the same request again gets the first answer for 24 hours.
        """
        services, caller = services_of(request), caller_of(request)
        key = idempotency_key(request)
        return _created(await services.acceptor.accept_send(await request.body(), caller, idempotency_key=key))


class BatchController(Controller):
    """Take many mails in one request, with a limit of its own on the body."""

    @post("/send/batch", guards=[require(Scope.SEND)], status_code=201)
    async def send_batch(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Send up to 1,000 mails of one template, all or none.

        `template_key` and `messages: [{to, variables, attachments?}]`, beside them what `/send` takes. 201 once all are
        stored; 422 with every mistake of every message (`/messages/17/variables/amount`). `Idempotency-Key` as on
        `/send`.
        """
        services, caller = services_of(request), caller_of(request)
        key = idempotency_key(request)
        services.group_commit.require_room()  # before the body is read
        return _created(await services.acceptor.accept_batch(await request.body(), caller, idempotency_key=key))


def _created(accepted: Accepted) -> Response[dict[str, Any]]:
    """`Location` is the first message."""
    location = f"/api/v1/email/messages/{accepted.messages[0].id}"
    headers = {"Location": location} | ({"Idempotency-Replayed": "true"} if accepted.replayed else {})
    return Response(as_json(accepted), status_code=201, headers=headers)


def as_json(accepted: Accepted) -> dict[str, Any]:
    """The answer to a send. `status` is that of its messages where all agree, else `mixed`."""
    statuses = {message.status for message in accepted.messages}
    return {
        "id": accepted.id,
        "status": statuses.pop() if len(statuses) == 1 else "mixed",
        "template": {
            "key": accepted.template_key,
            "version": accepted.template_version,
            "revision": accepted.template_revision,
        },
        "messages": [{"id": item.id, "to": item.to, "status": item.status} for item in accepted.messages],
    }


def idempotency_key(request: Request[Any, Any, Any]) -> str | None:
    """The header `Idempotency-Key`. Raises InvalidRequest for one that is empty, too long or not printable ASCII."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        message = f"1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters"
        raise InvalidRequest("The Idempotency-Key is not usable.", [Problem("", "idempotency_key", message)])
    return key
