"""Chromium, headless and closed off: found on this machine, started through playwright."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import NoBrowser

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright

#: Names of Chromium on PATH, in the order in which they are tried.
PROGRAMS = ("google-chrome", "chromium", "chromium-browser", "chrome")
#: The environment variable that names another program.
PROGRAM_VARIABLE = "CHROMIUM"
#: For the same colours and glyph edges on every machine, and without requests of its own.
_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


async def closed_off(browser: "Browser", *, java_script_enabled: bool) -> "BrowserContext":
    """A context that fetches nothing."""
    context = await browser.new_context(java_script_enabled=java_script_enabled, service_workers="block", offline=True)
    await context.route("**/*", lambda route: route.abort())
    return context


async def launched(playwright: "Playwright", program: Path | None) -> "Browser":
    """Start Chromium, with its sandbox if it can be. Raises NoBrowser."""
    from playwright.async_api import Error

    found = _program(program, playwright.chromium.executable_path)
    # Chromium refuses its sandbox to root, and where the kernel allows no user namespaces.
    sandboxes = [False] if getattr(os, "geteuid", lambda: 1)() == 0 else [True, False]
    why = ""
    for has_sandbox in sandboxes:
        try:
            return await playwright.chromium.launch(
                executable_path=found, args=_FLAGS, chromium_sandbox=has_sandbox, timeout=60_000
            )
        except Error as error:
            why = first_line(error)
    raise NoBrowser(f"Chromium can't be started ({found}): {why}")


def _program(named: Path | None, own: str) -> str:
    """The Chromium to start. Raises NoBrowser."""
    given = str(named) if named is not None else os.environ.get(PROGRAM_VARIABLE)
    if given:
        found = shutil.which(given)
        if found is None:
            raise NoBrowser(f"There is no program {given}, which should be Chromium.")
        return found
    found = own if Path(own).is_file() else next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        hint = f"install one (Debian: apt-get install chromium), or set {PROGRAM_VARIABLE}"
        raise NoBrowser(f"There is no Chromium on this machine: {hint}.")
    return found


def first_line(error: Exception) -> str:
    """What an error of playwright says; its other lines are a log."""
    return str(error).strip().partition("\n")[0][:200]
