"""Screenshots of the service's pages: a temporary service with mails of all examples, shown by a real browser."""

import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from http_server import served
from service.bootstrap import Services, build
from service.config.settings import Settings
from service.messages.search import MessageFilter
from service.models import Caller, Scope, Status
from service.models.requests import SendRequest
from service.worker import Worker

TOKEN = "token-of-the-pictures"  # noqa: S105  # of a service that lives as long as the pictures take
WIDTH_PX, HEIGHT_PX = 1200, 750
#: Recipients of the examples; the development mailbox bounces mail to `bounce@`.
RECIPIENTS = ("compta@techconnect.bj", "direction@techconnect.bj", "bounce@nadianet.bj", "noc@rgz.bj")
#: The path of each picture's page; from `message` and `mailbox` the first link of the table is followed.
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
_FIRST_LINK = {"message": "table.rows td:nth-child(2) a", "mailbox": "#mails td:nth-child(2) a"}
_DELIVERY_TIMEOUT_S = 30.0


def page_pictures(browser: Browser, out: Path, names: Iterable[str]) -> Iterator[Path]:
    """Take the named ones of PAGES, as `pages-NAME.png`; yields each file once it is written."""
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
            _show(page, PAGES[name], _FIRST_LINK.get(name))
            file = out / f"pages-{name}.png"
            file.write_bytes(page.screenshot())
            yield file
        context.close()


def _show(page: Page, path: str, first_link: str | None) -> None:
    page.goto(path)
    if first_link is not None:
        page.locator(first_link).first.click()
        page.locator("iframe.mail").wait_for()
    for frame in page.frames:
        frame.wait_for_load_state()
    page.wait_for_timeout(500)  # the mails in frames are painted late


def _send_examples(services: Services) -> None:
    """Send each example that needs no file to every recipient, and wait until none is queued (30 s at most)."""
    admin = Caller("admin", "admin", frozenset({Scope.ADMIN}))
    for key, entry in services.catalogue.current.entries.items():
        if entry.template is None or entry.template.manifest.attachments.required:
            continue
        for recipient in RECIPIENTS:
            body = json.loads(services.previewer.example_request(key, to=recipient))
            services.sending.acceptor.send(SendRequest(**body), admin)
    deadline_s = time.monotonic() + _DELIVERY_TIMEOUT_S
    while (
        services.messages.message_search.search(MessageFilter(status=Status.QUEUED)).items
        and time.monotonic() < deadline_s
    ):
        time.sleep(0.1)


@contextmanager
def _serving() -> Iterator[tuple[Services, str]]:
    """Services with a worker and an empty database, and the URL that they are served at."""
    with tempfile.TemporaryDirectory(prefix="rgz-pictures-") as directory:
        settings = Settings().with_changes(email_data_dir=Path(directory), email_admin_token=TOKEN)
        with closing(build(settings)) as services, served(services) as port:
            worker = Worker(services)
            worker.start()
            try:
                yield services, f"http://127.0.0.1:{port}"
            finally:
                worker.stop()
