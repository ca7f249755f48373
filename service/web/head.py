"""HEAD for every GET route (RFC 9110, 9.1 and 9.3.2), which Litestar does not add."""

from anyio import CancelScope
from litestar.types import ASGIApp, Message, Receive, Scope, Send


def with_head(app: ASGIApp) -> ASGIApp:
    """Answer HEAD as GET is answered, with the same status and headers and without content.

    Guards, redirects and failures are those of GET. A stream ends with its head.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        if method == "HEAD":
            await _answer_head(app, scope, receive, send)
        elif method == "OPTIONS":
            await app(scope, receive, _allowing_head(send))
        else:
            await app(scope, receive, send)

    return handle


def allow(methods: str) -> str:
    """The value of an Allow header, with HEAD where there is GET."""
    names = set(methods.split(", "))
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))


async def _answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    with CancelScope() as rest:

        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.start":
                return
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            # An answer without a length is a stream, which may wait for long before it says anything.
            if not any(name.lower() == b"content-length" for name, _ in message["headers"]):
                rest.cancel()

        asked = scope.copy()
        asked["method"] = "GET"  # type: ignore[typeddict-unknown-key]  # an HTTP scope, whose method is HEAD
        await app(asked, receive, send_head)


def _allowing_head(send: Send) -> Send:
    async def send_allowing_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                (name, allow(value.decode()).encode()) if name.lower() == b"allow" else (name, value)
                for name, value in message["headers"]
            ]
        await send(message)

    return send_allowing_head
