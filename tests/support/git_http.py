"""A forge over HTTP: git's own backend behind a login, in a thread."""

import base64
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from typing_extensions import override


@dataclass
class GitHttp:
    """The server's address, the login that it asks for, and the logins that it was given (None: none)."""

    url: str
    password: str | None = None
    redirect_to: str | None = None
    logins: list[str | None] = field(default_factory=list)


@contextmanager
def git_http(root: Path) -> Iterator[GitHttp]:
    """Serve the bare repositories below `root`."""
    forge = GitHttp("")

    class Handler(_Handler):
        state = forge
        folder = root

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        forge.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    state: ClassVar[GitHttp]
    folder: ClassVar[Path]

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def _serve(self, body: bytes) -> None:
        if self.state.redirect_to:
            self.send_response(302)
            self.send_header("Location", self.state.redirect_to + self.path)
            self.end_headers()
            return
        login = self.headers["Authorization"]
        given = base64.b64decode(login.removeprefix("Basic ")).decode() if login else None
        self.state.logins.append(given)
        if self.state.password and (given is None or given.partition(":")[2] != self.state.password):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        head, _, answer = self._backend(body).partition(b"\r\n\r\n")
        headers = [line.decode().split(": ", 1) for line in head.split(b"\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def _backend(self, body: bytes) -> bytes:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            "REMOTE_USER": "forge",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=False)
        return done.stdout
