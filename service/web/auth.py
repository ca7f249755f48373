"""Authentication and authorisation of requests.

A bearer token is the admin token or a key; without one, `EMAIL_ANONYMOUS_SCOPES` counts, and only for a request that
comes straight from a program on this machine (`is_local_program`). A web page must not send mail through localhost:
whatever a browser or a proxy adds to a request takes the anonymous scopes away.
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from service.auth.api_keys import ANONYMOUS_ID
from service.bootstrap import PreviewServices, Services
from service.errors import NotAllowed, NotAuthenticated, NotFound
from service.models import Caller, Scope
from service.web.client_address import client_address, is_local_socket
from service.web.request_rates import RequestRates

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]

#: Headers that only browsers (Fetch Metadata, RFC 6454) and proxies (RFC 7239) send.
_NOT_LOCAL = ("origin", "sec-fetch-site", "forwarded", "via", "x-real-ip")


def services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    """Return the services of this application."""
    services: Services = connection.app.state.services
    return services


def preview_services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> PreviewServices:
    """Return the services that show templates, which `rgz-email preview` has, too."""
    preview_services: PreviewServices = connection.app.state.services
    return preview_services


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Return the caller, whom the route's guard identified."""
    caller: Caller = request.state.caller
    return caller


def require(scope: Scope) -> Guard:
    """Return a guard that requires `scope`. It raises NotAuthenticated or NotAllowed."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        caller = await identify(connection)
        count_request(connection, caller)
        if caller is None or (caller.id == ANONYMOUS_ID and not caller.may(scope)):
            raise NotAuthenticated(f"This needs a key with the scope {scope.value}: Authorization: Bearer KEY.")
        if not caller.may(scope):
            services_of(connection).refusals.scope(client_of(connection), caller, scope)
            raise NotAllowed(f"This needs the scope {scope.value}, which the key {caller.name!r} does not have.")
        connection.state.caller = caller

    guard.scope = scope  # type: ignore[attr-defined]  # a test checks it on every route
    return guard


def local_or_admin() -> Guard:
    """Return a guard for the development mailbox, open to programs on this machine and to admins."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if is_local_program(connection):
            return
        caller = await identify(connection)
        count_request(connection, caller)
        if caller is None or not caller.may(Scope.ADMIN):
            raise NotFound("There is nothing at this address.")

    guard.scope = None  # type: ignore[attr-defined]
    return guard


async def count_open_request(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of the application: it counts a request to a route without a guard of its own. Raises TooManyRequests.

    A route that says `unmetered` is not counted: it tells whether the service is well, or it takes a token, and a right
    one is never refused for what others send from the same address.
    """
    if handler.opt.get("unmetered") or any(hasattr(guard, "scope") for guard in handler.resolve_guards()):
        return
    rates: RequestRates = connection.app.state.rates
    take = rates.take_for_webhook if handler.opt.get("webhook") else rates.take_for_address
    take(client_of(connection))


def count_request(connection: ASGIConnection[Any, Any, Any, Any], caller: Caller | None) -> None:
    """Count a request of this caller; of nobody, by address. Raises TooManyRequests.

    An unknown token raises before: wrong ones are slowed by themselves.
    """
    rates: RequestRates = connection.app.state.rates
    if caller is None:
        rates.take_for_address(client_of(connection))
    else:
        rates.take_for_key(caller.id)


async def identify(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller | None:
    """Return the caller of a request; None without credentials.

    Raises NotAuthenticated for an unknown token, TooManyAttempts after many from the same address.
    """
    services = services_of(connection)
    header = connection.headers.get("authorization", "")
    if not header:
        return services.api_keys.anonymous() if is_local_program(connection) else None
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("Write the header as: Authorization: Bearer KEY.")
    caller = services.api_keys.admin(token.strip())
    if caller is None and services.api_keys.is_quick:
        caller = services.api_keys.key(token.strip())
    elif caller is None:
        caller = await anyio.to_thread.run_sync(services.api_keys.key, token.strip())
    if caller is None:
        client = client_of(connection)
        services.refusals.token(client, token.strip())
        raise services.wrong_tokens.refusal(client, "This key is unknown or revoked.")
    return caller


def client_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the client's address; see `client_address`."""
    return client_address(connection.scope, preview_services_of(connection).settings.trusted_proxies)


def is_local_program(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the client is a program on this machine, and no header tells of a browser or a proxy.

    With SMTP_HOST that is a client of EMAIL_LOCAL_SOCKET alone: behind a reverse proxy on this machine every client of
    the port comes from loopback. Without it, in development, so is a client of a loopback port, if both ends are.
    """
    headers = connection.headers
    if any(name in headers for name in _NOT_LOCAL) or any(name.startswith("x-forwarded-") for name in headers):
        return False
    if is_local_socket(connection.scope):
        return True
    if not connection.app.state.is_port_local:
        return False
    client = connection.client
    return client is not None and is_loopback(client.host) and is_loopback(_host_name(headers.get("host", "")))


def names_this_machine(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether the Host is a loopback name; any other that resolves to loopback may be a DNS rebinding attack."""
    return is_loopback(_host_name(connection.headers.get("host", "")))


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback, by name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
