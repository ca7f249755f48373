"""A real browser for the pages, which fails a test on a request to another host, a violation or an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, Response

from tests.support.running import ADMIN_TOKEN

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")

#: A script that runs before those of the page.
LISTEN = """addEventListener("securitypolicyviolation", event =>
  console.error(`violation: ${event.violatedDirective} ${event.blockedURI}`))"""

#: What the browser logs of an error page; missing files are noticed by their answers.
_STATUS_LINE = "Failed to load resource: the server responded with a status of"

#: Whether the wanted element has the focus, whether the focus is visible, and which element has it.
_FOCUS = """selector => {
  const e = document.activeElement;
  return [e.matches(selector), getComputedStyle(e).outlineStyle, e.outerHTML];
}"""


@contextmanager
def window(
    browser: Browser,
    url: str,
    *,
    language: str = "en",
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = True,
    is_signed_in: bool = True,
) -> Iterator[Page]:
    """Open a window; at its end it fails if a request left this host, a policy was violated, or an error was logged."""
    context = browser.new_context(
        base_url=url, locale=language, color_scheme=scheme, java_script_enabled=scripts, reduced_motion="reduce"
    )
    if scripts:
        context.add_init_script(LISTEN)
    context.set_default_timeout(15_000)
    page = context.new_page()
    wrong: list[str] = []

    def note_request(request: Request) -> None:
        if not _is_ours(request.url, url):
            wrong.append(f"request {request.url}")

    def note_dialog(dialog: Dialog) -> None:
        wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("request", note_request)
    page.on("console", lambda message: wrong.append(message.text) if _is_complaint(message) else None)
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if _is_missing(answer) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", note_dialog)
    if is_signed_in:
        sign_in(page)
    yield page
    context.close()
    assert wrong == []


def sign_in(page: Page) -> None:
    page.goto("/admin/sign-in")
    page.fill("#token", ADMIN_TOKEN)
    page.press("#token", "Enter")
    page.wait_for_url("**/admin")


def serious(page: Page) -> list[tuple[str, list[str]]]:
    """Serious findings of axe-core: rule and places."""
    page.evaluate(AXE)
    found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations', 'passes'], iframes: false})")
    assert found["passes"], "axe-core looked at nothing"
    return [
        (one["id"], [str(node["target"]) for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def tab_to(page: Page, selector: str) -> None:
    """Move the focus to an element with the Tab key; on the way each focus must be visible."""
    for _ in range(120):
        page.keyboard.press("Tab")
        is_there, outline, markup = page.evaluate(_FOCUS, selector)
        assert outline != "none", f"no focus can be seen on {markup}"
        if is_there:
            return
    raise AssertionError(f"Tab never came to {selector}")


def _is_complaint(message: ConsoleMessage) -> bool:
    return message.type in ("error", "warning") and not message.text.startswith(_STATUS_LINE)


def _is_missing(answer: Response) -> bool:
    return answer.status >= 400 and answer.request.resource_type != "document"


def _is_ours(address: str, url: str) -> bool:
    return address.startswith((f"{url}/", "data:", "about:"))
