"""The API as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0): Litestar's, and what only we know.

Litestar describes paths, their parameters and the types of answers. Bodies, queries and headers are read by us, so that
every mistake is reported at once; their models, the scopes of the guards and the form of failures are added here.
A handler's `opt` may name its `body` (a model, where it reads raw bytes), its `query` likewise, its `headers` with what
they mean, and an example `answer`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.routes import HTTPRoute
from pydantic import BaseModel, TypeAdapter

from service import __version__
from service.models import Scope
from service.web.api.query import Query
from service.web.problems import MEDIA_TYPE, ProblemDetails

_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {
    "description": "Refused: every mistake at once, or why not now.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=ProblemDetails.__name__)}}},
}
_TOO_MANY = {
    "description": "More requests than the rate of this key or address allows.",
    "headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
    "content": _PROBLEM["content"],
}
#: Answers that are bytes, not text.
_BINARY = ("application/octet-stream", "message/rfc822")


def document(routes: Sequence[Any], dependencies: Mapping[str, Provide], *, server: str) -> dict[str, Any]:
    """The document of these routes; `server` is where people reach them."""
    # Nothing is ever served from this application: in the one that is, Litestar would add pages of its own.
    described = Litestar(
        list(routes),
        dependencies=dependencies,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="rgz-email",
            version=__version__,
            description="Sends templated mail and tells what became of it. Errors are problem details (RFC 9457).",
            servers=[Server(url=server)],
            components=Components(
                security_schemes={
                    "key": SecurityScheme(type="http", scheme="bearer", description="A key, or the admin token.")
                }
            ),
            operation_id_creator=lambda _, method, components: _operation_id(method, components),
        ),
    )
    made: dict[str, Any] = described.openapi_schema.to_schema()
    schemas: dict[str, Any] = made["components"].setdefault("schemas", {})
    _add_schema(schemas, ProblemDetails.__name__, TypeAdapter(ProblemDetails).json_schema(ref_template=_REFERENCE))
    for path, method, handler in operations(described):
        _complete(made["paths"][path][method.lower()], path, handler, schemas)
    made["paths"] = dict(sorted(made["paths"].items()))
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    return made


def operations(app: Litestar) -> Iterable[tuple[str, str, HTTPRouteHandler]]:
    """Path, method and handler of everything in the document."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    for method in sorted(handler.http_methods - {"OPTIONS"}):
                        yield route.path_format, str(method), handler


def scope_of(handler: HTTPRouteHandler) -> Scope | None:
    """The scope that a route asks for; None where it has no guard, or one of its own."""
    return next((scope for guard in handler.resolve_guards() if (scope := getattr(guard, "scope", None))), None)


def description_of(handler: HTTPRouteHandler) -> str:
    """What a route does: the docstring of its function, which Litestar wraps where it runs in a thread."""
    return cleandoc(getattr(handler.fn, "func", handler.fn).__doc__ or "")


def _complete(operation: dict[str, Any], path: str, handler: HTTPRouteHandler, schemas: dict[str, Any]) -> None:
    scope = scope_of(handler)
    summary, _, description = description_of(handler).partition("\n")
    operation["summary"] = summary
    if description.strip():
        operation["description"] = re.sub(r"\s+", " ", description.strip())
    operation["tags"] = [path.removeprefix("/api/v1/email/").strip("/").partition("/")[0]]
    operation["security"] = [{"key": [scope.value]}] if scope else []
    operation["parameters"] = [
        *operation.get("parameters", []),
        *(_query_parameters(_model(handler, "query", Query))),
        *(_header_parameters(handler.opt.get("headers", {}))),
    ]
    answers = operation["responses"]
    answers.pop("400", None)  # Litestar's own form of a failure, which is not ours
    answers["default"] = _PROBLEM
    if not handler.opt.get("unmetered"):
        answers["429"] = _TOO_MANY
    for kind, told in answers[str(handler.status_code)].get("content", {}).items():
        if kind in _BINARY:
            told["schema"]["format"] = "binary"
    if (example := handler.opt.get("answer")) is not None:
        answers[str(handler.status_code)]["content"]["application/json"]["example"] = example
    if (body := _model(handler, "body", BaseModel)) is not None:
        _add_schema(schemas, body.__name__, body.model_json_schema(ref_template=_REFERENCE))
        content: dict[str, Any] = {"schema": {"$ref": _REFERENCE.format(model=body.__name__)}}
        if examples := schemas[body.__name__].pop("examples", None):
            content["example"] = examples[0]
        is_required = handler.opt.get("is_body_required", True)
        operation["requestBody"] = {"required": is_required, "content": {"application/json": content}}


def _model(handler: HTTPRouteHandler, name: str, kind: type[BaseModel]) -> type[BaseModel] | None:
    """The model of a body or a query: the type of the handler's parameter `asked`, or what `opt` says."""
    asked = handler.parsed_fn_signature.parameters.get("asked")
    if asked is not None and issubclass(asked.annotation, Query) == (kind is Query):
        found: type[BaseModel] = asked.annotation
        return found
    named: type[BaseModel] | None = handler.opt.get(name)
    return named


def _add_schema(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    schemas.update(schema.pop("$defs", {}))
    schemas[name] = schema


def _query_parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.description,
            "schema": {"type": _type_of(field.annotation)},
        }
        for name, field in (query.model_fields if query else {}).items()
    ]


def _type_of(annotation: object) -> str:
    return "integer" if annotation is int else "boolean" if annotation is bool else "string"


def _header_parameters(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in headers.items()
    ]


def _operation_id(method: str, components: Sequence[Any]) -> str:
    names = (one if isinstance(one, str) else one.name for one in components)
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join([method.lower(), *names])).rstrip("_")
