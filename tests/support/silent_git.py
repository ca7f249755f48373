"""A git server that hangs: it lists a branch, begins a pack, and then says nothing more."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from typing_extensions import override


@dataclass(frozen=True)
class SilentGit:
    """The server's URL; `has_begun` is set once a pack has begun."""

    url: str
    has_begun: threading.Event = field(default_factory=threading.Event)


@contextmanager
def silent_git() -> Iterator[SilentGit]:
    """The server, while the block runs."""
    begun = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        @override
        def handle(self) -> None:
            line = b"a" * 40 + b" refs/heads/main\0side-band-64k ofs-delta shallow\n"
            said = b""
            self.request.sendall(f"{len(line) + 4:04x}".encode() + line + b"0000")
            while b"done\n" not in said:
                if not (piece := self.request.recv(4_096)):
                    return
                said += piece
                if said.endswith(b"0000") and b"deepen" in said:
                    self.request.sendall(b"0034shallow " + b"a" * 40 + b"0000")
            pack = b"\x01PACK\0\0\0\x02\0\0\0\x05"
            self.request.sendall(b"0008NAK\n" + f"{len(pack) + 4:04x}".encode() + pack)
            begun.set()
            self.request.recv(1)  # until the client has gone

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield SilentGit(f"git://127.0.0.1:{server.server_address[1]}/x.git", begun)
        finally:
            server.shutdown()
            thread.join()
