"""The command `new`: a folder with a template that passes the check, or a sentence that says why not."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.support.paths import ROOT, SERVICE
from tests.support.samples import PHONE


def new(key: str, root: Path) -> Result:
    return CliRunner().invoke(main, ["new", key, "--templates", str(root)])


def check(root: Path) -> str:
    done = CliRunner().invoke(main, ["check", "--templates", str(root)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with our shared parts, which print the number of the installation."""
    monkeypatch.setenv("EMAIL_SITE_PHONE", PHONE)
    shutil.copytree(ROOT / "email_templates" / "_shared", tmp_path / "_shared")
    return tmp_path


def test_new_makes_a_mail_that_passes_the_check_without_findings(ours: Path) -> None:
    done = new("password_changed", ours)
    assert done.exit_code == 0, done.output
    made = sorted(path.relative_to(ours).as_posix() for path in (ours / "password_changed").rglob("*.*"))
    assert made == ["password_changed/examples/default.yaml", "password_changed/template.mjml"]
    assert check(ours) == "1 template: no findings.\n"
    source = (ours / "password_changed" / "template.mjml").read_text()
    assert all(f'path="../_shared/{part}.mjml"' in source for part in ("theme", "header", "footer"))


def test_new_says_what_to_do_next(ours: Path) -> None:
    said = new("password_changed", ours).stdout
    assert str(ours / "password_changed" / "template.mjml") in said
    assert "rgz-email check password_changed" in said
    assert "rgz-email render password_changed --text" in said
    assert "rgz-email snapshots password_changed --update" in said


def test_new_names_files_as_one_would_type_them(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ours)
    assert "  password_changed/template.mjml\n" in new("password_changed", ours).stdout


def test_new_stands_alone_where_there_are_no_shared_parts(tmp_path: Path) -> None:
    assert new("hello", tmp_path).exit_code == 0
    assert check(tmp_path) == "1 template: no findings.\n"
    assert "mj-include" not in (tmp_path / "hello" / "template.mjml").read_text()


def test_new_stands_alone_where_the_shared_parts_are_not_like_ours(ours: Path) -> None:
    (ours / "_shared" / "theme.mjml").write_text("<mj-nonsense />")
    assert new("hello", ours).exit_code == 0
    assert check(ours) == "1 template: no findings.\n"


def test_new_makes_a_template_that_renders(ours: Path) -> None:
    assert new("hello", ours).exit_code == 0
    done = CliRunner().invoke(main, ["render", "hello", "--text", "--templates", str(ours)])
    assert done.exit_code == 0, done.output
    assert done.stdout_bytes.decode().startswith("RGZ")
    assert "Bonjour Zoé d’Almeida," in done.stdout_bytes.decode()


@pytest.mark.parametrize(
    "key", ["", "Hello", "_shared", "2nd", "a b", "é", "../up", "a/b", ".hidden", "a" * 81, "a\n", "con\0"]
)
def test_new_refuses_a_key_that_is_none(tmp_path: Path, key: str) -> None:
    done = new(key, tmp_path)
    assert done.exit_code == 2
    assert "a-z, 0-9, _ and -" in done.stderr.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_new_leaves_an_existing_folder_alone(ours: Path) -> None:
    assert new("hello", ours).exit_code == 0
    before = (ours / "hello" / "template.mjml").read_bytes()
    (ours / "empty").mkdir()
    for key in ("hello", "empty"):
        done = new(key, ours)
        assert done.exit_code == 1
        assert "already" in done.stderr
    assert (ours / "hello" / "template.mjml").read_bytes() == before
    assert list((ours / "empty").iterdir()) == []


def test_new_says_so_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert new("hello", tmp_path / "file").exit_code == 2
    assert new("hello", tmp_path / "missing").exit_code == 2


def test_new_writes_the_language_and_the_background_of_the_other_templates(tmp_path: Path) -> None:
    repository = SERVICE / "templates" / "authoring" / "repository" / "common" / "email_templates"
    shutil.copytree(repository, tmp_path / "mails")
    assert new("order_shipped", tmp_path / "mails").exit_code == 0
    assert check(tmp_path / "mails") == "3 templates: no findings.\n"
    source = (tmp_path / "mails" / "order_shipped" / "template.mjml").read_text()
    assert '<mjml lang="en">' in source
    assert "Hello {{ name }}" in source
    assert '<mj-body background-color="#eceff4">' in source
    assert 'path="../_shared/header.mjml"' in source
