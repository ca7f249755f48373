"""Exceptions -> problem details (RFC 9457), with every mistake and its JSON pointer.

This is the only place that maps the classes of `service.errors` to HTTP statuses. A response never contains a
traceback, SQL, a path or a secret: an unexpected error is logged under a number, and the response names the number.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from typing_extensions import TypedDict  # pydantic reads the one of `typing` only from Python 3.12 on

from service import errors
from service.errors import Finding, Problem
from service.web.auth import services_of
from service.web.head import allow

MEDIA_TYPE = "application/problem+json"


class ProblemItem(TypedDict):
    """One mistake; `pointer` is a JSON pointer into the body (RFC 6901)."""

    pointer: str
    code: str
    message: str


class ProblemDetails(TypedDict):
    """A failure (RFC 9457), with every mistake."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemItem]


#: The status of each class; the first that matches counts.
_STATUS: Sequence[tuple[type[errors.RequestRefused], int]] = (
    (errors.MalformedRequest, HTTPStatus.BAD_REQUEST),
    (errors.InvalidRequest, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.NotAllowed, HTTPStatus.FORBIDDEN),
    (errors.NotVerified, HTTPStatus.FORBIDDEN),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.Gone, HTTPStatus.GONE),
    (errors.PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (errors.PreconditionRequired, HTTPStatus.PRECONDITION_REQUIRED),
    (errors.TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
)

_log = structlog.get_logger("web")


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemDetails]:
    """Return the response to any exception that a handler raises."""
    if isinstance(error, errors.RequestRefused):
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        headers = {"WWW-Authenticate": 'Bearer realm="rgz-email"'} if status == HTTPStatus.UNAUTHORIZED else {}
        return _answer(request, status, str(error), error.code, problems=error.problems, headers=headers)
    if isinstance(error, errors.TemplateInvalid):
        problems = [_as_problem(finding) for finding in error.findings]
        return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "The template has mistakes.", "template", problems)
    if isinstance(error, errors.TryLater):
        headers = {"Retry-After": str(error.retry_after_s)}
        is_theirs = isinstance(error, (errors.TooManyAttempts, errors.TooManyRequests))
        if not is_theirs:
            services_of(request).monitoring.metrics.refused("try_later")
        status = HTTPStatus.TOO_MANY_REQUESTS if is_theirs else HTTPStatus.SERVICE_UNAVAILABLE
        return _answer(request, status, str(error), "try_later", headers=headers)
    if isinstance(error, errors.StoreBusy):
        _log.warning("store_busy", reason=str(error))
        services_of(request).monitoring.metrics.refused("store_busy")
        detail = "The database can't take this just now; nothing was stored. Send the same request again."
        return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, "store_busy", headers={"Retry-After": "2"})
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _of_the_framework(request, error)
    number = uuid4().hex
    # The route's pattern instead of the path, which may contain a token or an address.
    _log.error("unforeseen_error", number=number, path=request.scope["path_template"], exc_info=error)
    detail = f"Something went wrong on our side. The log has it under {number}."
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail, "internal")


def _of_the_framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemDetails]:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return _answer(request, HTTPStatus.NOT_FOUND, "There is nothing at this address.", "not_found", headers=headers)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible here."
        headers["allow"] = allow(headers["allow"])
        return _answer(request, HTTPStatus.METHOD_NOT_ALLOWED, detail, "method_not_allowed", headers=headers)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        detail = "The request is larger than this service takes (EMAIL_MAX_ATTACHMENT_SIZE_MB and what surrounds it)."
        return _answer(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, "too_large", headers=headers)
    if error.status_code == HTTPStatus.BAD_REQUEST and isinstance(error.extra, list):
        problems = [Problem("", "parameter", f"{item.get('key')}: {item.get('message')}") for item in error.extra]
        return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "A parameter is wrong.", "invalid_request", problems)
    return _answer(request, error.status_code, error.detail, "refused", headers=headers)


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    code: str,
    problems: Sequence[Problem] = (),
    headers: dict[str, str] | None = None,
) -> Response[ProblemDetails]:
    content: ProblemDetails = {
        "type": f"urn:rgz-email:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "instance": request.url.path,
        "errors": [{"pointer": item.pointer, "code": item.code, "message": item.message} for item in problems],
    }
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _as_problem(finding: Finding) -> Problem:
    return Problem("", finding.code, str(finding))
