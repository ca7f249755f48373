"""The development mailbox over HTTP: what would have gone out."""

import asyncio
from contextlib import suppress
from typing import TypedDict

from litestar import Controller, Response, delete, get
from litestar.params import FromPath
from pydantic import Field

from service.delivery.dev_mailbox import DevMailbox
from service.errors import InvalidRequest, NotFound, Problem
from service.web.api.messages import as_file, as_time
from service.web.api.query import Query
from service.web.auth import local_or_admin
from service.web.dependencies import AnyRequest, Part, Provided, required_mailbox
from service.web.pages.server_sent_events import Streams

#: Longer than any client waits for an answer.
MAX_WAIT_S = 60.0


class MailboxQuery(Query):
    """The parameters of `GET /dev/mailbox/messages`."""

    to: str | None = Field(None, description="one recipient")
    wait_s: str = Field("0", description="seconds to wait for a first mail, 60 at most")


#: `from` is a word of Python, so that these fields can't be written as a class.
CaughtMail = TypedDict(
    "CaughtMail",
    {"id": str, "from": str, "to": list[str], "subject": str, "received_at": str, "size_bytes": int},
)


class CaughtMails(TypedDict):
    """What the development mailbox holds, newest first."""

    items: list[CaughtMail]
    total: int


class MailboxController(Controller):
    """For programs on this machine, and the admin."""

    path = "/dev/mailbox/messages"
    guards = [local_or_admin()]  # noqa: RUF012  # Litestar reads it from the class
    dependencies = {"dev_mailbox": Part(required_mailbox, sync_to_thread=False)}  # noqa: RUF012

    @get("/", opt={"query": MailboxQuery})
    async def list_mails(self, request: AnyRequest, dev_mailbox: Provided[DevMailbox]) -> CaughtMails:
        """List the development mailbox, newest first.

        `to` picks one recipient; `wait_s` waits up to 60 seconds for a first mail.
        """
        to, wait_s = request.query_params.get("to"), _wait_s(request.query_params.get("wait_s", "0"))
        items = dev_mailbox.list(to)
        if not items and wait_s > 0:
            await _wait_for_mail(request, dev_mailbox, to, wait_s)
            items = dev_mailbox.list(to)
        listed: list[CaughtMail] = [
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

    @get("/{mail_id:str}/raw", media_type="message/rfc822", sync_to_thread=False)
    def show_raw(self, mail_id: FromPath[str], dev_mailbox: Provided[DevMailbox]) -> Response[bytes]:
        """Return a mail as it was received."""
        raw = dev_mailbox.raw(mail_id)
        if raw is None:
            raise NotFound("There is no such mail in the mailbox.")
        return as_file(raw, "message/rfc822")

    @delete("/", status_code=204, sync_to_thread=False)
    def clear(self, dev_mailbox: Provided[DevMailbox]) -> None:
        """Empty the development mailbox."""
        dev_mailbox.clear()


async def _wait_for_mail(request: AnyRequest, dev_mailbox: DevMailbox, to: str | None, wait_s: float) -> None:
    """Wait for a first mail, in no thread; until then at most until the client leaves or the service ends."""
    streams: Streams = request.app.state.streams
    loop, woken = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop has ended, and the request with it
            loop.call_soon_threadsafe(woken.set)

    async def leave() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        woken.set()

    with dev_mailbox.listening(to, wake):
        leaving = asyncio.create_task(leave())
        try:
            if not dev_mailbox.list(to):
                await streams.next(woken, wait_s)
        finally:
            leaving.cancel()


def _wait_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise InvalidRequest("A parameter is wrong.", [Problem("", "wait_s", f"wait_s: 0 to {MAX_WAIT_S:.0f} seconds")])
    return seconds
