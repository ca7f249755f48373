"""Pictures of the mails: each example rendered by the service's own pipeline, seen by a real browser.

One PNG for each view: wide (700 px), narrow (320 px), and both of them dark. Nothing is fetched: a mail that asks for
something from the network ends the command with an error.
"""

import argparse
import base64
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from picture_pages import PAGES, page_pictures
from playwright.sync_api import Browser, Route, ViewportSize, sync_playwright

from service.config.settings import Settings
from service.errors import EmailServiceError
from service.templates.build import render_limits
from service.templates.catalogue import Catalogue, Snapshot

HOME = Path(__file__).resolve().parent.parent

#: Headless, quiet, and the same colours and glyph edges on every machine.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
    "--disable-lcd-text",
    "--disable-font-subpixel-positioning",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


@dataclass(frozen=True)
class View:
    """A window: its width in CSS pixels and the reader's colour scheme."""

    name: str
    width_px: int
    scheme: Literal["light", "dark"] = "light"


VIEWS = (
    View("wide", 700),
    View("narrow", 320),
    View("wide-dark", 700, "dark"),
    View("narrow-dark", 320, "dark"),
)


def main() -> int:
    """Exit status: 0, or 1 with a sentence on standard error."""
    wanted = arguments()
    snapshot = Catalogue(wanted.templates, limits=render_limits(Settings())).load()
    try:
        with chromium() as browser:
            for file in taken(snapshot, browser, wanted):
                print(file)
    except (EmailServiceError, Unseen) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def taken(snapshot: Snapshot, browser: Browser, wanted: argparse.Namespace) -> Iterator[Path]:
    """What was asked for: the mails, the README's pictures, or the service's pages."""
    if wanted.readme:
        yield from readme_picture(snapshot, browser)
        yield from page_pictures(browser, HOME / "scripts" / "pictures", README_PAGES)
    elif wanted.pages:
        yield from page_pictures(browser, wanted.out, PAGES)
    else:
        yield from pictures(snapshot, browser, wanted)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/picture",
        description="Take pictures of the mails: wide, narrow, and both dark.",
        epilog="Example: scripts/picture billing_invoice_monthly --out var/pictures",
    )
    parser.add_argument("keys", metavar="KEY", nargs="*", help="templates (default: all)")
    parser.add_argument("--example", help="only this example")
    parser.add_argument("--out", type=Path, default=HOME / "var" / "pictures", help="directory (default: var/pictures)")
    parser.add_argument("--templates", type=Path, default=HOME / "email_templates", help="directory of the templates")
    parser.add_argument("--readme", action="store_true", help="make the README's pictures instead")
    parser.add_argument("--pages", action="store_true", help="take the service's own pages instead")
    return parser.parse_args()


class Unseen(Exception):
    """A picture can't be taken."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The installed Chromium, headless. Raises Unseen where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise Unseen("no Chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def pictures(snapshot: Snapshot, browser: Browser, wanted: argparse.Namespace) -> Iterator[Path]:
    """Take all wanted pictures; yields each file once it is written."""
    wanted.out.mkdir(parents=True, exist_ok=True)
    for key in wanted.keys or sorted(snapshot.entries):
        for locale, example, html in mails(snapshot, key, wanted.example):
            for view in VIEWS:
                file = wanted.out / f"{key}.{locale}.{example}.{view.name}.png"
                file.write_bytes(shot(browser, html, view))
                yield file


def mails(snapshot: Snapshot, key: str, only: str | None = None) -> Iterator[tuple[str, str, str]]:
    """(locale, example, HTML) of each example of a template. Raises Unseen for an unknown key or example."""
    if key not in snapshot.entries:
        raise Unseen(f"there is no template {key!r} (there are: {', '.join(sorted(snapshot.entries))})")
    template = snapshot.get(key)
    if only is not None and only not in template.examples:
        raise Unseen(f"{key} has no example {only!r} (it has: {', '.join(sorted(template.examples))})")
    for locale in template.locales:
        for example, variables in sorted(template.examples.items()):
            if only in (None, example):
                yield locale, example, template.render(variables, locale=locale).html


def shot(browser: Browser, html: str, view: View, height_px: int | None = None) -> bytes:
    """A PNG of the whole mail, or of its first `height_px`. Raises Unseen where the mail asks for the network."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    size: ViewportSize = {"width": view.width_px, "height": height_px or 400}
    page = browser.new_page(viewport=size, color_scheme=view.scheme, java_script_enabled=False)
    try:
        page.route("**/*", refuse)
        page.set_content(html)
        picture = page.screenshot(full_page=height_px is None)
    finally:
        page.close()
    if asked:
        raise Unseen(f"the mail asks for {', '.join(asked)}")
    return picture


#: What the README shows, side by side: (template, view).
README_MAILS = (
    ("billing_invoice_monthly", View("wide", 660)),
    ("incident_alert_critical", View("phone-dark", 360, "dark")),
    ("cutover_reminder", View("phone", 360)),
)
README_PAGES = ("overview", "messages", "message", "mailbox", "templates", "editor")
README_HEIGHT_PX = 790
README_GAP_PX = 24


def readme_picture(snapshot: Snapshot, browser: Browser) -> Iterator[Path]:
    """Three mails beside each other, as scripts/pictures/mails.png."""
    shots = []
    for key, view in README_MAILS:
        ((_, _, html),) = mails(snapshot, key, "default")
        shots.append(base64.b64encode(shot(browser, html, view, README_HEIGHT_PX)).decode())
    images = "".join(f'<img src="data:image/png;base64,{data}" alt="">' for data in shots)
    style = f"margin:0;padding:{README_GAP_PX}px;display:flex;gap:{README_GAP_PX}px;background:#c9d2cb"
    width_px = sum(view.width_px for _, view in README_MAILS) + README_GAP_PX * (len(README_MAILS) + 1)
    page = browser.new_page(viewport={"width": width_px, "height": README_HEIGHT_PX + 2 * README_GAP_PX})
    page.set_content(f'<body style="{style}">{images}</body>')
    file = HOME / "scripts" / "pictures" / "mails.png"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(page.screenshot())
    page.close()
    yield file


if __name__ == "__main__":
    sys.exit(main())
