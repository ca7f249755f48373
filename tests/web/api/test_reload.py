"""A template saved on disk is served at once; a broken one leaves its last good revision serving."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkouts import copy_templates
from tests.support.running import Running, eventually, running, settings_for
from tests.support.samples import WELCOME


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    directory = tmp_path / "templates"
    copy_templates(directory, "onboarding_welcome")
    return directory


@pytest.fixture
def service(tmp_path: Path, templates: Path) -> Iterator[Running]:
    with running(settings_for(tmp_path, email_templates_dir=templates)) as started:
        yield started


def subject_served(service: Running) -> str:
    subject: str = service.client.get("/api/v1/email/templates/onboarding_welcome").json()["subject"]
    return subject


def test_reload_makes_the_next_send_carry_a_saved_change(service: Running, templates: Path) -> None:
    source = templates / "onboarding_welcome" / "template.mjml"
    before = service.client.get("/api/v1/email/templates/onboarding_welcome")
    source.write_text(source.read_text().replace("Bienvenue sur RGZ Access!", "Bienvenue chez RGZ!"))
    eventually(lambda: subject_served(service), lambda subject: subject == "Bienvenue chez RGZ!")
    after = service.client.get("/api/v1/email/templates/onboarding_welcome")
    assert after.headers["etag"] != before.headers["etag"]
    unchanged = {"If-None-Match": after.headers["etag"]}
    assert service.client.get("/api/v1/email/templates/onboarding_welcome", headers=unchanged).status_code == 304
    sent = service.send("onboarding_welcome", "a@example.com", WELCOME).json()
    assert service.message(sent["messages"][0]["id"])["subject"] == "Bienvenue chez RGZ!"
    assert sent["template"]["revision"] in after.headers["etag"]


def test_broken_file_keeps_the_last_good_revision_serving_and_is_told(service: Running, templates: Path) -> None:
    source = templates / "onboarding_welcome" / "template.mjml"
    good = source.read_text()
    source.write_text(good.replace("</mj-body>", "<mj-txt>?</mj-txt></mj-body>"))
    eventually(lambda: service.client.get("/readyz").json()["status"], lambda status: status == "degraded")
    shown = service.client.get("/api/v1/email/templates/onboarding_welcome").json()
    assert shown["broken"] is True
    assert any("mj-txt" in finding["message"] for finding in shown["findings"])
    assert service.send("onboarding_welcome", "a@example.com", WELCOME).status_code == 201
    details = service.admin.get("/readyz").json()["details"]
    assert "template.mjml:" in details["broken_templates"]["onboarding_welcome"][0]
    source.write_text(good)
    eventually(lambda: service.client.get("/readyz").json()["status"], lambda status: status == "ready")


def test_shared_part_changes_every_template_that_includes_it(service: Running, templates: Path) -> None:
    before = service.client.get("/api/v1/email/templates/onboarding_welcome").headers["etag"]
    theme = templates / "_shared" / "theme.mjml"
    theme.write_text(theme.read_text() + "\n")
    eventually(
        lambda: service.client.get("/api/v1/email/templates/onboarding_welcome").headers["etag"],
        lambda etag: etag != before,
    )


def test_template_appears_when_new_and_goes_when_deleted(service: Running, templates: Path) -> None:
    shutil.copytree(templates / "onboarding_welcome", templates / "another")
    eventually(lambda: service.client.get("/api/v1/email/templates").json()["total"], lambda total: total == 2)
    shutil.rmtree(templates / "another")
    eventually(lambda: service.client.get("/api/v1/email/templates").json()["total"], lambda total: total == 1)
    assert service.send("another", "a@example.com", WELCOME).status_code == 404


def test_template_that_never_worked_answers_503_and_the_others_serve(tmp_path: Path, templates: Path) -> None:
    shutil.copytree(templates / "onboarding_welcome", templates / "broken")
    (templates / "broken" / "template.mjml").write_text(
        "---\nsubject: x\n---\n<mjml><mj-body><mj-txt/></mj-body></mjml>"
    )
    with running(settings_for(tmp_path, email_templates_dir=templates)) as service:
        answer = service.send("broken", "a@example.com", WELCOME)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert service.send("onboarding_welcome", "a@example.com", WELCOME).status_code == 201
        listed = {item["key"]: item for item in service.client.get("/api/v1/email/templates").json()["items"]}
        assert (listed["broken"]["broken"], listed["onboarding_welcome"]["broken"]) == (True, False)


def test_inactive_template_answers_409_and_can_still_be_tried(service: Running, templates: Path) -> None:
    source = templates / "onboarding_welcome" / "template.mjml"
    text = source.read_text()
    source.write_text(text.replace("active: true", "active: false"))
    url = "/api/v1/email/templates/onboarding_welcome"
    eventually(lambda: service.client.get(url).json()["active"], lambda active: active is False)
    assert service.send("onboarding_welcome", "a@example.com", WELCOME).status_code == 409
    assert service.admin.post(f"{url}/test", json={}).status_code == 200


def test_earlier_version_can_be_sent_after_the_file_has_changed(service: Running, templates: Path) -> None:
    source = templates / "onboarding_welcome" / "template.mjml"
    first = service.send("onboarding_welcome", "a@example.com", WELCOME).json()["template"]
    text = source.read_text().replace("version: 1", "version: 2").replace("sur RGZ Access!", "(deux)")
    source.write_text(text)
    eventually(lambda: subject_served(service), lambda subject: subject == "Bienvenue (deux)")
    pinned = service.send("onboarding_welcome", "a@example.com", WELCOME, template_version=1).json()
    assert pinned["template"] == first
    assert service.message(pinned["messages"][0]["id"])["subject"] == "Bienvenue sur RGZ Access!"
    unknown = service.send("onboarding_welcome", "a@example.com", WELCOME, template_version=7)
    assert unknown.json()["errors"][0]["pointer"] == "/template_version"
