"""GET /admin/sessions and below: who is signed in, and ending it."""

import re

import anyio.to_thread
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.auth.sessions import Sessions
from service.errors import InvalidRequest, NotFound
from service.web.auth import caller_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.render import show
from service.web.pages.request_context import form_of, page_context, signed_in

#: Words of a User-Agent, the telling ones first: each browser names those that it wants to be taken for, too.
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Version", "Safari"))
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "CrOS", "Linux")


class SessionPages(Controller):
    """The open sessions."""

    path = "/admin/sessions"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def list_sessions(self, request: AnyRequest, sessions: Provided[Sessions]) -> Response[str]:
        """Page: all open sessions, the last used first, each with a button that ends it."""
        found = await anyio.to_thread.run_sync(sessions.list_open)
        return show(
            request,
            "sessions.html",
            found=found,
            caller=caller_of(request),
            browser_name=browser_name,
            done=request.query_params.get("done"),
        )

    @post("/{session_id:str}/end")
    async def end(self, request: AnyRequest, session_id: FromPath[str], sessions: Provided[Sessions]) -> Redirect:
        """Form: end a session, of anybody."""
        await form_of(request)
        try:
            await anyio.to_thread.run_sync(sessions.end, session_id, caller_of(request))
        except NotFound:  # somebody else ended it, or time did
            return Redirect("/admin/sessions?done=gone", status_code=303)
        return Redirect("/admin/sessions?done=ended", status_code=303)

    @post("/end")
    async def end_all(self, request: AnyRequest, sessions: Provided[Sessions]) -> Redirect:
        """Form: end all sessions; `whose=mine` ends those of this key or token, but not this one."""
        form, caller = await form_of(request), caller_of(request)
        session, whose = page_context(request).session, form.get("whose")
        if whose not in ("mine", "all"):
            raise InvalidRequest("Choose whose sessions end: mine or all.")

        def work() -> int:
            if whose == "all":
                return sessions.end_all(caller)
            return sessions.end_all(caller, caller_id=caller.id, but=session.id if session else None)

        await anyio.to_thread.run_sync(work)
        return Redirect("/admin/sessions?done=ended_all", status_code=303)


def browser_name(user_agent: str) -> str:
    """A browser's name, version and system, such as "Firefox 140, Linux"; "" for a program that is none."""
    versions = dict(re.findall(r"(?<![A-Za-z])([A-Za-z]+)/([0-9]+)", user_agent))
    name = next((f"{name} {versions[word]}" for word, name in _BROWSERS if word in versions), "")
    system = next((one for one in _SYSTEMS if one in user_agent), "")
    return f"{name}, {system}" if name and system else name
