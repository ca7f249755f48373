"""The editor without a script: write, preview, save, and concurrent changes."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.checkouts import Checkout, copy_templates
from tests.support.pages import signed_in
from tests.support.running import Running, eventually, running, settings_for

KEY = "onboarding_welcome"
EDIT = f"/admin/templates/{KEY}/edit"
SOURCE = "f.template.mjml"


@pytest.fixture
def templates(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "repository" / "email_templates"
    copy_templates(folder, KEY)
    if getattr(request, "param", "folder") == "checkout":
        Checkout(folder.parent, "email_templates").commit()
    return folder


@pytest.fixture
def service(templates: Path, tmp_path: Path) -> Iterator[Running]:
    with running(settings_for(tmp_path, email_templates_dir=templates), works=False) as started:
        yield started


@pytest.fixture
def person(service: Running) -> Iterator[httpx.Client]:
    with signed_in(service) as client:
        yield client


def fields(page: httpx.Response) -> dict[str, str]:
    """What the page's form would send: hidden fields and text areas."""
    found = {
        name: html.unescape(text)
        for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    }
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text):
        found[name] = html.unescape(value)
    return found


def has_git(templates: Path) -> bool:
    return (templates.parent / ".git").exists()


@pytest.mark.parametrize("templates", ["folder", "checkout"], indirect=True)
def test_editor_shows_a_change_then_saves_it_with_a_higher_version(person: httpx.Client, templates: Path) -> None:
    form = fields(person.get(EDIT))
    form[SOURCE] = form[SOURCE].replace("Bienvenue", "Bienvenu").replace("\n", "\r\n")  # as browsers send it
    review = person.post(EDIT, data=form | {"action": "review"})
    assert review.status_code == 200
    assert "Makes a commit on the branch" in review.text or not has_git(templates)
    assert "Writes the files, live at once" in review.text or has_git(templates)
    assert 'name="raises_to" value="2" checked' in review.text
    assert '<span class="sign">+</span>' in review.text
    answer = person.post(EDIT, data=fields(review) | {"action": "save", "raises_to": "2", "message": "Masculin"})
    assert answer.headers["location"] == f"/admin/templates/{KEY}?saved=1"
    assert "Bienvenu sur RGZ" in person.get(answer.headers["location"]).text
    saved = (templates / KEY / "template.mjml").read_text()
    assert "version: 2\n" in saved
    assert "\r" not in saved
    if has_git(templates):
        checkout = Checkout(templates.parent, "email_templates")
        assert checkout.git("log", "-1", "--format=%s") == "Masculin"
        assert checkout.git("status", "--porcelain") == ""


def test_editor_returns_a_mistake_with_its_line_and_what_was_written(person: httpx.Client, templates: Path) -> None:
    before = (templates / KEY / "template.mjml").read_text()
    form = fields(person.get(EDIT))
    form[SOURCE] = form[SOURCE].replace("<mj-column", "<mj-column colour='red'", 1)
    line = form[SOURCE][: form[SOURCE].index("colour=")].count("\n") + 1
    answer = person.post(EDIT, data=form | {"action": "review"})
    assert answer.status_code == 422
    assert f'href="#file-template.mjml">template.mjml:{line}:' in answer.text
    assert fields(answer)[SOURCE] == form[SOURCE]
    assert person.post(EDIT, data=form | {"action": "save"}).status_code == 422
    assert (templates / KEY / "template.mjml").read_text() == before


def test_editor_saves_nothing_when_nothing_changed(person: httpx.Client) -> None:
    review = person.post(EDIT, data=fields(person.get(EDIT)) | {"action": "review"})
    assert "Nothing has changed." in review.text
    assert 'value="save"' not in review.text


