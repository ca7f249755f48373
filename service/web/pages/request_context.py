"""Context of a page request: the session, the form token (CSRF), the language and the colour scheme.

Cookies: `rgz_session` (the secret of a session), `rgz_visitor` (a nonce for forms before sign-in), `rgz_language` and
`rgz_scheme` (preferences). If EMAIL_PUBLIC_URL is https, they are Secure, and the first two are bound to this host (RFC
6265bis, 4.1.3.2: `__Host-`). A form is accepted only with the token of its session, and from a page of this origin.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import anyio.to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, FormMultiDict
from litestar.handlers import BaseRouteHandler

from service.auth.sessions import SESSION_LASTS, Session, cookie_digest
from service.bootstrap import PreviewServices, Services
from service.errors import (
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRefused,
    StoreBusy,
    StoreError,
    TooLarge,
    TooManyAttempts,
)
from service.models import Caller, Scope
from service.web.auth import (
    Guard,
    client_of,
    count_request,
    identify,
    names_this_machine,
    preview_services_of,
    services_of,
)
from service.web.pages.i18n import Language, Languages

Connection = ASGIConnection[Any, Any, Any, Any]

LANGUAGE_COOKIE: Literal["rgz_language"] = "rgz_language"
SCHEME_COOKIE: Literal["rgz_scheme"] = "rgz_scheme"
SCHEMES = ("auto", "light", "dark")
_A_YEAR = timedelta(days=365)

#: Fields of a form, at most; none of our own has a tenth of them.
FORM_FIELDS = 100
#: Larger forms are parsed in a thread.
_QUICK_FORM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PageContext:
    """Session and preferences of a page request; `caller` is None before sign-in, `form_token` goes into each form."""

    caller: Caller | None
    session: Session | None
    language: Language
    scheme: str
    form_token: str


def signed_in(scope: Scope = Scope.ADMIN) -> Guard:
    """Return a guard that requires a session or bearer token of this scope. It raises NotAuthenticated, NotAllowed."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        caller = await _caller(connection)
        count_request(connection, caller)
        if caller is None:
            raise NotAuthenticated("Sign in first.")
        if not caller.may(scope):
            services_of(connection).refusals.scope(client_of(connection), caller, scope)
            raise NotAllowed(f"This needs the scope {scope.value}, which the key {caller.name!r} does not have.")
        connection.state.caller = caller

    guard.scope = scope  # type: ignore[attr-defined]  # a test checks it on every route
    return guard


async def is_still_signed_in(connection: Connection, scope: Scope = Scope.ADMIN) -> bool:
    """Whether the session or key is still valid; a stream checks it again, since it outlives its guard.

    It does not count as use of the session, so that an open page ends with the idle time. Where the database can't be
    read now, the stream goes on until it can.
    """
    try:
        if not connection.headers.get("authorization"):
            session = await _read_session(connection)
            return session is not None and session.caller.may(scope)
        caller = await identify(connection)
    except (NotAuthenticated, TooManyAttempts):
        return False
    except StoreBusy:
        return True
    return caller is not None and caller.may(scope)


def knows_session() -> Guard:
    """Return a guard for pages that are open, and show more to those who have signed in."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        await _session(connection)

    return guard


def can_preview() -> Guard:
    """Return a guard for pages that only show templates: the application says which guard that is.

    It is `signed_in()`, or `on_this_machine()` in `rgz-email preview`.
    """

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        admit: Guard = connection.app.state.preview_guard
        await admit(connection, handler)

    guard.scope = Scope.ADMIN  # type: ignore[attr-defined]
    return guard


async def may_still_preview(request: Request[Any, Any, Any]) -> bool:
    """Whether the guard of `can_preview` would still admit the request; a stream asks again, since it outlives it."""
    if isinstance(preview_services_of(request), Services):
        return await is_still_signed_in(request)
    admit: Guard = request.app.state.preview_guard
    try:
        await admit(request, request.route_handler)
    except RequestRefused:
        return False
    return True


def on_this_machine() -> Guard:
    """Return a guard for requests that are addressed to loopback. Raises NotFound."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        if not names_this_machine(connection):
            raise NotFound("There is nothing at this address.")

    guard.scope = None  # type: ignore[attr-defined]
    return guard


def page_context(connection: Connection) -> PageContext:
    """Return the context of a request; `caller` is set by the guard."""
    preview_services = preview_services_of(connection)
    languages: Languages = connection.app.state.languages
    scheme = connection.cookies.get(SCHEME_COOKIE, SCHEMES[0])
    return PageContext(
        caller=connection.state.get("caller"),
        session=_known_session(connection),
        language=languages.choose(
            connection.cookies.get(LANGUAGE_COOKIE), connection.headers.get("accept-language", "")
        ),
        scheme=scheme if scheme in SCHEMES else SCHEMES[0],
        form_token=preview_services.form_tokens.token(_nonce(connection)),
    )


async def form_of(request: Request[Any, Any, Any], *, max_fields: int = FORM_FIELDS) -> FormMultiDict:
    """Return the fields of a form, after checking its token and origin (CSRF). Raises NotAllowed and TooLarge.

    A program that sends a bearer token, and no cookie, Origin or Fetch Metadata, needs no form token: another site
    can't make it send a request. Whatever can be refused is refused before the body is read.
    """
    if not _is_of_this_origin(request):
        raise NotAllowed("This form was sent from another site.")
    is_program = "sec-fetch-site" not in request.headers and "origin" not in request.headers and not request.cookies
    nonce = _known_nonce(request)
    if nonce is None and not is_program:
        raise _expired()
    form = await _fields(request, max_fields)
    given = str(form.get("form_token") or request.headers.get("x-form-token") or "")
    if not is_program and not preview_services_of(request).form_tokens.is_token(nonce or "", given):
        raise _expired()
    return form


