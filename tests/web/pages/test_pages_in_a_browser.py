"""The pages in a browser: accessibility, keyboard alone, no script, hostile mail."""

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from chromium import chromium
from service.models import Caller, Scope
from service.models.requests import SuppressionRequest
from tests.support.browser import serious, sign_in, tab_to, window
from tests.support.foreign_mail import foreign_mail
from tests.support.running import ADMIN_TOKEN, Running
from tests.support.samples import WELCOME
from tests.support.sends import send_invoice

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def places(service: Running) -> list[str]:
    """Every page, with something to see on it."""
    message_id = send_invoice(service, "seen@example.com")["messages"][0]["id"]
    service.until(message_id, "sent")
    bounced = service.send("onboarding_welcome", "bounce@example.com", WELCOME).json()["messages"][0]["id"]
    service.until(bounced, "bounced")
    mail = service.services.require_mailbox().keep("me@example.com", ["you@example.com"], foreign_mail().as_bytes())
    caller = Caller("admin", "admin", frozenset({Scope.ADMIN}))
    service.services.recipients.suppressions.add(
        SuppressionRequest(address="blocked@example.com"), caller, source="api"
    )
    message, mailbox = f"/admin/messages/{message_id}", f"/admin/mailbox/{mail}"
    return [
        "/admin",
        "/admin/messages",
        "/admin/messages?to=nobody",
        message,
        f"{message}?view=raw",
        f"/admin/messages/{bounced}",
        "/admin/recipients/seen@example.com",
        "/admin/recipients/blocked@example.com",
        "/admin/suppressions",
        "/admin/actions",
        "/admin/sessions",
        "/admin/deployments",
        "/admin/mailbox",
        mailbox,
        f"{mailbox}?view=check",
        f"{mailbox}?view=headers",
        "/admin/templates",
        "/admin/templates/onboarding_welcome",
        "/docs#post_api_v1_email_send",
        "/admin/nothing",
    ]


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
def test_pages_are_all_accessible(
    service: Running, browser: Browser, places: list[str], language: str, scheme: Literal["light", "dark"]
) -> None:
    with window(browser, service.url, language=language, scheme=scheme, is_signed_in=False) as page:
        page.goto("/admin/sign-in")
        assert serious(page) == []
        sign_in(page)
        found = {}
        for place in places:
            page.goto(place)
            found[place] = serious(page)
            page.set_viewport_size({"width": 320, "height": 700})
            # WCAG 2.2, 1.4.10: at 320 px nothing is beyond the edge.
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, place
            page.set_viewport_size({"width": 1280, "height": 800})
        assert {place: problems for place, problems in found.items() if problems} == {}
        assert page.evaluate("document.documentElement.lang") == language


def test_keyboard_alone_finds_reads_and_resends_a_message(service: Running, browser: Browser) -> None:
    address = "keyboard@example.com"
    service.send("onboarding_welcome", address, WELCOME)
    service.send("onboarding_welcome", address, WELCOME)
    with window(browser, service.url, is_signed_in=False) as page:
        page.goto("/admin/messages")
        page.keyboard.type(ADMIN_TOKEN)  # the field has the focus
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/messages")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        tab_to(page, "#to")
        page.keyboard.type(address)
        page.keyboard.press("Enter")
        expect(page.locator("#found")).to_have_text("2 messages")
        tab_to(page, "table.rows td:nth-child(2) a")
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/messages/*-*")
        expect(page.frame_locator("iframe.mail").locator("body")).to_contain_text("Tech")
        tab_to(page, "form[action$='/resend'] button")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Sent again")
        page.goto(f"/admin/messages?to={address}")
        expect(page.locator("#found")).to_have_text("3 messages")
        tab_to(page, "form[action='/admin/sign-out'] button")
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/sign-in")


def test_pages_work_before_any_script_has_run(service: Running, browser: Browser) -> None:
    address = "scriptless@example.com"
    message_id = service.send("onboarding_welcome", address, WELCOME).json()["messages"][0]["id"]
    with window(browser, service.url, scripts=False) as page:
        page.goto("/admin/messages")
        page.fill("#to", address)
        page.click("form[role=search] button")
        page.click(f"a[href$='{message_id}']")
        page.click("text=Send again")
        expect(page.get_by_role("status")).to_contain_text("Sent again")
        page.click("text=Français")
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        page.click("text=Sombre")
        expect(page.locator("html")).to_have_attribute("data-scheme", "dark")
        page.click("text=Se déconnecter")
        page.wait_for_url("**/admin/sign-in")


def test_hostile_mail_stays_in_its_frame(service: Running, browser: Browser) -> None:
    mail = service.services.require_mailbox().keep("me@example.com", ["you@example.com"], foreign_mail().as_bytes())
    with window(browser, service.url) as page:
        page.goto(f"/admin/mailbox/{mail}")
        frame = page.frame_locator("iframe.mail")
        expect(frame.locator("a").first).to_have_attribute("href", "https://example.com/a?b=1&c=2")
        assert page.evaluate("document.querySelector('iframe.mail').contentDocument") is None  # another origin
        for view in ("text", "check", "links", "headers", "raw"):
            page.goto(f"/admin/mailbox/{mail}?view={view}")
            assert page.locator("main script, main form, main img").count() == 0
        page.goto(f"/admin/mailbox/{mail}/frame")  # by itself, too
        assert page.evaluate("origin") == "null"


def test_pictures_from_elsewhere_are_fetched_only_when_asked_for(service: Running, browser: Browser) -> None:
    mail = service.services.require_mailbox().keep("me@example.com", ["you@example.com"], foreign_mail().as_bytes())
    asked: list[str] = []
    context = browser.new_context(base_url=service.url)
    context.on("request", lambda request: asked.append(request.url) if "e.example" in request.url else None)
    context.route("https://e.example/**", lambda route: route.abort())
    page = context.new_page()
    sign_in(page)
    page.goto(f"/admin/mailbox/{mail}")
    expect(page.frame_locator("iframe.mail").locator("a").first).to_be_visible()
    assert asked == []
    with page.expect_request("https://e.example/**"):
        page.click("text=Load them")
    context.close()
    assert asked == ["https://e.example/p.gif"]


def test_pages_that_are_open_update(service: Running, browser: Browser) -> None:
    with window(browser, service.url) as page:
        page.goto("/admin/mailbox?to=alive@browser.example")
        expect(page.locator("#mails")).to_contain_text("No mail yet")
        service.send("onboarding_welcome", "alive@browser.example", WELCOME)
        expect(page.locator("#mails a")).to_have_count(1)
        page.goto("/admin")
        before = page.locator("#overview-figures > .note").inner_text()
        expect(page.locator("#overview-figures > .note")).not_to_have_text(before)


def test_docs_page_tries_an_operation(service: Running, browser: Browser) -> None:
    with window(browser, service.url, is_signed_in=False) as page:
        page.goto("/docs#post_api_v1_email_send")
        page.fill("#key", ADMIN_TOKEN)
        form = page.locator("#post_api_v1_email_send [data-try]")
        form.get_by_role("button").click()
        expect(form.locator("[data-answer]")).to_contain_text("HTTP 201")
