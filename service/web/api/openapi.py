"""The API as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from what is served.

Paths, methods, scopes and summaries come from the routes themselves, bodies from `requests`; what can't be seen there,
parameters of lists and examples, is in the table of `openapi_details`. A test holds the two together.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from service import __version__
from service.models import Scope
from service.web.api.openapi_details import DETAILS, NOTHING, Detail

#: What belongs to the API; pages are for people.
_PREFIXES = ("/api/v1/email/", "/healthz", "/readyz", "/metrics", "/dev/mailbox/")
_KINDS = re.compile(r":\w+\}")
_PROBLEM = {"$ref": "#/components/responses/Problem"}


def document(app: Litestar, *, server: str) -> dict[str, Any]:
    """The document of this application; `server` is where people reach it."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for path, method, handler in operations(app):
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, handler, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rgz-email",
            "version": __version__,
            "description": "Sends templated mail and tells what became of it. Errors are problem details (RFC 9457).",
        },
        "servers": [{"url": server}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key, or the admin token."}
            },
            "schemas": schemas | {"Problem": _PROBLEM_SCHEMA},
            "responses": {
                "Problem": {
                    "description": "Refused: every mistake at once, or why not now.",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def operations(app: Litestar) -> Iterable[tuple[str, str, HTTPRouteHandler]]:
    """Path, method and handler of everything that belongs to the API."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            path = _KINDS.sub("}", route.path_format)
            if path.startswith(_PREFIXES):
                for handler in route.route_handlers:
                    for method in sorted(handler.http_methods - {"OPTIONS", "HEAD"}):
                        yield path, str(method), handler


def scope_of(handler: HTTPRouteHandler) -> Scope | None:
    """The scope that a route asks for; None where it has no guard, or one of its own."""
    guards = [*(handler.guards or ()), *(getattr(handler.owner, "guards", None) or ())]
    return next((guard.scope for guard in guards if getattr(guard, "scope", None)), None)


def _operation(path: str, method: str, handler: HTTPRouteHandler, schemas: dict[str, Any]) -> dict[str, Any]:
    detail = DETAILS.get((method, path.removeprefix("/api/v1/email")), NOTHING)
    scope = scope_of(handler)
    summary, _, description = (handler.fn.__doc__ or "").strip().partition("\n")
    answer: dict[str, Any] = {"description": HTTPStatus(handler.status_code or 200).phrase}
    if detail.answer is not None:
        answer["content"] = {"application/json": {"example": detail.answer}}
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', path).rstrip('_')}",
        "summary": summary,
        "tags": [_tag(path)],
        "parameters": [*_path_parameters(path, detail), *_query_parameters(detail)],
        "responses": {str(handler.status_code or 200): answer, "default": _PROBLEM},
        "security": [{"key": [scope.value]}] if scope else [],
    }
    if description.strip():
        operation["description"] = re.sub(r"\s+", " ", description.strip())
    if detail.body is not None:
        schema = detail.body.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[detail.body.__name__] = schema
        content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{detail.body.__name__}"}}
        if detail.example is not None:
            content["example"] = detail.example
        operation["requestBody"] = {"required": detail.is_body_required, "content": {"application/json": content}}
    return operation


def _tag(path: str) -> str:
    return path.removeprefix("/api/v1/email/").strip("/").partition("/")[0]


def _path_parameters(path: str, detail: Detail) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if name in ("n", "number") else "string"},
            **({"example": detail.values[name]} if name in detail.values else {}),
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(detail: Detail) -> list[dict[str, Any]]:
    headers = {"Idempotency-Key", "If-Match", "If-None-Match"}
    return [
        {
            "name": name,
            "in": "header" if name in headers else "query",
            "description": what,
            "schema": {"type": "string"},
        }
        for name, what in detail.parameters.items()
    ]


_PROBLEM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "RFC 9457, with every mistake.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901, into the body"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
