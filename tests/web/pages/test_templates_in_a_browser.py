"""The template pages in a browser: accessibility, keyboard alone, no script, hostile mail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from chromium import chromium
from tests.support.browser import serious, tab_to, window
from tests.support.checkouts import Checkout, copy_templates
from tests.support.running import Running, eventually, running, settings_for

pytestmark = pytest.mark.browser

KEY = "onboarding_welcome"
PAGE = f"/admin/templates/{KEY}"
DRAFT = "iframe[data-draft]:not(.waiting)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "repository/email_templates"
    copy_templates(folder, KEY, "sla_report_monthly")
    Checkout(folder.parent, "email_templates").commit()
    return folder


@pytest.fixture
def service(templates: Path, tmp_path: Path) -> Iterator[Running]:
    with running(settings_for(tmp_path, email_templates_dir=templates), works=False) as started:
        yield started


def edited(page: Page) -> None:
    """The editor, taken over by the script and checked for the first time."""
    page.goto(f"{PAGE}/edit")
    expect(page.locator(".cm-content")).to_be_visible()
    expect(page.locator("#summary")).not_to_be_empty()


def test_editor_shows_a_mistake_that_is_mended_and_saved_with_the_keyboard_alone(
    service: Running, browser: Browser, templates: Path
) -> None:
    source = templates / KEY / "template.mjml"
    with window(browser, service.url) as page:
        edited(page)
        tab_to(page, ".cm-content")
        page.keyboard.press("Control+End")
        page.keyboard.type("<p>")
        last_line = source.read_text().count("\n") + 1
        expect(page.locator("#findings li").first).to_contain_text(f"template.mjml:{last_line}:")
        expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
        page.keyboard.press("Control+z")
        expect(page.locator("#summary")).to_have_text("no findings")
        expect(page.locator(".cm-lint-marker-error")).to_have_count(0)
        page.keyboard.press("Control+Home")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        page.keyboard.type(" Bienvenue à Zoé")
        page.keyboard.press("Control+s")
        expect(page.get_by_role("heading", name=f"Review {KEY}")).to_be_visible()
        expect(page.locator("form.card")).to_contain_text("a commit on the branch main")
        expect(page.get_by_label("Raise the version to 2")).to_be_checked()
        tab_to(page, "button[value=save]")
        page.keyboard.press("Enter")
        expect(page.locator(".done")).to_contain_text("Saved as commit")
        expect(page.locator(".envelope")).to_contain_text("Bienvenue à Zoé")
        tab_to(page, ".crumbs a")
        page.keyboard.press("Enter")
        expect(page.locator("li.shot", has_text=KEY)).to_contain_text("v2")
    assert "version: 2" in source.read_text()


def test_editor_updates_the_mail_and_the_completions_while_typing(service: Running, browser: Browser) -> None:
    with window(browser, service.url) as page:
        edited(page)
        page.get_by_role("textbox", name="template.mjml").click()
        page.keyboard.press("Control+f")
        page.keyboard.type("Processus onboarding (")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        page.keyboard.type("de {{ rese")
        options = page.locator(".cm-tooltip-autocomplete")
        options.get_by_text("reseller_name").click()
        page.keyboard.type("|upp")
        expect(options).to_contain_text("upper")
        page.keyboard.press("Escape")
        page.keyboard.type("er }} ")
        mail = page.frame_locator(DRAFT)
        expect(mail.locator("body")).to_contain_text("de TECH CONNECT SA")
        page.get_by_label("Theme of the mail").select_option("dark")
        expect(mail.locator("body")).to_contain_text("de TECH CONNECT SA")
        page.get_by_role("textbox", name="template.mjml").click()
        page.keyboard.press("Control+End")
        page.keyboard.type("<mj-but")
        options.get_by_text("mj-button").click()
        page.keyboard.type(" backg")
        expect(options).to_contain_text("background-color")
        assert serious(page) == []


def test_template_page_updates_when_a_file_is_saved_on_disk(
    service: Running, browser: Browser, templates: Path
) -> None:
    source = templates / KEY / "template.mjml"
    with window(browser, service.url) as page:
        for place, frame in ((PAGE, ".device.desktop iframe"), ("/admin/templates", f'iframe[title="{KEY}"]')):
            with page.expect_response(lambda answer: "/_live" in answer.url):
                page.goto(place)
            before = "Bienvenue Tech" if place == PAGE else "Bonjour Tech"
            after = "Bonjour" if place == PAGE else "Bonsoir"
            if place != PAGE:  # what was searched for stays searched for
                page.get_by_role("searchbox").press_sequentially("welcome")
                expect(page.locator("li.shot")).to_have_count(1)
            expect(page.frame_locator(frame).locator("body")).to_contain_text(before)
            if place == PAGE:
                page.get_by_label("estimated_duration").fill("7-12 jours et demi")
            source.write_text(source.read_text().replace(before.removesuffix(" Tech"), after))
            expect(page.frame_locator(frame).locator("body")).to_contain_text(f"{after} Tech")
            if place != PAGE:
                expect(page.locator("li.shot")).to_have_count(1)
            if place == PAGE:  # what was being written is still there, and so is the focus
                expect(page.get_by_label("estimated_duration")).to_have_value("7-12 jours et demi")
                expect(page.get_by_label("estimated_duration")).to_be_focused()


#: A window that is put away and taken up again; no headless browser does that by itself.
HIDE = """is_hidden => {
  Object.defineProperty(document, "hidden", { value: is_hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_hidden_window_holds_no_connection_and_catches_up(service: Running, browser: Browser, templates: Path) -> None:
    source = templates / KEY / "template.mjml"
    with window(browser, service.url) as page:
        with page.expect_event("requestfailed", lambda request: "/_live" in request.url):
            page.goto(PAGE)
            page.evaluate(HIDE, True)
        source.write_text(source.read_text().replace("Bienvenue {{", "Salut {{"))
        eventually(lambda: service.services.previewer.render(KEY).rendered.html, lambda html: "Salut" in html)
        page.evaluate(HIDE, False)
        expect(page.frame_locator(".device.desktop iframe").locator("body")).to_contain_text("Salut Tech")


def test_editor_saves_and_shows_the_mail_without_a_script(service: Running, browser: Browser, templates: Path) -> None:
    with window(browser, service.url, scripts=False) as page:
        page.goto(f"{PAGE}/edit")
        area = page.get_by_label("template.mjml")
        area.fill(area.input_value().replace("Bienvenue {{", "Salut {{"))
        page.get_by_role("button", name="Update preview").click()
        expect(page.frame_locator("iframe[data-draft]").locator("body")).to_contain_text("Salut Tech")
        page.get_by_role("button", name="Review and save").click()
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".done")).to_be_visible()
        page.goto("/admin/templates")
        page.get_by_role("searchbox").fill("sla")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("li.shot")).to_have_count(1)
    assert "Salut {{" in (templates / KEY / "template.mjml").read_text()