@pytest.mark.parametrize("is_same_place", [False, True])
def test_editor_shows_the_others_change_and_loses_nothing_when_saving_second(
    person: httpx.Client, service: Running, templates: Path, is_same_place: bool
) -> None:
    form = fields(person.get(EDIT))
    review = person.post(EDIT, data=form | {SOURCE: form[SOURCE].replace("Félicitations", "Bravo"), "action": "review"})
    mine = fields(review) | {SOURCE: form[SOURCE].replace("Processus onboarding (", "Étapes (")}
    theirs = (
        ("Processus onboarding (", "Déroulement (") if is_same_place else ("Suivre mon dossier", "Voir mon dossier")
    )
    etag = service.admin.get(f"/api/v1/email/templates/{KEY}").headers["etag"]
    other = {"source": form[SOURCE].replace(*theirs)}
    service.admin.put(f"/api/v1/email/templates/{KEY}", json=other, headers={"If-Match": etag}).raise_for_status()
    conflict = person.post(EDIT, data=mine | {"action": "save"})
    assert conflict.status_code == 409
    assert theirs[1] in conflict.text
    assert "Étapes (" in conflict.text
    ahead = fields(conflict)
    assert "Étapes (" in ahead[SOURCE]
    assert (theirs[1] in ahead[SOURCE]) != is_same_place
    assert "Both changes touch the same place in template.mjml" in conflict.text or not is_same_place
    assert person.post(EDIT, data=ahead | {"action": "save"}).status_code == 303
    saved = (templates / KEY / "template.mjml").read_text()
    assert "Étapes (" in saved
    assert (theirs[1] in saved) != is_same_place


def test_editor_saves_several_files_as_one_change_and_deletes_an_emptied_one(
    person: httpx.Client, templates: Path
) -> None:
    added = fields(person.post(EDIT, data=fields(person.get(EDIT)) | {"action": "add", "added": "template.en.mjml"}))
    assert added["f.template.en.mjml"] == ""
    added |= {"f.template.en.mjml": '---\nsubject: Welcome\n---\n{% extends "template.mjml" %}\n', "f.template.txt": ""}
    assert person.post(EDIT, data=added | {"action": "save"}).status_code == 303
    assert (templates / KEY / "template.en.mjml").exists()
    assert not (templates / KEY / "template.txt").exists()
    assert "Welcome" in person.get(f"/admin/templates/{KEY}", params={"locale": "en"}).text


def test_editor_refuses_a_file_outside_of_the_folder(person: httpx.Client) -> None:
    form = fields(person.get(EDIT))
    for name in ("../x.txt", "/etc/passwd", ".hidden.mjml", "a/b/c.txt", "x.py", "template"):
        assert person.post(EDIT, data=form | {"action": "add", "added": name}).status_code == 422
        answer = person.post(EDIT, data=form | {"action": "save", f"f.{name}": "x"})
        assert answer.status_code == 422
        assert "can&#39;t have this name" in answer.text


def test_editor_refuses_a_file_too_large_to_be_read(person: httpx.Client) -> None:
    form = fields(person.get(EDIT)) | {"f.template.txt": "x" * 500_001}
    answer = person.post(EDIT, data=form | {"action": "save"})
    assert answer.status_code == 422
    assert "template.txt: over 500000 characters" in answer.text


def test_editor_begins_a_new_template_with_a_mail_that_works(person: httpx.Client, templates: Path) -> None:
    assert person.get("/admin/templates/_new", params={"key": "Not A Key"}).status_code == 422
    assert person.get("/admin/templates/_new", params={"key": KEY}).headers["location"] == EDIT
    page = person.get("/admin/templates/_new", params={"key": "password_changed"})
    assert not (templates / "password_changed").exists()
    edit = "/admin/templates/password_changed/edit"
    review = person.post(edit, data=fields(page) | {"action": "review"})
    assert review.status_code == 200
    assert person.post(edit, data=fields(review) | {"action": "save"}).status_code == 303
    assert "password_changed" in person.get("/admin/templates").text


