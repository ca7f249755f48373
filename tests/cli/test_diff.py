"""The command `diff`: what it prints, what it writes, and its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.templates.diff.read_report import read_report
from tests.support.checkouts import MAIL, Checkout, changed, write_mail


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """`hello` and `other`, committed."""
    made = Checkout(tmp_path / "checkout")
    for key in ("hello", "other"):
        write_mail(made.mails, key)
    made.commit()
    return made


def run_diff(checkout: Checkout, *arguments: str, base: str = "main") -> Result:
    return CliRunner().invoke(main, ["diff", "--base", base, "--templates", str(checkout.mails), *arguments])


def test_diff_prints_what_ci_shows_and_writes_the_reports(checkout: Checkout, tmp_path: Path) -> None:
    write_mail(
        checkout.mails,
        text=changed("Salut").replace("version: 1", "version: 2").replace("maxLength: 20", "maxLength: 9"),
    )
    out = tmp_path / "made" / "report"
    done = run_diff(checkout, "--out", str(out))
    base = checkout.git("rev-parse", "--short=7", "main")
    assert done.exit_code == 1
    first, *lines = done.stdout.splitlines()
    assert first.split() == f"Mails: 1 of 2 change, 1 the same. base {base} head working tree".split()
    assert lines[:4] == [
        "  hello  v1 -> v2  own text  HTML 1 of 1 example, text 1, headers 1, subject 0",
        "Contract: 1 breaking.",
        '  hello/template.mjml:8:3: variable "amount" has a lower maxLength [breaking-variable]',
        '    To accept: a commit trailer "Breaking: hello".',
    ]
    assert lines[4] == "Findings: 0 new, 0 fixed, 0 as before."
    assert "Fails: breaking." in lines
    report = read_report((out / "report.json").read_bytes())
    assert [(one.key, one.change) for one in report.templates] == [("hello", "changed"), ("other", "same")]
    assert (out / "report.md").read_text().startswith("#")


def test_diff_ends_well_without_a_change(checkout: Checkout) -> None:
    done = run_diff(checkout)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].startswith("Mails: 0 of 2 change, 2 the same.")
    assert "Contract: no change." in done.stdout


def test_diff_prints_the_report_when_json_is_asked_for(checkout: Checkout) -> None:
    write_mail(checkout.mails, text=changed("Salut"))
    report = json.loads(run_diff(checkout, "--json").stdout)
    assert report["version"] == 1
    assert [one["change"] for one in report["templates"]] == ["changed", "same"]


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        (MAIL.replace("version: 1", "version: 1\nactive: false"), "breaking", 1),
        (MAIL.replace("version: 1", "version: 1\nactive: false"), "errors,warnings,snapshots", 0),
        (MAIL.replace("<mj-text>", "<mj-txt>"), "errors", 1),
        (MAIL.replace("variables:", "variables:\n  spare: {type: string, required: false, example: x}"), "warnings", 1),
    ],
)
def test_diff_fails_on_what_it_is_told_to(checkout: Checkout, text: str, words: str, code: int) -> None:
    write_mail(checkout.mails, text=text)
    assert run_diff(checkout, "--fail-on", words).exit_code == code


def test_diff_accepts_breaks_when_it_is_told_to(checkout: Checkout) -> None:
    write_mail(checkout.mails, text=MAIL.replace("version: 1", "version: 1\nactive: false"))
    done = run_diff(checkout, "--allow-breaking")
    assert (done.exit_code, "Contract: 1 breaking (1 accepted)." in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--base", "gone"), "There is no commit 'gone' in this checkout; is it fetched?"),
        (("--base", "main", "--head", "gone"), "There is no commit 'gone' in this checkout"),
        (("--base", "--output=/tmp/x"), "There is no commit"),
        (("--base", "main", "--fail-on", "breaks"), "'breaks' is none of breaking, errors, warnings, snapshots, never"),
        ((), "Missing option '--base'"),
    ],
)
def test_diff_is_used_wrongly_when_a_ref_or_word_is_unknown(
    checkout: Checkout, arguments: tuple[str, ...], said: str
) -> None:
    done = CliRunner().invoke(main, ["diff", "--templates", str(checkout.mails), *arguments])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_diff_says_that_it_needs_a_checkout(tmp_path: Path) -> None:
    write_mail(tmp_path / "mails")
    done = CliRunner().invoke(main, ["diff", "--base", "main", "--templates", str(tmp_path / "mails")])
    assert (done.exit_code, "is not in a git checkout" in done.stderr) == (2, True)


def test_diff_prints_no_control_character_of_an_author(checkout: Checkout) -> None:
    write_mail(checkout.mails, "evil\x1b[2J", MAIL.replace('Bonjour {{ name }}"', 'x"'))
    done = run_diff(checkout, "--fail-on", "never")
    assert "\x1b" not in done.stdout
    assert "evil" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["check", "--sarif", "f/x"], ["check", "--gitlab", "f/x"], ["diff", "--base", "main", "--out", "f/x"]]
)
def test_file_that_an_option_names_and_that_can_not_be_written_is_a_wrong_usage(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (checkout.mails.parent / "f").write_text("")
    monkeypatch.chdir(checkout.mails.parent)
    done = CliRunner().invoke(main, [*arguments, "--templates", str(checkout.mails)])
    assert done.exit_code == 2
    assert "can't be written: Not a directory; name another with --" in done.output or "File exists" in done.output


def test_diff_writes_no_report_through_a_link(checkout: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody's")
    (tmp_path / "out").mkdir()
    for name in ("report.html", "report.json", "report.md"):
        (tmp_path / "out" / name).symlink_to(elsewhere)
    assert run_diff(checkout, "--no-pictures", "--out", str(tmp_path / "out")).exit_code == 0
    assert elsewhere.read_text() == "somebody's"
    assert (tmp_path / "out" / "report.json").read_text().startswith("{")


@pytest.mark.parametrize("moved_to", ["deep/letters", "."])
def test_template_directory_that_moves_is_compared_with_where_it_was(tmp_path: Path, moved_to: str) -> None:
    made = Checkout(tmp_path / "checkout")
    write_mail(made.mails)
    (made.top / "rgz-email.toml").write_text('templates = "mails"\n')
    made.commit()
    made.git("checkout", "--quiet", "-b", "moved")
    (made.top / "rgz-email.toml").write_text(f'templates = "{moved_to}"\n')
    folder = made.top / moved_to
    folder.mkdir(parents=True, exist_ok=True)
    (made.mails / "hello").rename(folder / "hello")
    write_mail(folder, text=MAIL.replace("maxLength: 20", "maxLength: 9").replace("version: 1", "version: 2"))
    made.commit()
    done = CliRunner().invoke(main, ["diff", "--base", "main", "--templates", str(folder), "--no-pictures"])
    assert 'hello/template.mjml:8:3: variable "amount" has a lower maxLength [breaking-variable]' in done.output
    assert (done.exit_code, "[template-new]" in done.output) == (1, False)
    checked = CliRunner().invoke(main, ["check", "--base", "main", "--templates", str(folder)])
    assert "breaking-variable" in checked.output
    assert checked.exit_code == 1


def test_diff_tells_half_of_a_character_as_an_error_of_its_template(checkout: Checkout) -> None:
    write_mail(checkout.mails, text=changed('Salut {{ "\\ud83d" }}'))
    done = run_diff(checkout, "--no-pictures")
    assert done.exit_code == 1, done.output
    assert "hello/template.mjml:16:16: error: half of a character" in done.stdout
