"""Pictures of the service's own pages: a service of its own, mails made of the examples, a real browser."""

import json
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from service.bootstrap import Services, build
from service.config.settings import Settings
from service.models import Caller, Scope, Status
from service.models.requests import SendRequest
from service.web import server
from service.web.app import create_app
from service.worker import Worker

TOKEN = "token-of-the-pictures"  # noqa: S105  # of a service that lives as long as the pictures take
WIDTH_PX, HEIGHT_PX = 1200, 750
#: Who gets the examples; one of them does not take mail.
RECIPIENTS = ("compta@techconnect.bj", "direction@techconnect.bj", "bounce@nadianet.bj", "noc@rgz.bj")
#: Where each picture is taken; `message` and `mail` lead to the newest one.
PAGES = {
    "overview": "/admin",
    "messages": "/admin/messages",
    "message": "/admin/messages?to=compta@techconnect.bj&template_key=cutover_reminder",
    "templates": "/admin/templates",
    "template": "/admin/templates/sla_report_monthly?scheme=dark",
    "editor": "/admin/templates/billing_invoice_monthly/edit",
    "mailbox": "/admin/mailbox",
    "api": "/docs#post_api_v1_email_send",
}
_FOLLOWED = {"message": "table.rows td:nth-child(2) a", "mailbox": "#mails td:nth-child(2) a"}
_SETTLED_S = 30.0


def page_pictures(browser: Browser, out: Path, names: Iterable[str]) -> Iterator[Path]:
    """Takes these of PAGES, as `pages-NAME.png`; yields each once it is written."""
    out.mkdir(parents=True, exist_ok=True)
    with _serving() as (services, url):
        _send_examples(services)
        context = browser.new_context(
            base_url=url, viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, locale="en", reduced_motion="reduce"
        )
        page = context.new_page()
        page.goto("/admin/sign-in")
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_url("**/admin")
        for name in names:
            _show(page, PAGES[name], _FOLLOWED.get(name))
            file = out / f"pages-{name}.png"
            file.write_bytes(page.screenshot())
            yield file
        context.close()


def _show(page: Page, place: str, follow: str | None) -> None:
    page.goto(place)
    if follow is not None:
        page.locator(follow).first.click()
        page.locator("iframe.mail").wait_for()
    for frame in page.frames:
        frame.wait_for_load_state()
    page.wait_for_timeout(500)  # pictures in frames that are drawn late


def _send_examples(services: Services) -> None:
    """Each example that needs no file, to everybody; then whatever becomes of them."""
    admin = Caller("admin", "admin", frozenset({Scope.ADMIN}))
    for key, entry in services.catalogue.current.entries.items():
        if entry.template is None or entry.template.manifest.attachments.required:
            continue
        for recipient in RECIPIENTS:
            body = json.loads(services.previewer.example_request(key, to=recipient))
            services.sending.acceptor.send(SendRequest(**body), admin)
    until = time.monotonic() + _SETTLED_S
    while services.messages.message_search.search(status=Status.QUEUED).items and time.monotonic() < until:
        time.sleep(0.1)


@contextmanager
def _serving() -> Iterator[tuple[Services, str]]:
    with tempfile.TemporaryDirectory(prefix="rgz-pictures-") as directory:
        settings = Settings().with_changes(email_data_dir=Path(directory), email_admin_token=TOKEN)
        services = build(settings)
        listener = server.bind("127.0.0.1", 0)
        ready = threading.Event()
        app = create_app(services)
        serving = server.server_of(app, on_ready=ready.set, on_end=app.state.streams.close)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]})
        worker = Worker(services)
        thread.start()
        worker.start()
        ready.wait()
        try:
            yield services, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            worker.stop()
            serving.should_exit = True
            thread.join()
            services.close()
