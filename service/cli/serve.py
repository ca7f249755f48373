"""serve, api, worker: start the processes of the service."""

import asyncio
import shlex
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

import anyio.to_thread
import click
from litestar import Litestar

from service import __version__
from service.bootstrap import Services, build
from service.cli.environment import read_settings
from service.config import runtime
from service.config.settings import Settings
from service.errors import ConfigurationError
from service.web import server
from service.web.app import create_app
from service.web.auth import is_loopback
from service.web.local_socket import local_socket
from service.worker import ABORT_S, DeploymentLoops, Loop, Worker

#: Threads for the work of requests outside the event loop: database reads, large bodies, first renderings.
REQUEST_THREADS = 64
#: How often a worker's main thread checks for a signal to stop.
SIGNAL_LOOK_S = 0.2

#: Rows of templates are compared with what is served after each change, and this often: a write may have failed.
TEMPLATE_ROWS_EVERY_S = 60.0

_address = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
_port = click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 picks a free one.",
)
_smtp_port = click.option(
    "--smtp-port",
    default=0,
    show_default="a free one",
    type=click.IntRange(0, 65535),
    help="SMTP port of the development mailbox, used when SMTP_HOST is not set.",
)


@click.command()
@_address
@_port
@_smtp_port
def serve(host: str, port: int, smtp_port: int) -> None:
    """Run API, pages and worker in one process; without SMTP_HOST also the development mailbox.

    \b
    Example:
      rgz-email serve --host 127.0.0.1 --port 8000
    """
    settings = read_settings()
    _require_closed_port(settings, host)
    services = build(settings, mailbox_port=smtp_port)
    _serve(services, host, port, Worker(services))


@click.command()
@_address
@_port
def api(host: str, port: int) -> None:
    """Run the API and the pages; accepted messages are delivered by a worker.

    \b
    Example:
      rgz-email api --host 0.0.0.0 --port 8000
    """
    settings = read_settings()
    _require_closed_port(settings, host)
    _serve(build(settings, mailbox_port=None), host, port, None)


@click.command()
@_smtp_port
def worker(smtp_port: int) -> None:
    """Run a worker, which delivers the accepted messages.

    \b
    Example:
      rgz-email worker
    """
    settings = read_settings()
    services = build(settings, mailbox_port=smtp_port)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    running = Worker(services, leaves_counts=True)
    deployed = DeploymentLoops(services, "worker")
    runtime.settle()
    running.start()
    deployed.start()
    click.echo("\n".join(["The worker is up.", *_where_mail_goes(services)]), err=True)
    with _freed_memory_given_back():
        # A signal may reach the process through another thread; Python runs its handler when this one next wakes.
        while not stop.wait(SIGNAL_LOOK_S):
            pass
    deployed.stop()
    running.stop()
    deployed.join(ABORT_S)
    services.close()


def _serve(services: Services, host: str, port: int, running: Worker | None) -> None:
    listener = server.bind(host, port)
    port = listener.getsockname()[1]
    with local_socket(services.settings.email_local_socket) as more:
        app = create_app(services, lifespan=beside(services, running), is_port_local=is_loopback(host))
        runtime.settle()
        up = _banner(services, host, port)

        def ready() -> None:
            click.echo(up, err=True)
            services.children.start()  # so that the first template that changes finds the compiler loaded

        with _freed_memory_given_back():
            server.run(app, [listener, *more], on_ready=ready, on_end=app.state.streams.close)


@contextmanager
def _freed_memory_given_back() -> Iterator[None]:
    freed = runtime.FreedMemory()
    loop = Loop("memory", runtime.LOOK_EVERY_S, lambda _stop: freed.give_back())
    loop.start()
    try:
        yield
    finally:
        loop.stop()


def _require_closed_port(settings: Settings, host: str) -> None:
    """Raise ConfigurationError where a port that others reach would be the place of requests without a key."""
    if settings.email_anonymous_scopes and settings.email_local_socket is None and not is_loopback(host):
        raise ConfigurationError(
            [
                f"EMAIL_ANONYMOUS_SCOPES is set, and --host {host} is open to other machines: listen on 127.0.0.1, set"
                " EMAIL_LOCAL_SOCKET for the programs on this machine, or leave EMAIL_ANONYMOUS_SCOPES empty"
            ]
        )


