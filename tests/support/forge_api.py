"""The API of a forge, as far as statuses of commits go: an HTTP server in a thread that keeps what it is sent."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
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

    @property
    def state(self) -> str:
        return str(self.body["state"])


@dataclass
class ForgeApi:
    """The server's address, its next answers (code and body; 201 when there is none), and the requests it was sent."""

    url: str
    answers: list[tuple[int, bytes]] = field(default_factory=list)
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

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self._answer({})

    def _answer(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.state.requests.append(Posted(self.path, headers, body))
        code, answer = self.state.answers.pop(0) if self.state.answers else (201, b"{}")
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", f"{self.state.url}/elsewhere")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.state.called.set()

    @override
    def log_message(self, format: str, *args: object) -> None:
        return
