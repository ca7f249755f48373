"""PUT of templates: conditions, files, and refusals that touch nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkouts import MAIL, write_mail
from tests.support.publishing import CREATE, SECOND, URL, etag, put, tree
from tests.support.running import Running, eventually, running, settings_for


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Running]:
    """A service whose templates are in no checkout."""
    write_mail(tmp_path / "mails")
    with running(settings_for(tmp_path, email_templates_dir=tmp_path / "mails"), works=False) as service:
        yield service


def test_publish_keeps_files_left_out_and_replaces_those_given(plain: Running, tmp_path: Path) -> None:
    folder = tmp_path / "mails" / "hello"
    full: dict[str, Any] = {
        "text": "Bonjour {{ name }}\n",
        "locales": {"en": '<mjml lang="en"><mj-body></mj-body></mjml>', "de": ""},
        "examples": {"default": {"name": "A"}, "more": {"name": "B"}},
    }
    body = MAIL.partition("\n---\n")[2]
    full["locales"] = {"en": body, "de": body}
    assert put(plain, MAIL, **full).status_code == 200
    (folder / "template.de.txt").write_text("Hallo {{ name }}\n")
    (folder / "notes.md").write_text("not ours")
    commented = "# as billing sends it\nname: A\n"
    (folder / "examples" / "default.yaml").write_text(commented)
    eventually(lambda: etag(plain), lambda tag: "broken" not in tag)
    answer = put(plain, SECOND, match="*")
    assert answer.status_code == 200, answer.text
    assert sorted(tree(folder)) == [
        "examples/default.yaml", "examples/more.yaml", "notes.md", "template.de.mjml", "template.de.txt",
        "template.en.mjml", "template.mjml", "template.txt",
    ]  # fmt: skip
    shown = plain.client.get(f"{URL}/hello").json()["files"]
    assert shown == {name: (folder / name).read_text() for name in shown}
    assert {*shown} == {*tree(folder)} - {"notes.md"}
    answer = put(plain, SECOND, match="*", locale_texts={"de": "Guten Tag {{ name }}\n", "en": "Hello {{ name }}\n"})
    assert answer.json()["files"]["template.en.txt"] == "Hello {{ name }}\n"
    assert put(plain, SECOND, match="*", locale_texts={"de": "Guten Tag {{ name }}\n"}).status_code == 200
    assert "template.en.txt" not in tree(folder)
    wrong = put(plain, SECOND, match="*", locale_texts={"de": "{{ nobody }}"})
    assert [one["pointer"] for one in wrong.json()["errors"]] == ["/locale_texts/de"]
    answer = put(plain, SECOND, text=None, locales={"en": body}, examples={"default": {"name": "A"}}, match="*")
    assert answer.status_code == 200, answer.text
    assert sorted(tree(folder)) == ["examples/default.yaml", "notes.md", "template.en.mjml", "template.mjml"]
    assert (folder / "examples" / "default.yaml").read_text() == commented


def test_publish_outside_of_git_makes_no_commit_and_remembers_the_caller(plain: Running) -> None:
    assert plain.client.get(f"{URL}/hello").json()["created_by"] is None
    with plain.key("grace", "admin") as grace:
        created = grace.put(f"{URL}/other", json={"source": MAIL}, headers=CREATE)
    assert (created.status_code, created.json()["commit"]) == (201, None)
    assert (created.json()["created_by"], created.json()["updated_by"]) == ("grace", "grace")
    changed = put(plain, SECOND, "other").json()
    assert (changed["commit"], changed["created_by"], changed["updated_by"]) == (None, "grace", "admin")
    assert plain.send("other", "a@example.com", {"name": "Zoé"}).status_code == 201
    [row] = plain.services.database.read("SELECT * FROM email_templates WHERE key = 'other'")
    assert (row["created_by"], row["updated_by"], row["version"]) == ("grace", "admin", 2)


@pytest.mark.parametrize(
    ("key", "headers", "status"),
    [
        ("hello", {}, 428),
        ("hello", {"If-None-Match": '"abc"'}, 428),
        ("hello", {"If-None-Match": "*"}, 412),
        ("hello", {"If-Match": '"0000"'}, 412),
        ("hello", {"If-Match": 'W/"0000"'}, 412),
        ("missing", {}, 428),
        ("missing", {"If-Match": '"0000"'}, 412),
        ("missing", {"If-Match": "*"}, 412),
        ("Bad.Key", {"If-None-Match": "*"}, 422),
        ("_shared", {"If-None-Match": "*"}, 422),
        ("-x", {"If-None-Match": "*"}, 422),
    ],
    ids=str,
)
def test_publish_needs_a_condition_that_holds(
    plain: Running, tmp_path: Path, key: str, headers: dict[str, str], status: int
) -> None:
    before = tree(tmp_path / "mails")
    answer = plain.admin.put(f"{URL}/{key}", json={"source": SECOND}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert tree(tmp_path / "mails") == before


def test_publish_condition_with_a_weak_tag_of_the_right_revision_does_not_match(plain: Running) -> None:
    assert put(plain, SECOND, match=f"W/{etag(plain)}").status_code == 412
    assert put(plain, SECOND, match=f'"other", {etag(plain)}').status_code == 200


def test_publish_condition_is_held_against_the_files_not_the_served_revision(plain: Running, tmp_path: Path) -> None:
    read = etag(plain)
    text = MAIL.replace("A mail for the tests", "Changed by hand")
    write_mail(tmp_path / "mails", text=text)
    answer = put(plain, SECOND, match=read)
    assert answer.status_code == 412
    assert (tmp_path / "mails" / "hello" / "template.mjml").read_text() == text


def test_broken_template_has_a_tag_of_its_own_and_can_be_mended(plain: Running, tmp_path: Path) -> None:
    good = etag(plain)
    write_mail(tmp_path / "mails", text=MAIL.replace("</mj-text>", "</mj-txt>"))
    eventually(lambda: etag(plain), lambda tag: tag != good)
    broken = etag(plain)
    assert put(plain, SECOND, match=good).status_code == 412
    assert put(plain, SECOND, match=broken).status_code == 200
    assert plain.client.get(f"{URL}/hello").json()["broken"] is False


def test_publish_tells_findings_with_their_place_and_touches_nothing(plain: Running, tmp_path: Path) -> None:
    before = tree(tmp_path / "mails")
    broken = MAIL.replace("<mj-text>", '<mj-text fontsize="3px">')
    answer = put(plain, broken, text="{{ nobody }}", examples={"default": {"name": 7}})
    assert answer.status_code == 422
    found = {(one["pointer"], one["code"]): one["message"] for one in answer.json()["errors"]}
    assert found.keys() >= {
        ("/source", "unknown-attribute"), ("/text", "undeclared-variable"), ("/examples/default", "bad-example")
    }  # fmt: skip
    assert found["/source", "unknown-attribute"].startswith("hello/template.mjml:16:10: ")
    assert tree(tmp_path / "mails") == before


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/source"]),
        ({"source": 3, "text": 4, "unknown": 5}, ["/source", "/text", "/unknown"]),
        ({"source": "x", "locales": {"../up": "x"}}, ["/locales/..~1up"]),
        ({"source": "x", "examples": {"../../up": {}}}, ["/examples/..~1..~1up"]),
        ({"source": "x", "examples": {"default": []}, "message": " \n"}, ["/examples/default", "/message"]),
    ],
    ids=lambda value: ",".join(value),
)
def test_publish_tells_every_mistake_of_the_request_at_once(
    plain: Running, tmp_path: Path, body: dict[str, Any], pointers: list[str]
) -> None:
    before = tree(tmp_path)
    answer = plain.admin.put(f"{URL}/other", json=body, headers=CREATE)
    assert answer.status_code == 422
    assert sorted(one["pointer"] for one in answer.json()["errors"]) == pointers
    assert not {name for name in tree(tmp_path).keys() - before.keys() if name.startswith("mails")}


def test_publish_keeps_a_file_that_another_template_includes(plain: Running, tmp_path: Path) -> None:
    text = MAIL.replace("<mj-text>Bonjour", '<mj-text>{% include "../hello/part.txt" %}')
    (tmp_path / "mails" / "hello" / "part.txt").write_text("x")
    write_mail(tmp_path / "mails", "other", text)
    plain.services.catalogue.refresh()
    answer = plain.admin.delete(f"{URL}/hello", headers={"If-Match": etag(plain)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].startswith("other/template.mjml:")
    assert plain.client.get(f"{URL}/hello").status_code == 200


def test_publish_cannot_write_mounted_configuration(plain: Running, tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    (mails / "..data").mkdir()
    (mails / "hello").rename(mails / "..data" / "hello")
    (mails / "hello").symlink_to("..data/hello")
    plain.services.catalogue.refresh()
    before = tree(mails)
    answer = put(plain, SECOND)
    assert answer.status_code == 409
    assert "symbolic links" in answer.json()["detail"]
    assert tree(mails) == before


def test_change_by_hand_after_a_publish_is_still_noticed(plain: Running, tmp_path: Path) -> None:
    assert put(plain, SECOND, text="Bonsoir {{ name }}\n").status_code == 200
    third = SECOND.replace("version: 2", "version: 3")
    write_mail(tmp_path / "mails", text=third)
    eventually(lambda: plain.client.get(f"{URL}/hello").json()["version"], lambda version: version == 3)
