"""Our mails in a browser: width, contrast, sizes. Without Chromium these tests fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Page, Route

from chromium import chromium
from service.models import Rendered
from service.templates.catalogue import Snapshot
from service.templates.mails import Mail
from tests.support.every_mail import MAILS

pytestmark = pytest.mark.browser

#: WCAG 2.2, success criterion 1.4.3 (AA): text against what is behind it.
CONTRAST = 4.5

#: For each element that holds text of its own: its words, and the contrast of its colour with the first opaque
#: background behind it (WCAG 2.2, "relative luminance"). The invisible preheader is left out.
CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = c => c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.body.querySelectorAll('*')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().height > 1)
    .map(e => {
      const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
      return [e.textContent.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
}"""

each_mail = pytest.mark.parametrize("mail", MAILS, ids=str)


class Window:
    """One browser window for all tests, because a new one costs more than all that is looked at in it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._asked: list[str] = []
        page.route("**/*", self._refuse)

    def _refuse(self, route: Route) -> None:
        self._asked.append(route.request.url)
        route.abort()

    @contextmanager
    def showing(self, html: str, width_px: int, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
        """The mail, and nothing else. It fails when anything asks for the network."""
        self._asked.clear()
        self._page.set_viewport_size({"width": width_px, "height": 600})
        self._page.emulate_media(color_scheme=scheme)
        self._page.set_content(html)
        yield self._page
        assert self._asked == []


@pytest.fixture(scope="module")  # not longer: a process has one open Playwright at a time
def window() -> Iterator[Window]:
    with chromium() as browser:
        yield Window(browser.new_page())


@each_mail
def test_mail_fits_a_narrow_screen(mail: Mail, window: Window, render: Callable[[Mail], Rendered]) -> None:
    with window.showing(render(mail).html, 320) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


@each_mail
def test_mail_is_at_most_600_px_wide(mail: Mail, window: Window, render: Callable[[Mail], Rendered]) -> None:
    with window.showing(render(mail).html, 1200) as page:
        assert page.locator(".card").bounding_box()["width"] == 600  # type: ignore[index]  # it is there


@each_mail
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_mail_has_readable_contrast(
    mail: Mail, scheme: Literal["light", "dark"], window: Window, render: Callable[[Mail], Rendered]
) -> None:
    with window.showing(render(mail).html, 700, scheme) as page:
        contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) >= 10
    assert [(words, round(ratio, 2)) for words, ratio in contrasts if ratio < CONTRAST] == []


@each_mail
def test_mail_is_dark_for_readers_who_want_it_dark(
    mail: Mail, window: Window, render: Callable[[Mail], Rendered]
) -> None:
    with window.showing(render(mail).html, 700, "dark") as page:
        for place in ("document.body", "document.querySelector('.card')"):
            colour = page.evaluate(f"getComputedStyle({place}).backgroundColor")
            assert max(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) < 64


@each_mail
@pytest.mark.parametrize("width_px", [320, 700])
def test_mail_has_one_button_at_most_and_a_thumb_can_hit_it(
    mail: Mail, width_px: int, window: Window, render: Callable[[Mail], Rendered]
) -> None:
    # 44 px: WCAG 2.2, success criterion 2.5.5.
    with window.showing(render(mail).html, width_px) as page:
        buttons = page.locator(".call a").all()
        assert len(buttons) <= 1
        for button in buttons:
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["width"] >= 44


@pytest.mark.parametrize("width_px", [320, 700])
@pytest.mark.parametrize(("done", "total"), [(0, 40), (1, 40), (10, 40), (26, 40), (39, 40), (40, 40), (1, 3), (5, 4)])
def test_progress_bar_is_filled_as_far_as_the_checklist(
    done: int, total: int, width_px: int, window: Window, catalogue: Snapshot
) -> None:
    template = catalogue.get("cutover_reminder")
    values = {**template.examples["default"], "items_done": done, "items_total": total}
    with window.showing(template.render(values).html, width_px) as page:
        filled, left = (
            sum(cell.bounding_box()["width"] for cell in page.locator(name).all())  # type: ignore[index,misc]
            for name in (".done", ".rest")
        )
        assert filled + left == pytest.approx(
            page.locator(".progress >> nth=0").evaluate("e => e.closest('table').offsetWidth"), abs=1
        )
    # Shares are whole percents, cells whole pixels.
    assert filled / (filled + left) == pytest.approx(min(done / total, 1), abs=0.01)


def test_window_notices_a_mail_that_fetches(window: Window) -> None:
    with pytest.raises(AssertionError), window.showing('<img src="https://tracker.example/pixel.png">', 320) as page:
        page.wait_for_load_state("load")
