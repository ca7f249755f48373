"""Screenshots of the mails: each example, rendered by the service and shown by a real browser.

One PNG for each view: wide (700 px), narrow (320 px), and both of them dark. Nothing is fetched: a mail with a remote
resource ends the command with an error.
"""

import argparse
import base64
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Route, ViewportSize

from chromium import chromium
from picture_pages import PAGES, page_pictures
from service.config.settings import Settings
from service.errors import EmailServiceError
from service.templates.build_tools import render_limits
from service.templates.catalogue import Snapshot
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.isolated_compiler import compiler_of_its_own
from service.templates.site_values import SiteValues

HOME = Path(__file__).resolve().parent.parent

#: For the same colours and glyph edges on every machine.
RENDERING_FLAGS = (
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
    """A browser window: its width in CSS pixels, and the colour scheme that it prefers."""

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
    """Write the pictures and print their names. Exit status: 0; 1 with an error on standard error."""
    wanted = arguments()
    values = SiteValues(values={"phone": "+229 01 23 45 67 89"})  # as in snapshots
    with compiler_of_its_own(render_limits(Settings()), values) as compiler:
        snapshot = DirectoryCatalogue(wanted.templates, compiler=compiler).load()
    try:
        with chromium(RENDERING_FLAGS) as browser:
            for file in taken(snapshot, browser, wanted):
                print(file)
    except (EmailServiceError, FileNotFoundError, PictureError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def taken(snapshot: Snapshot, browser: Browser, wanted: argparse.Namespace) -> Iterator[Path]:
    """Take the pictures of the mails, those of the documents, or those of the service's pages; yields each file."""
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


class PictureError(Exception):
    """A picture can't be taken; the message says why."""


def pictures(snapshot: Snapshot, browser: Browser, wanted: argparse.Namespace) -> Iterator[Path]:
    """Take the pictures of the chosen mails; yields each file once it is written."""
    wanted.out.mkdir(parents=True, exist_ok=True)
    for key in wanted.keys or sorted(snapshot.entries):
        for locale, example, html in mails(snapshot, key, wanted.example):
            for view in VIEWS:
                file = wanted.out / f"{key}.{locale}.{example}.{view.name}.png"
                file.write_bytes(shot(browser, html, view))
                yield file


def mails(snapshot: Snapshot, key: str, only: str | None = None) -> Iterator[tuple[str, str, str]]:
    """(locale, example, HTML) of each example of a template. Raises PictureError for an unknown key or example."""
    if key not in snapshot.entries:
        raise PictureError(f"there is no template {key!r} (there are: {', '.join(sorted(snapshot.entries))})")
    template = snapshot.get(key)
    if only is not None and only not in template.examples:
        raise PictureError(f"{key} has no example {only!r} (it has: {', '.join(sorted(template.examples))})")
    for locale in template.locales:
        for example, variables in sorted(template.examples.items()):
            if only in (None, example):
                yield locale, example, template.render(variables, locale=locale).html


def shot(browser: Browser, html: str, view: View, height_px: int | None = None) -> bytes:
    """A PNG of the whole mail, or of its first `height_px`. Raises PictureError where the mail fetches anything."""
    requested: list[str] = []

    def refuse(route: Route) -> None:
        requested.append(route.request.url)
        route.abort()

    size: ViewportSize = {"width": view.width_px, "height": height_px or 400}
    page = browser.new_page(viewport=size, color_scheme=view.scheme, java_script_enabled=False)
    try:
        page.route("**/*", refuse)
        page.set_content(html)
        picture = page.screenshot(full_page=height_px is None)
    finally:
        page.close()
    if requested:
        raise PictureError(f"the mail asks for {', '.join(requested)}")
    return picture


#: The README's picture, from left to right: (template, view).
README_MAILS = (
    ("billing_invoice_monthly", View("wide", 660)),
    ("incident_alert_critical", View("phone-dark", 360, "dark")),
    ("cutover_reminder", View("phone", 360)),
)
README_PAGES = ("overview", "messages", "message", "mailbox", "templates", "editor")
README_HEIGHT_PX = 790
README_GAP_PX = 24


def readme_picture(snapshot: Snapshot, browser: Browser) -> Iterator[Path]:
    """Take three mails side by side, as scripts/pictures/mails.png."""
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
