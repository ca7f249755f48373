"""Pictures of mails by a real Chromium: what changes is marked, and nothing is fetched or run."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from service.errors import NoBrowser
from service.templates.diff.album import VIEWS, Album, Pictures, View
from service.templates.diff.comparison import Comparison
from service.templates.diff.html import report_html
from service.templates.diff.panes import pane_before
from service.templates.diff.pictures import take_pictures
from service.templates.diff.sheet import MAX_HEIGHT_PX
from service.templates.mails import Mail
from tests.support.mail_diffs import comparison, page

pytestmark = pytest.mark.browser

WIDE, NARROW, WIDE_DARK, NARROW_DARK = VIEWS
LINES = [f"<p style='margin: 0'>Line {number} of a mail</p>" for number in range(10)]
DARK = "<style>:root { color-scheme: light dark } @media (prefers-color-scheme: dark) { p { color: %s } }</style>"
PHONE = "<style>@media (max-width: 480px) { p { display: none } }</style>"


class Asked(BaseHTTPRequestHandler):
    """Notes what is asked for."""

    paths: list[str]

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A web server of somebody else, and the paths that it was asked for."""
    paths: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Asked,), {"paths": paths}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetching(url: str) -> str:
    """A mail that tries to run scripts, and to fetch in each way that HTML and CSS have."""
    head = f"""<script>document.write("<p>ran</p>".repeat(50))</script><meta http-equiv="refresh" content="0; {url}/a">
<link rel="stylesheet" href="{url}/b"><style>@import "{url}/c"; @font-face {{ font-family: x; src: url({url}/d) }}
p {{ font-family: x; background: image-set("{url}/e" 1x) }} div {{ background: u\\72l({url}/f) }}</style>"""
    body = f"""<p>Text</p><img src="{url}/g" width="300" height="120" style="display: block" srcset="{url}/h 1x">
<div>d</div><svg width="9" height="9"><image href="{url}/i"/></svg>
<iframe src="{url}/j" srcdoc="<img src={url}/k>"></iframe>
<video poster="{url}/l"></video><body onload="location='{url}/m'"><object data="{url}/n"></object>
<input type="image" src="{url}/o"><img src="file:///etc/hostname">"""
    return page(body, head)


@pytest.fixture(scope="module")
def taken() -> Iterator[tuple[Comparison, Album, list[str]]]:
    """All mails of this module, with one start of the browser."""
    lines = "".join(LINES)
    with elsewhere() as (url, paths):
        made = comparison({
            "word": (page(lines), page(lines.replace("Line 4", "LINE 4"))),
            "removed": (page(lines), page("".join([*LINES[:3], *LINES[4:]]))),
            "added": (page(lines), page("".join([*LINES[:8], "<p style='margin: 0'>Quite new</p>", *LINES[8:]]))),
            "dark": (page(lines, DARK % "#fff"), page(lines, DARK % "#f00")),
            "phone": (page(lines), page(lines, PHONE)),
            "unseen": (page(lines), page(f"{lines}<!-- a comment -->")),
            "new": (None, page(lines)),
            "gone": (page(lines), None),
            "long": (page("<p>x</p>"), page("<p>x</p>" * 400)),
            "fetching": (page("<p>Text</p>"), fetching(url)),
        })  # fmt: skip
        yield made, take_pictures(made), paths


def shown(taken: tuple[Comparison, Album, list[str]], name: str, view: View = WIDE) -> Pictures:
    found = taken[1][Mail("hello", "en", name), view]
    assert found.failure is None
    return found


def test_picture_marks_the_rows_and_columns_of_a_word(taken: tuple[Comparison, Album, list[str]]) -> None:
    for view in (WIDE, NARROW):
        [band] = shown(taken, "word", view).bands
        assert 96 <= band.after[0] < band.after[1] <= 120
        assert band.before == band.after
        assert 0 <= band.left < band.right < 150


def test_picture_marks_only_the_rows_of_a_paragraph_that_goes(taken: tuple[Comparison, Album, list[str]]) -> None:
    found = shown(taken, "removed")
    [band] = found.bands
    assert (band.before[1] - band.before[0], band.after[1] - band.after[0]) == (24, 0)
    assert found.after is not None and found.after.height == 9 * 24
    before = pane_before(found)
    assert before is not None and before.height == 240


def test_picture_marks_only_the_rows_of_a_paragraph_that_comes(taken: tuple[Comparison, Album, list[str]]) -> None:
    [band] = shown(taken, "added").bands
    assert (band.before[1] - band.before[0], band.after[1] - band.after[0]) == (0, 24)


def test_picture_shows_dark_colours_and_narrow_screens_apart(taken: tuple[Comparison, Album, list[str]]) -> None:
    assert [len(shown(taken, "dark", view).bands) > 0 for view in VIEWS] == [False, False, True, True]
    assert [len(shown(taken, "phone", view).bands) > 0 for view in VIEWS] == [False, True, False, True]


def test_picture_is_the_same_when_nothing_is_seen_of_a_change(taken: tuple[Comparison, Album, list[str]]) -> None:
    found = [shown(taken, "unseen", view) for view in VIEWS]
    assert [(one.bands, one.old) for one in found] == [([], None)] * 4
    assert found[0] == found[2], "what has no dark colours is painted once"


def test_picture_has_one_side_when_the_other_has_no_such_mail(taken: tuple[Comparison, Album, list[str]]) -> None:
    new, gone = shown(taken, "new"), shown(taken, "gone")
    assert (new.has_before, new.old, gone.has_after, gone.after) == (False, None, False, None)
    before = pane_before(gone)
    assert before is not None and new.after is not None
    assert before.height == new.after.height == 240


def test_picture_is_cut_when_the_mail_is_long(taken: tuple[Comparison, Album, list[str]]) -> None:
    found = shown(taken, "long")
    assert found.is_cut and found.after is not None and found.after.height == MAX_HEIGHT_PX
    assert not shown(taken, "word").is_cut


def test_picture_fetches_nothing_and_runs_no_script(taken: tuple[Comparison, Album, list[str]]) -> None:
    found = shown(taken, "fetching")
    assert taken[2] == []
    assert found.after is not None
    # Text, a box of 120 px in the place of the picture, and little elements; the script would have added 50 lines.
    assert 140 < found.after.height < 600


def test_report_of_these_pictures_is_small_and_asks_for_nothing(taken: tuple[Comparison, Album, list[str]]) -> None:
    html = report_html(taken[0], taken[1])
    assert len(html) < 1_500_000
    assert set(re.findall(r"data:image/(\w+)", html)) == {"webp"}


def test_pictures_are_a_note_each_when_they_take_too_long() -> None:
    made = comparison({f"e{number}": (page("a"), page(f"b{number}")) for number in range(30)})
    steps: list[tuple[int, int]] = []
    album = take_pictures(made, deadline_s=0, on_progress=lambda done, total: steps.append((done, total)))
    assert len(album) == 30 * len(VIEWS)
    failures = [one.failure or "" for one in album.values()]
    assert any("it took longer than 0 s" in failure for failure in failures)
    assert any("too many mails before it" in failure for failure in failures)
    assert all(failures)
    assert steps == [(done, 30) for done in range(31)]


def test_pictures_say_how_to_get_a_browser_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NoBrowser, match="which should be Chromium"):
        take_pictures(comparison({"a": (page("a"), page("b"))}), program=tmp_path / "none")


def test_pictures_need_no_browser_when_no_mail_differs(tmp_path: Path) -> None:
    assert take_pictures(comparison({}), program=tmp_path / "none") == {}
