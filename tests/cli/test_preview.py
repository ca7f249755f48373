"""`rgz-email preview` and `render KEY --open`: the pages of templates without the rest of the service."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.checkouts import copy_templates
from tests.support.processes import Process, run_here, started

pytestmark = pytest.mark.slow

PAGE = "/admin/templates/onboarding_welcome"


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "email_templates"
    copy_templates(folder, "onboarding_welcome")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder to run in, in which nothing must appear."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def preview(templates: Path, home: Path) -> Iterator[Process]:
    environment = {"HOME": str(home), "EMAIL_TEMPLATES_DIR": str(templates), "EMAIL_DATA_DIR": str(home / "var")}
    with started("preview", "onboarding_welcome", environment=environment) as process:
        yield process


def test_preview_shows_the_page_and_follows_a_save_without_a_service(
    preview: Process, templates: Path, home: Path
) -> None:
    url = preview.said(r"reloaded on save: (http://127\.0\.0\.1:\d+)/admin/templates/onboarding_welcome\n")[1]
    with httpx.Client(base_url=url, timeout=30) as person:
        page = person.get(PAGE)
        assert "Bienvenue sur RGZ Access!" in page.text
        assert person.get(f"{PAGE}/frame").status_code == 200
        assert person.get("/admin").headers["location"] == "/admin/templates"
        for absent in ("/edit", "/versions", 'action="/admin/templates/onboarding_welcome/test"', "/admin/mailbox"):
            assert absent not in page.text
        with person.stream("GET", "/admin/templates/_live", params={"key": "onboarding_welcome"}) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("event:"))
            assert next(lines) == "event: listening"
            file = templates / "onboarding_welcome/template.mjml"
            file.write_text(file.read_text().replace("Bienvenue", "Bienvenu", 1))
            assert next(lines) == "event: changed"
            assert "Bienvenu sur RGZ Access!" in person.get(PAGE).text
            assert preview.terminate() == 0  # in spite of the open stream
    assert list(home.iterdir()) == []


def test_preview_is_read_only_and_for_this_machine_alone(preview: Process) -> None:
    url = preview.said(r"(http://127\.0\.0\.1:\d+)/")[1]
    with httpx.Client(base_url=url, timeout=30) as stranger:
        for host in ("evil.example", "127.0.0.1.evil.example", "rgz.bj"):
            assert stranger.get(PAGE, headers={"Host": host}).status_code == 404
        for path in (f"{PAGE}/test", f"{PAGE}/edit", "/api/v1/email/send", "/admin/sign-in"):
            assert stranger.post(path, data={"to": "a@example.com"}).status_code in (404, 405)
        assert stranger.get("/api/v1/email/templates").status_code == 404


def test_render_open_opens_the_page_with_its_values(templates: Path, home: Path) -> None:
    browser = home / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {home}/opened\n')
    browser.chmod(0o755)
    environment = {"HOME": str(home), "EMAIL_TEMPLATES_DIR": str(templates), "BROWSER": f"{browser} %s"}
    arguments = ("render", "onboarding_welcome", "--open", "--set", "reseller_name=Zoé", "--example", "default")
    with started(*arguments, environment=environment) as process:
        address = process.said(r"reloaded on save: (\S+)\n")[1]
        page = httpx.get(address)
        assert 'value="Zoé"' in page.text
        assert "<iframe" in page.text
        assert process.terminate() == 0
    assert (home / "opened").read_text() == address


def test_preview_of_nothing_is_refused(templates: Path) -> None:
    answer = run_here("preview", "unknown", environment={"EMAIL_TEMPLATES_DIR": str(templates)})
    assert (answer.returncode, answer.stderr) == (1, "There is no template 'unknown'.\n")
