"""The gallery, a template's page, and the stream that reports changed files."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.models import Scope
from tests.support.checkouts import copy_templates, write_mail
from tests.support.pages import browser, form_token, sign_in, signed_in
from tests.support.running import Running, eventually, running, settings_for
from tests.support.samples import WELCOME

PAGE = "/admin/templates/onboarding_welcome"


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """Two templates of our own, free to be changed."""
    folder = tmp_path / "email_templates"
    copy_templates(folder, "onboarding_welcome", "sla_report_monthly")
    return folder


@pytest.fixture
def changing(templates: Path, tmp_path: Path) -> Iterator[Running]:
    with running(settings_for(tmp_path, email_templates_dir=templates)) as started:
        yield started


@pytest.fixture(scope="module")
def person(service: Running) -> Iterator[httpx.Client]:
    with signed_in(service) as client:
        yield client


def test_gallery_shows_every_template_with_a_frame_of_its_own(service: Running, person: httpx.Client) -> None:
    page = person.get("/admin/templates")
    keys = list(service.services.catalogue.current.entries)
    assert len(keys) >= 10
    for key in keys:
        assert f'<iframe src="/admin/templates/{key}/frame"' in page.text
    shown = person.get("/admin/templates/onboarding_welcome/frame")
    assert "sandbox" in shown.headers["content-security-policy"]
    assert "script" not in shown.headers["content-security-policy"]


@pytest.mark.parametrize("words", ["facture", "FACTURE  rgz", "billing_invoice", "invoice portal"])
def test_gallery_finds_templates_by_all_their_words(person: httpx.Client, words: str) -> None:
    page = person.get("/admin/templates", params={"q": words})
    found = re.findall(r'<iframe src="/admin/templates/(\w+)/frame"', page.text)
    if words == "invoice portal":
        assert found == []
    else:
        assert "billing_invoice_monthly" in found
        assert "rma_confirmation" not in found


def test_gallery_counts_what_was_sent_but_no_tests(changing: Running) -> None:
    with signed_in(changing) as person:
        for name in ("a", "b"):
            changing.send("onboarding_welcome", f"{name}@example.com", WELCOME).raise_for_status()
        changing.admin.post("/api/v1/email/templates/onboarding_welcome/test", json={"to": "c@example.com"})

        def card() -> str:
            found = re.search(r"<li.*?onboarding_welcome.*?</li>", person.get("/admin/templates").text, re.DOTALL)
            assert found
            return found[0]

        shown = eventually(card, lambda text: "<dd>2</dd>" in text and "<dd>0%</dd>" in text)
        assert "<dd>–</dd>" in shown or "<dd>100%</dd>" in shown


def test_template_page_shows_the_mail_in_every_form(person: httpx.Client) -> None:
    page = person.get(PAGE)
    assert page.text.count(f'src="{PAGE}/frame?scheme=light"') == 2
    assert "Bienvenue sur RGZ Access!" in page.text
    assert "Processus onboarding" in person.get(PAGE, params={"view": "text"}).text
    assert "&lt;!doctype html&gt;" in person.get(PAGE, params={"view": "html"}).text.lower()
    headers = person.get(PAGE, params={"view": "headers"}).text
    assert "Message-ID: &lt;preview@" in headers
    assert "Content-Type: multipart/alternative" in headers
    assert "validation_link:" in person.get(PAGE, params={"view": "source"}).text
    assert person.get("/admin/templates/unknown").status_code == 404
    assert person.get(PAGE, params={"example": "unknown"}).status_code == 404


def test_dark_and_light_are_answered_in_the_mail_itself(person: httpx.Client) -> None:
    light, dark = (person.get(f"{PAGE}/frame", params={"scheme": scheme}).text for scheme in ("light", "dark"))
    assert "prefers-color-scheme: dark" not in light + dark
    assert "(max-width: 0)" in light
    assert "(min-width: 0)" in dark


def test_template_form_takes_values_and_tells_what_is_wrong_at_its_field(person: httpx.Client) -> None:
    page = "/admin/templates/sla_report_monthly"
    values = {"v.reseller_name": "<b>Zoé</b>", "v.month": "mai", "v.year": "2026", "v.link_report": "https://rgz.bj"}
    sites = '[{"name": "Parakou", "sla_percent": 98.5, "downtime_minutes": 3, "incidents": 1}]'
    good = person.get(page, params=values | {"v.sites": sites})
    assert 'value="&lt;b&gt;Zoé&lt;/b&gt;"' in good.text
    frame = re.search(r'src="(/admin/templates/sla_report_monthly/frame\?[^"]+)"', good.text)
    assert frame
    shown = person.get(frame[1].replace("&amp;", "&")).text
    assert "Parakou" in shown
    assert "&lt;b&gt;Zoé" in shown
    for wrong, message in (("[1", "this is not JSON, line 1"), ('[{"name": 7}]', "sites[0].name: 7 is not a string")):
        bad = person.get(page, params=values | {"v.sites": wrong, "v.year": "x"})
        assert message in bad.text
        assert "<iframe" not in bad.text
        assert 'aria-invalid="true"' in bad.text
    assert person.get(f"{page}/frame", params=values | {"v.sites": "[1"}).status_code == 422


def test_template_test_is_sent_with_the_values_of_the_page(service: Running, person: httpx.Client) -> None:
    page = person.get(PAGE, params={f"v.{name}": value for name, value in WELCOME.items()} | {"v.reseller_name": "Zoé"})
    choice = re.search(r'name="choice" value="([^"]+)"', page.text)
    assert choice
    form = {"form_token": form_token(page), "choice": choice[1].replace("&amp;", "&"), "to": "zoe@example.com"}
    answer = person.post(f"{PAGE}/test", data=form)
    assert answer.status_code == 303
    assert "zoe@example.com" in person.get(answer.headers["location"]).text
    assert "Zo" in service.raw(service.mails("zoe@example.com")[0]["id"]).decode()
    assert person.post(f"{PAGE}/test", data=form | {"form_token": "x"}).status_code == 403
    assert person.post(f"{PAGE}/test", data=form | {"to": "nobody"}).status_code == 422


def test_template_page_shows_a_mistake_at_its_line_and_the_last_good_mail(changing: Running, templates: Path) -> None:
    file = templates / "onboarding_welcome/template.mjml"
    good = file.read_text()
    with signed_in(changing) as person:
        file.write_text(good.replace("<mj-column", "<mj-column colour='red'", 1))
        page = eventually(lambda: person.get(PAGE, params={"view": "source"}).text, lambda text: "colour" in text)
        line = good[: good.index("<mj-column")].count("\n") + 1
        assert f'<div class="line wrong" id="template.mjml:{line}">' in page
        assert f"#template.mjml:{line}" in page
        assert person.get(f"{PAGE}/frame").status_code == 200
        assert '<span class="badge bad">1 error</span>' in person.get("/admin/templates").text


def test_template_page_is_told_of_a_file_saved_on_disk(changing: Running, templates: Path) -> None:
    file = templates / "onboarding_welcome/template.mjml"
    with (
        signed_in(changing) as person,
        person.stream("GET", "/admin/templates/_live", params={"key": "sla_report_monthly"}) as other,
        person.stream("GET", "/admin/templates/_live", params={"key": "onboarding_welcome"}) as stream,
    ):
        lines = (line for line in stream.iter_lines() if line.startswith("event:"))
        assert next(lines) == "event: listening"
        file.write_text(file.read_text().replace("Bienvenue", "Bienvenu", 1))
        assert next(lines) == "event: changed"
        assert "Bienvenu sur RGZ" in person.get(PAGE).text
        others = (line for line in other.iter_lines() if line.startswith("event:"))
        assert [next(others), next(others)] == ["event: listening", "event: silence"]


def test_stream_of_changes_ends_with_the_key_of_its_session(changing: Running, templates: Path) -> None:
    made, boss = changing.services.api_keys.create("boss", [Scope.ADMIN], changing.services.clock())
    with browser(changing) as person:
        assert sign_in(person, boss).status_code == 303
        with person.stream("GET", "/admin/templates/_live") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("event:"))
            assert next(lines) == "event: listening"
            changing.services.api_keys.revoke(made.id, changing.services.clock())
            file = templates / "onboarding_welcome/template.mjml"
            file.write_text(file.read_text().replace("Bienvenue", "Bienvenu", 1))
            assert list(lines) == ["event: closing"]


def test_versions_are_compared_by_source_and_by_sight(changing: Running, templates: Path) -> None:
    file = templates / "onboarding_welcome/template.mjml"
    changing.send("onboarding_welcome", "a@example.com", WELCOME).raise_for_status()
    with signed_in(changing) as person:
        assert "Only one revision is known" in person.get(f"{PAGE}/versions").text
        file.write_text(file.read_text().replace("Bienvenue {{", "Salut {{").replace("version: 1", "version: 2"))
        page = eventually(lambda: person.get(f"{PAGE}/versions").text, lambda text: "v2" in text)
        assert '<span class="sign">−</span><span class="l">version: 1</span>' in page
        assert '<span class="sign">+</span><span class="l">version: 2</span>' in page
        before, after = re.findall(r'name="(?:before|after)" value="(\w+)"[^>]* checked', page)[::-1]
        beside = person.get(f"{PAGE}/versions", params={"before": before, "after": after, "view": "beside"}).text
        frames = re.findall(rf'src="({PAGE}/versions/\w+/frame)"', beside)
        assert ["Bienvenue Tech" in person.get(frame).text for frame in frames] in ([True, False], [False, True])
        assert 'class="drafts over"' in person.get(f"{PAGE}/versions", params={"view": "over"}).text
        assert person.get(f"{PAGE}/versions", params={"before": "unknown"}).status_code == 404
    assert changing.client.get(f"{PAGE}/versions/{before}/frame").status_code == 303


def test_gallery_of_many_templates_has_several_pages(tmp_path: Path) -> None:
    for number in range(61):
        write_mail(tmp_path / "mails", f"mail_{number:02}")
    settings = settings_for(tmp_path, email_templates_dir=tmp_path / "mails")
    with running(settings, works=False) as many, signed_in(many) as person:
        first = person.get("/admin/templates").text
        assert (first.count("<iframe"), "mail_60" in first, "61 templates" in first) == (60, False, True)
        assert 'href="/admin/templates?q=&amp;from=60"' in first
        assert person.get("/admin/templates", params={"from": "60"}).text.count("<iframe") == 1
        for nowhere in ("61", "-1", "x", "9" * 30):
            assert person.get("/admin/templates", params={"from": nowhere}).text.count("<iframe") == 60
        assert person.get("/admin/templates", params={"q": "mail_60", "from": "60"}).text.count("<iframe") == 1
