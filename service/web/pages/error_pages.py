"""Error pages for browsers; programs get problem details."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from service.errors import NotAuthenticated
from service.web import problems
from service.web.pages.render import show
from service.web.pages.request_context import page_context

_PLACES = ("/admin", "/docs")


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Return an error page for a browser, problem details for a program."""
    if not wants_page(request):
        return problems.respond(request, error)
    if isinstance(error, NotAuthenticated):
        return _to_sign_in(request)
    found = problems.respond(request, error)
    content = found.content
    status = int(content["status"])
    language = page_context(request).language
    key = f"failure.{status}" if language.has(f"failure.{status}") else "failure.other"
    page = show(
        request,
        "error.html",
        status=status,
        code=status,
        title=language.say(key),
        detail=content["detail"],
        is_nothing_here=isinstance(error, HTTPException) and status == HTTPStatus.NOT_FOUND,
        mistakes=[item["message"] for item in content["errors"]],
    )
    page.headers.update({name: value for name, value in found.headers.items() if name == "Retry-After"})
    return page


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether to answer with a page: one of our pages, or any URL outside the API that a browser asks for."""
    path = request.url.path
    if any(path == place or path.startswith(f"{place}/") for place in _PLACES):
        return True
    return not path.startswith(("/api/", "/dev/")) and "text/html" in request.headers.get("accept", "")


def _to_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    is_look = request.method == "GET" and "hx-request" not in request.headers
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"/admin/sign-in?{urlencode({'next': path})}" if is_look and path != "/admin" else "/admin/sign-in"
    if "hx-request" in request.headers:  # a part of a page: redirect the whole page
        return Response(b"", status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": target})
    return Redirect(target, status_code=303)
