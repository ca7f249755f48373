"""Sign-in and sign-out, and the preferences for language and colour scheme."""

from typing import Any

import anyio.to_thread
from litestar import Controller, Response, get, post
from litestar.response import Redirect

from service.errors import NotAllowed, NotAuthenticated, TooManyAttempts
from service.models import Caller, Scope
from service.web.auth import client_of, preview_services_of, services_of
from service.web.dependencies import AnyRequest
from service.web.pages.i18n import LANGUAGES
from service.web.pages.render import show
from service.web.pages.request_context import (
    LANGUAGE_COOKIE,
    SCHEME_COOKIE,
    SCHEMES,
    form_of,
    knows_session,
    local_path,
    page_context,
    session_cookie,
    switch_cookie,
)

_HOME = "/admin"


class SignInController(Controller):
    """Sign-in and sign-out; open."""

    path = "/admin"

    @get("/sign-in", opt={"open": True, "unmetered": True}, guards=[knows_session()])
    async def ask(self, request: AnyRequest) -> Response[str]:
        """Page: the sign-in form."""
        return show(request, "sign_in.html", next=local_path(request.query_params.get("next")), problem=None)

    @post("/sign-in", opt={"open": True, "unmetered": True})
    async def begin(self, request: AnyRequest) -> Response[Any]:
        """Exchange `token` (the admin token, or a key with the scope admin or deploy) for a session.

        It ends after ten hours, or two without use. More than ten wrong tokens in a row from one address are answered
        with 429; a right one never is.
        """
        form, services = await form_of(request), services_of(request)
        token, target = str(form.get("token", "")).strip(), local_path(form.get("next"))
        client, browser = client_of(request), request.headers.get("user-agent", "")

        def create() -> tuple[str, Caller | None]:
            cookie = services.sessions.create_session(token, client=client, browser=browser)
            session = services.sessions.session(cookie)
            return cookie, session.caller if session else None

        try:
            text, caller = await anyio.to_thread.run_sync(create)
        except TooManyAttempts as error:
            page = _again(request, target, "sign_in.too_many", 429, wait_s=error.retry_after_s)
            page.headers["Retry-After"] = str(error.retry_after_s)
            return page
        except NotAllowed:
            return _again(request, target, "sign_in.not_admin", 403)
        except NotAuthenticated:
            return _again(request, target, "sign_in.unknown", 401)
        if target == _HOME and caller is not None and not caller.may(Scope.ADMIN):
            target = "/admin/deployments"
        return Redirect(target, status_code=303, cookies=[session_cookie(services, text)])

    @post("/sign-out", opt={"open": True}, guards=[knows_session()])
    async def end(self, request: AnyRequest) -> Response[Any]:
        """Sign out: the session ends."""
        await form_of(request)
        services, session = services_of(request), page_context(request).session
        if session is not None:
            await anyio.to_thread.run_sync(services.sessions.sign_out, session)
        return Redirect("/admin/sign-in", status_code=303, cookies=[session_cookie(services, None)])


class PreferencesController(Controller):
    """Language and colour scheme; open, as they also apply to the sign-in page."""

    path = "/admin"

    @post("/look", opt={"open": True})
    async def switch(self, request: AnyRequest) -> Response[Any]:
        """Switch `language` (`en`, `fr`) or `scheme` (`auto`, `light`, `dark`), and lead back."""
        form, preview_services = await form_of(request), preview_services_of(request)
        cookies = []
        if (language := str(form.get("language"))) in LANGUAGES:
            cookies.append(switch_cookie(preview_services, LANGUAGE_COOKIE, language))
        if (scheme := str(form.get("scheme"))) in SCHEMES:
            cookies.append(switch_cookie(preview_services, SCHEME_COOKIE, scheme))
        return Redirect(local_path(form.get("next")), status_code=303, cookies=cookies)


def _again(request: AnyRequest, target: str, problem: str, status: int, *, wait_s: int = 0) -> Response[str]:
    return show(request, "sign_in.html", status=status, next=target, problem=problem, wait_s=wait_s)
