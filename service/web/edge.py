"""Bounds of every request and headers of every answer: ASGI middleware around Litestar.

An exception's answer and one that no route gives (404, 405) pass here too; Litestar's own hooks see neither.
"""

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from service.web.body_budget import BodyBudget

#: No response may be sniffed, framed or cached.
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
PROBLEM_TYPE = b"application/problem+json"

#: A path is an identifier, an address or a token; a query also holds the variables of a preview.
MAX_PATH_BYTES = 4_096
MAX_QUERY_BYTES = 32_768
MAX_QUERY_FIELDS = 512
#: Litestar keeps the last 1,024 queries and cookies, parsed. Longer ones are parsed here, and not kept.
_MAX_KEPT_BYTES = 1_024


def with_edge(app: ASGIApp, budget: BodyBudget) -> ASGIApp:
    """Bound what reaches the routes: addresses, cookies, and the bytes of bodies; complete the headers of answers."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        send = _completing(send)
        if refusal := _too_long(scope):
            await _refuse(send, *refusal)
            return
        _without_nul(scope)
        _parse_long(scope)
        with budget.taken(scope, receive) as bounded:
            await app(scope, bounded, send)

    return handle


def problem(status: int, detail: str, code: str) -> bytes:
    """The body of a failure that no route answers (RFC 9457)."""
    return msgspec.json.encode(
        {
            "type": f"urn:rgz-email:problem:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "instance": "",
            "errors": [],
        }
    )


def completed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of an answer, with those of HEADERS that it has not set itself."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    return given + [one for one in HEADERS.items() if one[0] not in names]


def _completing(send: Send) -> Send:
    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = completed(message["headers"])
        await send(message)

    return complete


def _too_long(scope: Scope) -> tuple[int, str] | None:
    if len(scope["raw_path"]) > MAX_PATH_BYTES:
        return 414, f"A path has at most {MAX_PATH_BYTES:,} bytes."
    query = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_QUERY_FIELDS:
        return 414, f"A query has at most {MAX_QUERY_BYTES:,} bytes and {MAX_QUERY_FIELDS} parameters."
    return None


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = problem(status, detail, "too_long")
    headers = [(b"content-type", PROBLEM_TYPE), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _without_nul(scope: Scope) -> None:
    """Replace U+0000, which no text of a database holds, as HTML does, so that nothing is found under it."""
    if "\x00" in scope["path"]:
        scope["path"] = scope["path"].replace("\x00", "\ufffd")
        scope["raw_path"] = quote(scope["path"]).encode()
    if b"%00" in scope["query_string"]:
        scope["query_string"] = scope["query_string"].replace(b"%00", b"%EF%BF%BD")


def _parse_long(scope: Scope) -> None:
    query = scope["query_string"]
    if len(query) > _MAX_KEPT_BYTES:
        ScopeState.from_scope(scope).parsed_query = tuple(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    if sum(map(len, cookies)) > _MAX_KEPT_BYTES:
        ScopeState.from_scope(scope).cookies = dict(_cookies(b";".join(cookies)))


def _cookies(header: bytes) -> Iterable[tuple[str, str]]:
    for pair in header.decode("latin-1").split(";"):
        name, _, value = pair.partition("=")
        yield name.strip(), unquote(value.strip().strip('"'))
