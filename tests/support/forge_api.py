"""The API of a forge: an HTTP server in a thread that keeps what it is sent, and answers as it is told."""

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    method: str = "POST"

    @property
    def state(self) -> str:
        return str(self.body["state"])


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    code: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ForgeApi:
    """The server's address, its next answers (code and body), and the requests it was sent.

    Where there is no next answer, `answer` makes it.
    """

    url: str
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    answer: Callable[[Posted], Reply] = lambda _: Reply(201)
    requests: list[Posted] = field(default_factory=list)
    called: threading.Event = field(default_factory=threading.Event)

    @property
    def states(self) -> list[str]:
        """The states that were posted, in order."""
        return [one.state for one in self.requests]


@contextmanager
def forge_api(tls: ssl.SSLContext | None = None) -> Iterator[ForgeApi]:
    """Serve on this machine, until the block ends; with `tls` over https."""
    forge = ForgeApi("")

    class Handler(_Handler):
        state = forge

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        forge.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    state: ClassVar[ForgeApi]

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"]))) if self.command != "GET" else {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        posted = Posted(self.path, headers, body, self.command)
        self.state.requests.append(posted)
        reply = Reply(*self.state.answers.pop(0)) if self.state.answers else self.state.answer(posted)
        self.send_response(reply.code)
        sent = {"Content-Length": str(len(reply.body))} | dict(reply.headers)
        if 300 <= reply.code < 400:
            sent = {"Location": f"{self.state.url}/elsewhere"} | sent
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)
        self.state.called.set()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # the names that http.server calls

    @override
    def log_message(self, format: str, *args: object) -> None:
        return