def _expired() -> NotAllowed:
    return NotAllowed("This form has expired. Reload the page and submit it again.")


async def _fields(request: Request[Any, Any, Any], max_fields: int) -> FormMultiDict:
    """Parse a form; the route bounds its bytes. Litestar's parser counts no fields, and keeps the last 1,024 forms."""
    body = await request.body()
    if body and request.content_type[0] != "application/x-www-form-urlencoded":
        raise MalformedRequest("Send the form as application/x-www-form-urlencoded.")
    if body.count(b"&") >= max_fields:
        raise TooLarge(f"A form has at most {max_fields} fields.")

    def parse() -> list[tuple[str, str]]:
        text = body.decode("latin-1").replace("%00", "%EF%BF%BD").replace("\x00", "%EF%BF%BD")
        return parse_qsl(text, keep_blank_values=True)

    return FormMultiDict(parse() if len(body) < _QUICK_FORM_BYTES else await anyio.to_thread.run_sync(parse))


def local_path(path: str | None, otherwise: str = "/admin") -> str:
    """Return `path` if it is a page of this service, else `otherwise`, so that signing in never leads elsewhere."""
    is_local = path is not None and path.startswith("/") and not path.startswith(("//", "/api/"))
    if path and is_local and path.isascii() and path.isprintable() and not {"\\", " "} & set(path):
        return path
    return otherwise


def session_cookie(preview_services: PreviewServices, text: str | None) -> Cookie:
    """Return the session cookie; with None, one that deletes it."""
    lasts = int(SESSION_LASTS.total_seconds()) if text is not None else 0
    return _cookie(_name("session", preview_services), text or "", preview_services, max_age=lasts)


def visitor_cookie(preview_services: PreviewServices, nonce: str) -> Cookie:
    """The cookie of a visitor who has not signed in."""
    return _cookie(_name("visitor", preview_services), nonce, preview_services, max_age=None)


def switch_cookie(preview_services: PreviewServices, name: Literal["rgz_language", "rgz_scheme"], value: str) -> Cookie:
    """The cookie that stores a choice of language or colour scheme for a year."""
    return _cookie(name, value, preview_services, max_age=int(_A_YEAR.total_seconds()))


def new_visitor(connection: Connection) -> str | None:
    """Return the nonce that the response must set as a cookie; None if the visitor has one."""
    made: str | None = connection.state.get("new_visitor")
    return made


async def _caller(connection: Connection) -> Caller | None:
    if connection.headers.get("authorization"):
        return await identify(connection)
    session = await _session(connection)
    return session.caller if session is not None else None


async def _session(connection: Connection) -> Session | None:
    """Return the open session of the cookie, for the page too, and write down that it is used."""
    session = await _read_session(connection)
    connection.state["session"] = session
    if session is not None and not services_of(connection).sessions.is_seen_lately(session):
        with suppress(StoreBusy):  # then the next request writes it down
            await anyio.to_thread.run_sync(services_of(connection).sessions.touch, session)
    return session


async def _read_session(connection: Connection) -> Session | None:
    services, cookie = preview_services_of(connection), _session_cookie(connection)
    if not cookie or not isinstance(services, Services):
        return None
    if services.api_keys.is_quick:
        return services.sessions.session(cookie)
    return await anyio.to_thread.run_sync(services.sessions.session, cookie)


def _known_session(connection: Connection) -> Session | None:
    """The session that the guard found; where there was no guard (no such page), what can be read at once."""
    services, cookie = preview_services_of(connection), _session_cookie(connection)
    if "session" in connection.state:
        found: Session | None = connection.state["session"]
        return found
    if not cookie or not isinstance(services, Services) or not services.api_keys.is_quick:
        return None
    try:
        return services.sessions.session(cookie)
    except StoreError:  # it may be what the page is about
        return None


def _session_cookie(connection: Connection) -> str | None:
    return connection.cookies.get(_name("session", preview_services_of(connection)))


def _nonce(connection: Connection) -> str:
    """What forms are bound to: the session's cookie, or before sign-in the visitor's."""
    return _known_nonce(connection) or _visitor(connection)


def _known_nonce(connection: Connection) -> str | None:
    cookie = _session_cookie(connection)
    return cookie_digest(cookie) if cookie else _known_visitor(connection)


def _known_visitor(connection: Connection) -> str | None:
    return connection.cookies.get(_name("visitor", preview_services_of(connection))) or None


def _visitor(connection: Connection) -> str:
    if known := _known_visitor(connection):
        return known
    made: str = connection.state.get("new_visitor") or secrets.token_urlsafe(16)
    connection.state["new_visitor"] = made
    return made


def _is_of_this_origin(request: Request[Any, Any, Any]) -> bool:
    """Check Fetch Metadata if the browser sends it, else Origin (RFC 6454); a program sends neither."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # Behind a proxy, Host may differ from the public name.
    ours = {request.headers.get("host"), urlsplit(preview_services_of(request).settings.email_public_url).netloc}
    try:
        return urlsplit(origin).netloc in ours
    except ValueError:  # such as http://[
        return False


def _is_https(preview_services: PreviewServices) -> bool:
    return preview_services.settings.email_public_url.startswith("https://")


def _name(kind: str, preview_services: PreviewServices) -> str:
    return f"__Host-rgz_{kind}" if _is_https(preview_services) else f"rgz_{kind}"


def _cookie(name: str, value: str, preview_services: PreviewServices, *, max_age: int | None) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=max_age,
        secure=_is_https(preview_services),
        httponly=True,
        samesite="lax",
    )