def test_check_and_draft_know_unsaved_changes(person: httpx.Client, templates: Path) -> None:
    form = fields(person.get(EDIT))
    good = form | {SOURCE: form[SOURCE].replace("Bienvenue {{", "Salut {{")}
    checked = person.post(f"/admin/templates/{KEY}/check", data=good).json()
    assert (checked["findings"], checked["renders"]) == ([], True)
    assert checked["variables"]["validation_link"]["type"] == "string"
    assert "Salut" in person.post(f"/admin/templates/{KEY}/draft", data=good).text
    bad = form | {SOURCE: form[SOURCE].replace("{{ reseller_name }}", "{{ resseller_name }}", 1)}
    checked = person.post(f"/admin/templates/{KEY}/check", data=bad).json()
    assert checked["renders"] is False
    assert checked["findings"][0]["file"] == "template.mjml"
    assert checked["findings"][0]["line"] == bad[SOURCE][: bad[SOURCE].index("resseller")].count("\n") + 1
    assert "can’t be rendered" in person.post(f"/admin/templates/{KEY}/draft", data=bad).text
    assert "Salut" not in (templates / KEY / "template.mjml").read_text()


def test_completion_knows_components_attributes_filters_and_fields(person: httpx.Client) -> None:
    vocabulary = person.get("/admin/templates/_vocabulary").json()
    button = vocabulary["components"]["mj-button"]
    assert {"href", "background-color", "css-class"} <= set(button["attributes"])
    assert "mj-button" in vocabulary["components"]["mj-column"]["children"]
    assert vocabulary["components"]["mj-section"]["attributes"]["direction"]["options"] == ["ltr", "rtl"]
    assert {"fcfa", "date", "upper"} <= {one["name"] for one in vocabulary["filters"]}
    assert {"subject", "variables"} <= set(vocabulary["fields"])


def test_editor_refuses_a_form_of_another_site(person: httpx.Client) -> None:
    form = fields(person.get(EDIT)) | {"form_token": "x"}
    for path in (EDIT, f"/admin/templates/{KEY}/check", f"/admin/templates/{KEY}/draft"):
        assert person.post(path, data=form).status_code == 403


@pytest.mark.parametrize("templates", ["checkout"], indirect=True)
def test_editor_leaves_a_folder_with_uncommitted_changes_alone(person: httpx.Client, templates: Path) -> None:
    with (templates / KEY / "template.txt").open("a") as file:
        file.write("mine")
    form = eventually(lambda: fields(person.get(EDIT)), lambda found: "mine" in found["f.template.txt"])
    review = person.post(EDIT, data=form | {SOURCE: form[SOURCE] + "\n", "action": "review"})
    assert "has uncommitted changes in this folder" in review.text
    assert 'value="save"' not in review.text


@pytest.mark.parametrize("templates", ["checkout"], indirect=True)
def test_commits_are_compared_also_where_nothing_was_sent(person: httpx.Client, templates: Path) -> None:
    versions = f"/admin/templates/{KEY}/versions"
    source = templates / KEY / "template.mjml"
    source.write_text(source.read_text().replace("Bienvenue {{", "Salut {{"))
    page = eventually(lambda: person.get(versions).text, lambda text: "Salut {{" in text)  # with the last commit
    assert '<span class="sign">−</span>' in page
    Checkout(templates.parent, "email_templates").commit("Un salut")
    page = person.get(versions).text
    assert "Un salut" in page
    names = re.findall(r'name="before" value="(commit:[0-9a-f]{40})"', page)
    assert len(names) == 2
    shown = [person.get(f"{versions}/{name}/frame").text for name in names]
    assert ["Salut Tech" in text for text in shown] == [True, False]
    # Neither a commit that there is not, nor a name that is none, nor a commit named as a revision.
    for wrong in (f"commit:{'0' * 40}", f"commit:{'0' * 64}", f"{names[0][:-1]}g", names[0].removeprefix("commit:")):
        assert person.get(f"{versions}/{wrong}/frame").status_code == 404, wrong


def test_editor_does_not_save_a_folder_that_comes_through_links(person: httpx.Client, templates: Path) -> None:
    form = fields(person.get(EDIT))
    text = templates / KEY / "template.txt"
    text.rename(templates / "kept.txt")
    text.symlink_to(templates / "kept.txt")
    review = person.post(EDIT, data=form | {SOURCE: form[SOURCE] + "\n", "action": "review"})
    assert "the service has no write access to its templates" in review.text
    assert 'value="save"' not in review.text
    assert person.post(EDIT, data=form | {SOURCE: form[SOURCE] + "\n", "action": "save"}).status_code == 422
