"""The pages of previews in a browser: accessible, usable with the keyboard, live."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from chromium import chromium
from tests.support.browser import serious, tab_to, window
from tests.support.checkouts import MAIL
from tests.support.deployed import STRICTER, DeployedService, changed, deployed

pytestmark = pytest.mark.browser
PAGE = "/admin/previews"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedService]:
    directory: Path = tmp_path_factory.mktemp("previews")
    with deployed(directory, email_templates_previews="refs/pull/*/head") as started:
        started.look()
        started.until("synced")
        started.repository.propose(7, "Say salut", hello=changed("Salut", STRICTER), third=changed("Trois"))
        started.repository.propose(8, "Broken", hello=MAIL.replace("</mj-text>", ""), other=None)
        started.look_at_previews()
        yield started


def test_preview_pages_are_accessible_in_all_their_states(here: DeployedService, browser: Browser) -> None:
    with here.service.key("deployer", "deploy") as deployer:
        link = deployer.post("/api/v1/email/previews/pr-7/link").raise_for_status().json()["url"]
    places = (PAGE, f"{PAGE}/pr-7?width=narrow&scheme=dark", f"{PAGE}/pr-8", "/previews/" + link.rpartition("/")[2])
    for language, scheme in (("en", "dark"), ("fr", "light")):
        with window(browser, here.service.url, language=language, scheme=scheme) as page:  # type: ignore[arg-type]
            for place in places:
                page.goto(place)
                assert serious(page) == [], place
                page.set_viewport_size({"width": 320, "height": 700})
                # WCAG 2.2, 1.4.10: at 320 px nothing is beyond the edge.
                assert page.evaluate("document.documentElement.scrollWidth") <= 320, place
                page.set_viewport_size({"width": 1280, "height": 800})


def test_keyboard_alone_changes_values_and_both_mails_follow(here: DeployedService, browser: Browser) -> None:
    with window(browser, here.service.url) as page:
        page.goto(f"{PAGE}/pr-7")
        before, after = (page.frame_locator(f"#both iframe[src*='side={side}']") for side in ("before", "after"))
        expect(after.get_by_text("Salut Zoé, 7")).to_be_visible()
        tab_to(page, "#v-name")
        page.keyboard.press("Control+A")
        page.keyboard.type("Awa")
        expect(before.get_by_text("Bonjour Awa, 7")).to_be_visible()
        expect(after.get_by_text("Salut Awa, 7")).to_be_visible()
        assert page.evaluate("document.activeElement.id") == "v-name"
        tab_to(page, "#to")
        page.keyboard.type("keyboard@example.com")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("keyboard@example.com")
    found = here.service.admin.get("/api/v1/email/messages", params={"to": "keyboard@example.com"}).json()["items"]
    html = here.service.admin.get(f"/api/v1/email/messages/{found[0]['id']}/html").text
    assert "Salut Awa, 7" in html