def beside(services: Services, running: Worker | None) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return a lifespan that runs beside the application: the worker, and the watcher of the template directory.

    What is served has its rows in the database.
    """

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
        # Litestar runs handlers that are no coroutines in the loop's own threads, of which there are few otherwise.
        threads = ThreadPoolExecutor(REQUEST_THREADS, thread_name_prefix="request")
        asyncio.get_running_loop().set_default_executor(threads)
        stop = threading.Event()
        watch = threading.Thread(target=services.catalogue.watch, args=(stop,), name="templates", daemon=True)
        deployed = DeploymentLoops(services, "api" if running is None else "serve")
        rows = Loop("template_rows", TEMPLATE_ROWS_EVERY_S, services.templates.current_rows.save, begins_now=True)
        watch.start()
        rows.start()
        deployed.start()
        if running is not None:
            running.start()
        try:
            with services.catalogue.listening(rows.wake), services.catalogue.listening(deployed.wake):
                yield
        finally:
            stop.set()
            rows.stop()
            deployed.stop()
            if running is not None:
                await anyio.to_thread.run_sync(running.stop)
            await anyio.to_thread.run_sync(watch.join)
            await anyio.to_thread.run_sync(rows.join, ABORT_S)
            await anyio.to_thread.run_sync(deployed.join, ABORT_S)
            services.close()

    return lifespan


def _where_mail_goes(services: Services) -> list[str]:
    settings = services.settings
    if settings.smtp_host is not None:
        return [f"Mail goes to {settings.smtp_host}:{settings.smtp_port} (TLS: {settings.tls_mode})."]
    if services.mailbox is None:
        return ["This process accepts messages only; start `rgz-email worker` to deliver them."]
    return ["SMTP_HOST is not set: mail goes to the development mailbox and NOWHERE ELSE."]


def _banner(services: Services, host: str, port: int) -> str:
    settings, entries = services.settings, services.catalogue.current.entries
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    broken = sum(1 for entry in entries.values() if any(item.is_error for item in entry.findings))
    lines = [
        f"rgz-email {__version__} is up.",
        "",
        f"  API        {base}/api/v1/email",
        f"  Templates  {len(entries)} {_where_from(services)}"
        + (f"; {broken} with ERRORS, see /readyz" if broken else ""),
        f"  State      {settings.email_data_dir}",
    ]
    if settings.email_local_socket is not None:
        lines.append(f"  Socket     {settings.email_local_socket}")
    if services.mailbox is not None:
        lines.append(f"  Mailbox    {base}/dev/mailbox/messages")
    token = "" if settings.email_admin_token else f"; token in {settings.email_data_dir / 'admin-token'}"
    lines.append(f"  Admin      {base}/admin{token}")
    lines += ["", *_where_mail_goes(services)]
    if example := _example(services, base):
        lines += ["", "Send a first mail:", "", example]
    return "\n".join(lines) + "\n"


def _where_from(services: Services) -> str:
    snapshot, place = services.catalogue.current, services.catalogue.place
    if services.deployments.syncer is not None:
        commit = f"at {snapshot.commit[:12]}" if snapshot.commit else "nothing is deployed yet"
        return f"of {place}, {commit}; see /admin/deployments"
    empty = "" if snapshot.entries else "; NO MAIL can be sent, set EMAIL_TEMPLATES_DIR"
    return f"in {place}, reloaded on save{empty}"


def _example(services: Services, base: str) -> str:
    """A curl command that works as it is, for a template that needs no attachment."""
    for key, entry in services.catalogue.current.entries.items():
        template = entry.template
        if template is None or not template.examples or template.manifest.attachments.required:
            continue
        body = services.previewer.example_request(key, to="first@example.com")
        needs_key = "" if services.api_keys.anonymous() else ' -H "Authorization: Bearer $KEY"'
        return f"  curl -X POST {base}/api/v1/email/send{needs_key} -d {shlex.quote(body)}"
    return ""
