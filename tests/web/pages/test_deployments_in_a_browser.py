"""The pages of deployments in a browser: accessible, usable with the keyboard, up to date."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from chromium import chromium
from service.models import OPERATOR
from tests.support.browser import serious, tab_to, window
from tests.support.deployed import BROKEN, STRICTER, DeployedService, changed, deployed, shared

pytestmark = pytest.mark.browser
PAGE = "/admin/deployments"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def here(tmp_path: Path) -> Iterator[DeployedService]:
    with deployed(tmp_path) as started:
        started.look()
        started.until("synced")
        yield started


def test_deployment_pages_are_accessible_in_all_their_states(here: DeployedService, browser: Browser) -> None:
    here.repository.write_shared("head.mjml", shared("Entête"))
    here.push("A warmer welcome", hello=changed("Salut"), third=changed("Allô"))
    here.service.send("hello", "a@example.com", {"name": "Awa"})
    served = here.newest.id
    control = here.service.services.deployments.deployment_control
    control.hold("other", OPERATOR, revision=None, why="the header is not agreed", until=None)
    control.suspend(OPERATOR, why="invoices go out", until=None)
    here.push("Broken, and stricter", hello=STRICTER, third=BROKEN)
    for language, scheme in (("en", "dark"), ("fr", "light")):
        with window(browser, here.service.url, language=language, scheme=scheme) as page:  # type: ignore[arg-type]
            for place in (PAGE, f"{PAGE}/{served}", f"{PAGE}/{here.newest.id}"):
                page.goto(place)
                assert serious(page) == [], place
                page.set_viewport_size({"width": 320, "height": 700})
                # WCAG 2.2, 1.4.10: at 320 px nothing is beyond the edge.
                assert page.evaluate("document.documentElement.scrollWidth") <= 320, place
                page.set_viewport_size({"width": 1280, "height": 800})


def test_keyboard_alone_rolls_back_and_an_open_page_follows(here: DeployedService, browser: Browser) -> None:
    here.push("Wrong words", hello=changed("Faux"))
    here.until("synced")
    with window(browser, here.service.url) as page:
        page.goto(PAGE)
        tab_to(page, "#back-why")
        page.keyboard.type("wrong words")
        tab_to(page, "form[action$='/rollback'] input[name=sure]")
        page.keyboard.press("Space")
        tab_to(page, "form[action$='/rollback'] button")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("The earlier templates are served")
        expect(page.locator("#deployment-state")).to_contain_text("A hold keeps a revision out")
        here.push("The fix", hello=changed("Juste"))
        expect(page.locator("#deployment-state")).to_contain_text("The fix")
