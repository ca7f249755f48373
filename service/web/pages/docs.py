"""GET /docs: the API reference for developers, generated from the OpenAPI document; open without a key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Controller, Response, get

from service.web.dependencies import AnyRequest
from service.web.pages.render import show
from service.web.pages.request_context import knows_session

_METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API, ready to be shown. `example` is a body as JSON, `curl` a complete command."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scope: str
    parameters: list[Mapping[str, Any]]
    fields: list[Mapping[str, Any]]
    example: str
    answer: str
    status: str
    curl: str


class DocsController(Controller):
    """GET /docs and /openapi.json."""

    @get("/docs", opt={"open": True}, guards=[knows_session()])
    async def docs(self, request: AnyRequest) -> Response[str]:
        """Page: this API, with parameters, examples and a form to try it with a key."""
        document = _document(request)
        groups: dict[str, list[Operation]] = {}
        for operation, tag in _operations(document):
            groups.setdefault(tag, []).append(operation)
        return show(request, "docs.html", groups=groups, info=document["info"])

    @get("/openapi.json", opt={"open": True}, media_type="application/json")
    async def document(self, request: AnyRequest) -> dict[str, Any]:
        """Return the API as an OpenAPI 3.1 document."""
        return _document(request)


def _document(request: AnyRequest) -> dict[str, Any]:
    """Return the OpenAPI document, which is built at the first request and kept."""
    made: dict[str, Any] = request.app.state.openapi()
    return made


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[Operation, str]]:
    server = document["servers"][0]["url"]
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if (one := methods.get(method)) is not None:
                yield _operation(document, server, path, method, one), one["tags"][0]


def _operation(document: Mapping[str, Any], server: str, path: str, method: str, one: Mapping[str, Any]) -> Operation:
    body = one.get("requestBody", {}).get("content", {}).get("application/json", {})
    status, answer = next(iter(one["responses"].items()))
    example = _pretty(body.get("example"))
    scopes = [scope for scheme in one["security"] for scope in scheme["key"]]
    return Operation(
        id=one["operationId"],
        method=method.upper(),
        path=path,
        summary=one["summary"],
        description=one.get("description", ""),
        scope=scopes[0] if scopes else "",
        parameters=one["parameters"],
        fields=_fields(document, body.get("schema", {})),
        example=example,
        answer=_pretty(answer.get("content", {}).get("application/json", {}).get("example")),
        status=status,
        curl=_curl(server, path, method, one, example, needs_key=bool(scopes)),
    )


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value is not None else ""


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the fields of a body: name, kind, whether it is required."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = document["components"]["schemas"].get(name, {})
    required = set(found.get("required", ()))
    return [
        {"name": field, "kind": _kind(one), "required": field in required}
        for field, one in found.get("properties", {}).items()
    ]


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = str(schema.get("format") or schema.get("type", "any"))
    return f"[{_kind(schema['items'])}]" if kind == "array" and "items" in schema else kind


def _curl(server: str, path: str, method: str, one: Mapping[str, Any], example: str, *, needs_key: bool) -> str:
    for parameter in one["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(_example(parameter, parameter["name"].upper())))
    parts = [f"curl -X {method.upper()} '{server}{path}'"]
    if needs_key:
        parts.append('-H "Authorization: Bearer $KEY"')
    if example:
        quoted = example.replace("'", "'\\''")
        parts.append(f"-d '{quoted}'")
    return " \\\n  ".join(parts)


def _example(parameter: Mapping[str, Any], otherwise: str) -> object:
    """A value that works, where the document has one."""
    for example in parameter.get("examples", {}).values():
        return example["value"]
    return otherwise