HOSTILE = """\
---
subject: "<script>alert(1)</script> {{ name }}"
description: "<script>alert(2)</script>\\"'><img src=https://evil.example/a.png onerror=alert(3)>"
category: support
version: 1
variables:
  name: {type: string, description: "<img src=x onerror=alert(4)>", example: "<svg onload=alert(5)>"}
---
<mjml lang="fr"><mj-head><mj-style>td { background: url(https://evil.example/b.png) }</mj-style></mj-head>
<mj-body><mj-section background-url="https://evil.example/c.png"><mj-column>
<mj-image src="https://evil.example/d.png" alt="d" />
<mj-text>{{ name }}</mj-text>
<mj-raw><a href="https://evil.example/">away</a></mj-raw>
</mj-column></mj-section></mj-body></mjml>
"""


def test_hostile_template_stays_text_or_stays_in_its_frame(service: Running, browser: Browser, templates: Path) -> None:
    (templates / "hostile").mkdir()
    (templates / "hostile/template.mjml").write_text(HOSTILE)
    eventually(lambda: service.services.catalogue.current.entries.get("hostile"), bool)
    page_of = "/admin/templates/hostile"
    evil = "%3C/textarea%3E%3Cscript%3Ealert(6)%3C/script%3E"
    with window(browser, service.url) as page:
        page.goto("/admin/templates")
        expect(page.locator("li.shot", has_text="hostile")).to_contain_text("<script>alert(2)</script>")
        for place in ("", "?view=source", "?view=html", "?view=text", f"?v.name={evil}", "/edit", "/versions"):
            page.goto(f"{page_of}{place}")
            expect(page.locator("h1")).to_contain_text("hostile")
        page.goto(f"{page_of}?v.name={evil}")
        expect(page.frame_locator(".device.desktop iframe").locator("body")).to_contain_text("<script>alert(6)")
        page.goto(f"{page_of}/edit")
        expect(page.locator("#summary")).not_to_be_empty()


@pytest.mark.parametrize(("language", "scheme"), [("en", "dark"), ("fr", "light")])
def test_template_pages_are_all_accessible(
    service: Running, browser: Browser, templates: Path, language: str, scheme: Literal["light", "dark"]
) -> None:
    report = templates / "sla_report_monthly/template.mjml"
    report.write_text(report.read_text().replace("<mj-column", '<mj-column colour="red"', 1))
    entries = service.services.catalogue.current.entries
    eventually(lambda: service.services.catalogue.current.entries["sla_report_monthly"].findings, bool)
    assert len(entries) == 2
    broken = "/admin/templates/sla_report_monthly"
    views = [f"{PAGE}?view={view}" for view in ("mail", "text", "html", "headers", "source")]
    places = ["/admin/templates", *views, f"{PAGE}?v.validation_link=x", f"{PAGE}/versions", f"{PAGE}/edit"]
    found = {}
    with window(browser, service.url, language=language, scheme=scheme) as page:
        for place in (*places, f"{broken}?view=source", f"{broken}/edit", "/admin/templates/_new"):
            page.goto(place)
            if place.endswith("/edit"):
                expect(page.locator(".cm-content")).to_be_visible()
                expect(page.locator("#summary")).not_to_be_empty()
            found[place] = serious(page)
            page.set_viewport_size({"width": 320, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, place
            page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{PAGE}/edit")
        page.locator("textarea[data-file='template.mjml']").evaluate("one => one.value += '\\n\\n'")
        page.get_by_role("button", name="Review and save" if language == "en" else "Relire et enregistrer").click()
        found["review"] = serious(page)
    assert {place: problems for place, problems in found.items() if problems} == {}
