"""All pages: content policy, languages, assets, errors, frames."""

import re
from pathlib import Path

import httpx
import pytest

from service.mail import neutral_html
from service.web.pages import i18n, mail_frame
from service.web.pages.i18n import read_phrases
from tests.support.pages import browser, form_token
from tests.support.running import Running

PAGES = Path(i18n.__file__).parent


def test_phrases_are_all_there_in_every_language_with_the_same_placeholders() -> None:
    for key, phrase in read_phrases().items():
        assert set(phrase) == set(i18n.LANGUAGES), key
        places = {code: set(re.findall(r"\{(\w+)\}", str(phrase[code]))) for code in phrase}
        assert places["en"] == places["fr"], key
        for code in phrase:
            forms = phrase[code]
            assert isinstance(forms, str) or "other" in forms, key


def test_phrases_that_pages_say_are_those_that_are_known() -> None:
    known, said = set(read_phrases()), set()
    groups = {key.partition(".")[0] for key in known}
    for path in (*PAGES.rglob("*.html"), *PAGES.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for key in re.findall(r"""["']([a-z_]+\.[a-z0-9_]*[a-z0-9])["']""", text):
            if key.partition(".")[0] in groups and not key.endswith((".html", ".js")):
                assert key in known, path
                said.add(key)
        # A key that is put together: "group." or "group.stem_" and a value; name_of("group", value).
        beginnings = re.findall(r"""["']([a-z_]+\.(?:[a-z0-9_]*_)?)(?:["']|\{)""", text)
        beginnings += [f"{group}." for group in re.findall(r"""name_of\(["']([a-z_]+)["']""", text)]
        said |= {key for key in known if key.startswith(tuple(beginnings))}
    assert known - said == set()


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [("fr-FR,fr;q=0.9,en;q=0.8", "fr"), ("de, en;q=0.5, fr;q=0.7", "fr"), ("de", "en"), ("fr;q=x", "en"), ("", "en")],
)
def test_page_is_in_the_language_that_the_browser_asks_for(service: Running, accepts: str, expected: str) -> None:
    page = service.client.get("/admin/sign-in", headers={"Accept-Language": accepts})
    assert f'<html lang="{expected}"' in page.text


def test_language_and_scheme_stay_when_switched(service: Running) -> None:
    with browser(service) as client:
        token = form_token(client.get("/admin/sign-in"))
        fields = {"form_token": token, "language": "fr", "scheme": "dark", "next": "/admin/sign-in"}
        assert client.post("/admin/look", data=fields).headers["location"] == "/admin/sign-in"
        assert '<html lang="fr" data-scheme="dark">' in client.get("/admin/sign-in").text


def test_assets_are_cached_for_ever_at_the_address_of_their_content(service: Running) -> None:
    page = service.client.get("/admin/sign-in").text
    urls = re.findall(r'(?:href|src)="(/admin/assets/[^"]+)"', page)
    assert len(set(urls)) >= 4
    for url in urls:
        answer = service.client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert service.client.get("/admin/assets/0000000000000000/pages.css").status_code == 404


def test_page_allows_nothing_inline_and_nothing_from_elsewhere(service: Running) -> None:
    policy = service.client.get("/admin/sign-in").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_page_forms_can_say_where_they_come_from(service: Running) -> None:
    """Over plain HTTP a browser says no more than Origin, and with `no-referrer` that is null."""
    assert service.client.get("/admin/sign-in").headers["referrer-policy"] == "same-origin"
    assert service.client.get("/api/v1/email/templates").headers["referrer-policy"] == "no-referrer"


def test_failure_is_a_page_for_a_browser_and_problem_details_for_a_program(service: Running) -> None:
    page = httpx.get(f"{service.url}/nothing", headers={"Accept": "text/html,*/*;q=0.8", "Accept-Language": "fr"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Introuvable" in page.text
    assert service.client.get("/nothing").headers["content-type"] == "application/problem+json"
    api = httpx.get(f"{service.url}/api/v1/email/nothing", headers={"Accept": "text/html"})
    assert api.headers["content-type"] == "application/problem+json"


HOSTILE = """<!DOCTYPE html><html><head><meta http-equiv="refresh" content="0;url=https://evil.example">
<link rel="stylesheet" href="https://evil.example/x.css"><base href="https://evil.example/">
<style>@import url(https://evil.example/y.css); td { background: url('//evil.example/b.png'); color: red }</style>
<script>parent.alert(1)</script></head><body onload="alert(2)" background="http://evil.example/c.png">
<!--[if mso]><b>x</b><![endif]-->
<img src="https://evil.example/pixel.png" srcset="https://evil.example/2.png 2x" alt="a &amp; b">
<img src="data:image/png;base64,AAAA"><img src="cid:logo@mail">
<p style="background:url(https://evil.example/d.png);margin:0">1 &lt; 2 &#233;</p>
<a href="https://example.com/?a=1&amp;b=2">link</a><iframe src="https://evil.example"><p>inner</p></iframe>
<svg><image xlink:href="https://evil.example/e.svg"/></svg>
</body></html>"""


def test_hostile_mail_requests_nothing_in_its_frame() -> None:
    shown = neutral_html.neutralised(HOSTILE)
    assert "evil.example" not in shown
    assert "script" not in shown
    assert "onload" not in shown
    assert "1 &lt; 2 &#233;" in shown
    assert "<!--[if mso]><b>x</b><![endif]-->" in shown
    assert "color: red" in shown
    assert 'alt="a &amp; b"' in shown
    assert 'href="https://example.com/?a=1&amp;b=2" target="_blank"' in shown


def test_pictures_are_shown_when_they_are_asked_for_and_nothing_else_is() -> None:
    shown = neutral_html.neutralised(HOSTILE, with_images=True, inline=lambda cid: f"data:image/gif;base64,{len(cid)}")
    assert "https://evil.example/pixel.png" in shown
    assert 'src="data:image/gif;base64,9"' in shown
    assert "y.css" not in shown
    assert "script" not in shown
    assert "sandbox" in mail_frame.framed(HOSTILE).headers["Content-Security-Policy"]
    assert "https:" not in mail_frame.framed(HOSTILE).headers["Content-Security-Policy"]
    assert neutral_html.has_remote_images(HOSTILE)
    assert not neutral_html.has_remote_images('<p>none</p><img src="data:image/png;base64,AAAA">')


def test_mail_without_anything_remote_is_shown_as_it_is(service: Running) -> None:
    markup = service.services.previewer.render("onboarding_welcome").rendered.html
    tags = re.compile(r"<!--.*?-->|<(/?\w+)", re.DOTALL)
    assert tags.findall(neutral_html.neutralised(markup)) == tags.findall(markup)
    assert not neutral_html.has_remote_images(markup)
