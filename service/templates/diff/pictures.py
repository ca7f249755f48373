"""Pictures of mails before and after, by a headless Chromium: what `report.html` shows.

A mail is a stranger's HTML. JavaScript is off, requests are aborted, each mail has a deadline, and Chromium keeps its
sandbox where the machine allows it. Two pictures are compared in the browser, row by row (`markup/compare.js`).
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.errors import NoBrowser
from service.mail.neutral_html import neutralised
from service.templates.diff.album import VIEWS, Album, Band, Picture, Pictures, View, html_of, pictured
from service.templates.diff.chromium import closed_off, first_line, launched
from service.templates.diff.comparison import Comparison
from service.templates.diff.sheet import IS_LOADED, MAX_HEIGHT_PX, MEASURE, WRITE, Box, Sheet
from service.templates.mails import Mail

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

#: Frames are measured when they are lower than any mail.
_LOWEST_PX = 200
#: For all pictures of one mail; a usual one takes a second.
DEADLINE_S = 30.0
#: So many mails may fail; then there is something wrong with the browser.
_MAX_FAILURES = 10
_QUALITY = 0.8
_UNCLEAN = "there is no picture: "
_LOOK_AGAIN_S = 0.02

OnProgress = Callable[[int, int], None]


def take_pictures(
    comparison: Comparison,
    *,
    program: Path | None = None,
    views: Sequence[View] = VIEWS,
    deadline_s: float = DEADLINE_S,
    on_progress: OnProgress = lambda _done, _total: None,
) -> Album:
    """Take the pictures of every mail whose HTML differs, of the first MAX_PICTURED at most.

    `program` is a Chromium; without it CHROMIUM in the environment, playwright's own, or one on PATH is used. A mail
    that can't be shown is a `failure` of its pictures. Raises NoBrowser where there is no Chromium or no playwright.
    """
    tasks: dict[tuple[str, str], _Task] = {}
    for one in pictured(comparison):
        task = _Task(html_of(one.before), html_of(one.after), [])
        tasks.setdefault(task.digest, task).mails.append(one.mail)
    if not tasks:
        return {}
    return asyncio.run(_Studio(program, views, deadline_s, on_progress).album(list(tasks.values())))


@dataclass(frozen=True, slots=True)
class _Task:
    """A pair of HTML, and the mails that have it; a side is None where it has none."""

    before: str | None
    after: str | None
    mails: list[Mail]

    @property
    def digest(self) -> tuple[str, str]:
        before, after = (hashlib.sha256((one or "").encode("utf-8", "surrogatepass")) for one in self.sides)
        return before.hexdigest(), after.hexdigest()

    @property
    def sides(self) -> tuple[str | None, str | None]:
        return self.before, self.after

    @property
    def has_dark(self) -> bool:
        """Whether a side may look different in the dark: without a word of colour schemes it can't."""
        return any("color-scheme" in one.lower() for one in self.sides if one)


@dataclass(slots=True)
class _Desk:
    """What one task at a time is done with: a page for mails, without scripts, and a page that compares."""

    page: "Page"
    session: Any
    comparing: "Page"

    async def close(self) -> None:
        for context in (self.page.context, self.comparing.context):
            with suppress(Exception):  # it has crashed, or hangs; nothing is done with it again
                await asyncio.wait_for(context.close(), 5)


