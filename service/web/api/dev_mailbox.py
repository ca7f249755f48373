"""The development mailbox over HTTP: what would have gone out."""

from typing import Any

import anyio.to_thread
from litestar import Controller, Request, Response, delete, get
from litestar.params import FromPath

from service.errors import InvalidRequest, NotFound, Problem
from service.web.api.messages import as_file, as_time
from service.web.auth import local_or_admin, services_of

#: Longer than any client waits for an answer.
MAX_WAIT_S = 60.0


class MailboxController(Controller):
    """For programs on this machine, and the admin."""

    path = "/dev/mailbox/messages"
    guards = [local_or_admin()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def list_mails(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """List the development mailbox, newest first.

        `to` picks one recipient; `wait_s` waits up to 60 seconds for a first mail.
        """
        to, wait_s = request.query_params.get("to"), _wait_s(request.query_params.get("wait_s", "0"))
        mailbox = services_of(request).require_mailbox()
        items = await anyio.to_thread.run_sync(lambda: mailbox.list(to, wait_s))
        listed = [
            {
                "id": item.id,
                "from": item.sender,
                "to": list(item.to),
                "subject": item.subject,
                "received_at": as_time(item.received_at),
                "size_bytes": item.size_bytes,
            }
            for item in items
        ]
        return {"items": listed, "total": len(listed)}

    @get("/{mail_id:str}/raw")
    async def show_raw(self, request: Request[Any, Any, Any], mail_id: FromPath[str]) -> Response[bytes]:
        """Return a mail as it was received."""
        raw = services_of(request).require_mailbox().raw(mail_id)
        if raw is None:
            raise NotFound("There is no such mail in the mailbox.")
        return as_file(raw, "message/rfc822")

    @delete("/", status_code=204)
    async def clear(self, request: Request[Any, Any, Any]) -> None:
        """Empty the development mailbox."""
        services_of(request).require_mailbox().clear()


def _wait_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise InvalidRequest("A parameter is wrong.", [Problem("", "wait_s", f"wait_s: 0 to {MAX_WAIT_S:.0f} seconds")])
    return seconds
