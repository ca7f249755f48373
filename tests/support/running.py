"""Run the whole service inside a test: real HTTP, real SMTP, a real database."""

import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx

from service.bootstrap import Services, build
from service.cli.serve import beside
from service.config.settings import Settings
from service.store.database import Transaction
from service.web import server
from service.web.app import create_app
from service.web.local_socket import local_socket
from service.worker import INDEX_EVERY_S, Worker
from tests.support.paths import TEMPLATES
from tests.support.samples import PHONE

T = TypeVar("T")

ADMIN_TOKEN = "admin-token-of-the-tests-0123"

#: Trusts nobody: for clients that speak HTTP alone. To load all authorities takes longer than most requests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def plain_client(url: str, **headers: str) -> httpx.Client:
    """A client of a service on this machine, by HTTP without TLS."""
    return httpx.Client(base_url=url, headers=headers, timeout=30, verify=NO_TLS)


class Running:
    """A running service; `client` calls it from this machine, `admin` with the admin token."""

    def __init__(self, services: Services, port: int) -> None:
        self.services = services
        self.url = f"http://127.0.0.1:{port}"
        self.client = plain_client(self.url)
        self.admin = plain_client(self.url, Authorization=f"Bearer {ADMIN_TOKEN}")

    def send(self, key: str, to: str, variables: Mapping[str, Any], **more: Any) -> httpx.Response:
        body = {"to": to, "template_key": key, "variables": dict(variables), **more}
        return self.client.post("/api/v1/email/send", json=body)

    def key(self, name: str, *scopes: str) -> httpx.Client:
        """A client with a new API key of these scopes."""
        from service.models import Scope

        _, text = self.services.api_keys.create(name, [Scope(scope) for scope in scopes], self.services.clock())
        return plain_client(self.url, Authorization=f"Bearer {text}")

    def mails(self, to: str, *, wait_s: float = 20) -> list[dict[str, Any]]:
        """Mails to `to` in the development mailbox; waits for the first one."""
        answer = self.client.get("/dev/mailbox/messages", params={"to": to, "wait_s": wait_s})
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return items

    def raw(self, mail_id: str) -> bytes:
        return self.client.get(f"/dev/mailbox/messages/{mail_id}/raw").raise_for_status().content

    def message(self, message_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.admin.get(f"/api/v1/email/messages/{message_id}").raise_for_status().json()
        return answer

    def until(self, message_id: str, status: str) -> dict[str, Any]:
        """Wait until the message has this status, and return it."""
        return eventually(lambda: self.message(message_id), lambda found: found["status"] == status)

    def close(self) -> None:
        self.client.close()
        self.admin.close()


def eventually(look: Callable[[], T], good: Callable[[T], object], *, within_s: float = 20) -> T:
    """Call `look` until its result is `good`, and return that; fails with the last result."""
    end = time.monotonic() + within_s
    seen = look()
    while not good(seen):
        assert time.monotonic() < end, f"not within {within_s} s; last seen: {seen}"
        time.sleep(0.02)
        seen = look()
    return seen


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """The compile cache of this test process, shared by all tests that do not change templates."""
    return tempfile.TemporaryDirectory(prefix="rgz-compiled-")


def data_directory(directory: Path) -> Path:
    """A new EMAIL_DATA_DIR with the shared compile cache."""
    state = directory / "state"
    if not state.exists():
        state.mkdir(mode=0o700)
        (state / "compiled").symlink_to(_compiled().name)
    return state


def settings_for(directory: Path, **changes: Any) -> Settings:
    """Settings with all state below `directory`; callers on this machine may send and read without a key."""
    return Settings().with_changes(
        **{
            "email_data_dir": data_directory(directory),
            "email_templates_dir": TEMPLATES,
            "email_admin_token": ADMIN_TOKEN,
            "email_anonymous_scopes": "send,read",
            "email_site_phone": PHONE,
            **changes,
        }
    )


@contextmanager
def running(
    settings: Settings, *, works: bool = True, index_every_s: float = INDEX_EVERY_S, **parts: Any
) -> Iterator[Running]:
    """Serve these settings on a free port, with a worker unless `works` is False; `parts` are keywords of `build`."""
    services = build(settings, **parts)
    listener = server.bind("127.0.0.1", 0)
    ready = threading.Event()
    app = create_app(
        services, lifespan=beside(services, Worker(services, index_every_s=index_every_s) if works else None)
    )
    serving = server.server_of(app, on_ready=ready.set, on_end=app.state.streams.close)
    with local_socket(settings.email_local_socket) as more:
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener, *more]}, name="http")
        thread.start()
        assert ready.wait(20), "the service did not start"
        service = Running(services, listener.getsockname()[1])
        try:
            yield service
        finally:
            service.close()
            serving.should_exit = True
            thread.join(20)
            listener.close()
            assert not thread.is_alive(), "the service did not end"


@contextmanager
def held(service: Running, at_end: Callable[[Transaction], object] = lambda _tx: None) -> Iterator[None]:
    """Hold the database's writer inside the block; its transaction ends with `at_end`."""
    begun, go = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        assert go.wait(30)
        at_end(tx)

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.services.database.write, work)
        assert begun.wait(30)
        try:
            yield
        finally:
            go.set()
        answer.result(30)