class _Studio:
    """Takes pictures of several mails at once, with one browser, which is started again if it has died."""

    def __init__(self, program: Path | None, views: Sequence[View], deadline_s: float, on_progress: OnProgress) -> None:
        self._program = program
        self._views = views
        self._sheet = Sheet(sorted({view.width for view in views}, reverse=True))
        self._deadline_s = deadline_s
        self._on_progress = on_progress
        self._script = resources.files(__package__).joinpath("markup/compare.js").read_text("utf-8")
        self._starting = asyncio.Lock()
        self._browser: Browser | None = None
        self._failures = 0
        self._done_count = 0

    async def album(self, tasks: Sequence[_Task]) -> Album:
        """Do all tasks. Raises NoBrowser."""
        try:
            from playwright.async_api import async_playwright
        except ImportError:
            raise NoBrowser('Pictures need playwright: pip install "rgz-email[pictures]".') from None
        waiting, album = iter(tasks), dict[tuple[Mail, View], Pictures]()
        self._on_progress(0, len(tasks))
        async with async_playwright() as playwright:
            await self._running(playwright)

            async def work() -> None:
                desk: _Desk | None = None
                for task in waiting:
                    desk, found = await self._done(playwright, desk, task)
                    album.update({(mail, view): one for mail in task.mails for view, one in found.items()})
                    self._done_count += 1
                    self._on_progress(self._done_count, len(tasks))
                if desk is not None:
                    await desk.close()

            # One page loads while another is painted.
            await asyncio.gather(*(work() for _ in range(max(2, min(os.cpu_count() or 1, 4)))))
            if self._browser is not None:
                with suppress(Exception):  # it is gone with playwright's process
                    await asyncio.wait_for(self._browser.close(), 5)
        return album

    async def _done(
        self, playwright: "Playwright", desk: _Desk | None, task: _Task, *, is_again: bool = False
    ) -> tuple[_Desk | None, Mapping[View, Pictures]]:
        """The pictures of a task, and the desk if it can be used again.

        Another task may have ended the browser: then this one is done again, once.
        """
        from playwright.async_api import Error

        if self._failures >= _MAX_FAILURES:
            why = f"{_UNCLEAN}too many mails before it could not be shown"
            return desk, dict.fromkeys(self._views, Pictures(failure=why))
        try:
            async with asyncio.timeout(self._deadline_s):
                desk = desk or await self._desk(playwright)
                return desk, await self._pictures(desk, task)
        except TimeoutError:
            why = f"it took longer than {self._deadline_s:g} s"
        except (Error, NoBrowser) as error:
            why = f"the browser gave it up ({first_line(error)})"
        if desk is not None:
            await desk.close()
        if not (is_again or self._browser is None or self._browser.is_connected()):
            return await self._done(playwright, None, task, is_again=True)
        self._failures += 1
        return None, dict.fromkeys(self._views, Pictures(failure=_UNCLEAN + why))

    async def _pictures(self, desk: _Desk, task: _Task) -> Mapping[View, Pictures]:
        found: dict[View, Pictures] = {}
        documents = [neutralised(side) if side is not None else "" for side in task.sides]
        await desk.page.evaluate(WRITE, documents * len(self._sheet.widths))
        while not await desk.page.evaluate(IS_LOADED):
            await asyncio.sleep(_LOOK_AGAIN_S)
        for scheme in dict.fromkeys(view.scheme for view in self._views):
            if scheme == "dark" and not task.has_dark and found:
                found |= {View(view.width, scheme): one for view, one in found.items()}
                continue
            await desk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            heights: list[int] = await desk.page.evaluate(MEASURE, _LOWEST_PX)
            boxes = self._sheet.boxes(heights, task.sides)
            clip = {"x": 0, "y": 0, "width": self._sheet.width, "height": max(box.bottom for box in boxes), "scale": 1}
            shot = await desk.session.send(
                "Page.captureScreenshot",
                {"format": "png", "optimizeForSpeed": True, "captureBeyondViewport": True, "clip": clip},
            )
            answers = await desk.comparing.evaluate(self._script, [shot["data"], [*map(list, boxes)], _QUALITY])
            is_cut = max(heights) > MAX_HEIGHT_PX
            for box, answer in zip(boxes, answers, strict=True):
                found[View(box.width, scheme)] = _read(answer, box, is_cut=is_cut)
        return {view: found[view] for view in self._views}

    async def _desk(self, playwright: "Playwright") -> _Desk:
        browser = await self._running(playwright)
        context = await closed_off(browser, java_script_enabled=False)
        page = await context.new_page()
        await page.set_viewport_size({"width": self._sheet.width, "height": _LOWEST_PX})
        await page.set_content(self._sheet.markup())
        comparing = await (await closed_off(browser, java_script_enabled=True)).new_page()
        return _Desk(page, await context.new_cdp_session(page), comparing)

    async def _running(self, playwright: "Playwright") -> "Browser":
        async with self._starting:
            if self._browser is None or not self._browser.is_connected():
                self._browser = await launched(playwright, self._program)
            return self._browser


def _read(answer: Mapping[str, Any], box: Box, *, is_cut: bool) -> Pictures:
    """What the page that compares has answered."""
    after, old = (
        Picture(one["uri"], one["width"], one["height"]) if one else None for one in (answer["after"], answer["old"])
    )
    bands = [Band((a0, a1), (b0, b1), left, right) for a0, a1, b0, b1, left, right in answer["bands"]]
    return Pictures(after, old, bands, bool(box.height_before), bool(box.height_after), is_cut)
