"""The command `snapshots`: what differs, misses or is left over, and taking what is rendered now."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.support.checkouts import MAIL, changed, write_mail
from tests.support.processes import run_here


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    """Two templates whose mails are recorded."""
    write_mail(tmp_path / "mails", "a")
    write_mail(tmp_path / "mails", "b")
    assert snapshots(tmp_path / "mails", "--update").exit_code == 0
    return tmp_path / "mails"


def snapshots(mails: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["snapshots", "--templates", str(mails), *arguments])


def test_snapshots_needs_no_settings_and_takes_the_project_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "rgz-email.toml").write_text('templates = "mails"\nsnapshots = "shots"\n')
    write_mail(tmp_path / "mails")
    done = run_here("snapshots", "--update", environment={}, cwd=tmp_path / "mails" / "hello")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "recorded shots/hello/fr.default.headers",
        "recorded shots/hello/fr.default.html",
        "recorded shots/hello/fr.default.txt",
        "1 mail of 1 template, files: 3 equal, 0 differ, 0 missing, 0 orphans.",
    ]
    assert (tmp_path / "shots" / "hello" / "fr.default.txt").read_text() == "Bonjour Zoé, 7\n"


def test_snapshots_are_equal_after_an_update(mails: Path) -> None:
    done = snapshots(mails)
    assert (done.exit_code, done.output) == (
        0,
        "2 mails of 2 templates, files: 6 equal, 0 differ, 0 missing, 0 orphans.\n",
    )


def test_snapshots_prints_the_words_that_changed_what_misses_and_orphans(mails: Path) -> None:
    write_mail(mails, "a", changed("Bonsoir"))
    write_mail(mails, "c")
    (mails / "b" / "template.mjml").unlink()
    done = snapshots(mails)
    assert done.exit_code == 1
    assert "snapshots/a/fr.default.txt differs:\n! [-Bonjour-]{+Bonsoir+} Zoé, 7\n" in done.output
    assert "snapshots/c/fr.default.html is missing: no rendering is recorded\n" in done.output
    assert "snapshots/b/fr.default.headers is an orphan: no mail has it any more\n" in done.output
    assert done.output.endswith(
        "2 mails of 2 templates, files: 1 equal, 2 differ, 3 missing, 3 orphans.\n"
        "To record what is rendered now: rgz-email snapshots --update\n"
    )
    assert snapshots(mails, "c").output.endswith(
        "1 mail of 1 template, files: 0 equal, 0 differ, 3 missing, 0 orphans.\n"
        "To record what is rendered now: rgz-email snapshots --update\n"
    )
    assert snapshots(mails, "--update").exit_code == 0
    assert sorted(path.name for path in (mails.parent / "snapshots").iterdir()) == ["a", "c"]


def test_snapshots_as_json_has_all_that_is_printed(mails: Path) -> None:
    write_mail(mails, "a", changed("Bonsoir"))
    (mails / "b" / "examples").mkdir()
    (mails / "b" / "examples" / "default.yaml").write_text("{name: Zoé, amount: 7}\n")
    (mails / "b" / "examples" / "default.expect.yaml").write_text("links:\n  - https://rgz.example\n")
    done = snapshots(mails, "--json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert [(one["file"], one["line"], one["code"]) for one in answer.pop("findings")] == [
        ("b/examples/default.expect.yaml", 2, "expectation-unmet")
    ]
    assert answer == {
        "templates": 2,
        "mails": 2,
        "equal": 4,
        "differing": ["a/fr.default.html", "a/fr.default.txt"],
        "missing": [],
        "orphans": [],
        "failures": [],
        "updated": [],
        "deleted": [],
    }


def test_snapshots_of_a_broken_template_are_kept(mails: Path) -> None:
    write_mail(mails, "a", MAIL.replace("</mj-text>", ""))
    done = snapshots(mails, "--update")
    assert done.exit_code == 1
    assert "a/template.mjml:16:1: <mj-text> is never closed" in done.output
    assert "[unclosed-tag]" in done.output
    assert "2 mails of 2 templates, files: 3 equal, 0 differ, 0 missing, 0 orphans.\n" in done.output
    assert (mails.parent / "snapshots" / "a" / "fr.default.txt").is_file()


def test_snapshots_of_an_unknown_template_are_a_wrong_usage(mails: Path) -> None:
    done = snapshots(mails, "x")
    assert done.exit_code == 2
    assert "There is no template 'x'; there are: a, b." in done.output


def test_check_refuses_names_that_differ_in_case_alone(mails: Path) -> None:
    write_mail(mails, "A")
    done = CliRunner().invoke(main, ["check", "--templates", str(mails), "--json"])
    assert done.exit_code == 1
    [found] = json.loads(done.stdout)["findings"]
    assert (found["code"], found["file"], found["severity"]) == ("file-case", "a/template.mjml", "error")
