"""The command `check`: mistakes with their places, the comparison with a commit, its output and exit status."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from service.cli import main
from tests.support.checkouts import MAIL, Checkout, write_mail
from tests.support.processes import run, run_here
from tests.support.samples import PHONE


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """`hello` in version 1, committed."""
    made = Checkout(tmp_path / "checkout")
    write_mail(made.mails)
    made.commit()
    return made


def checked(root: Path, *arguments: str, code: int) -> list[dict[str, Any]]:
    done = CliRunner().invoke(main, ["check", *arguments, "--json", "--templates", str(root)])
    assert done.exit_code == code, done.output
    answer = json.loads(done.stdout)
    assert answer.keys() == {"findings", "templates"}
    findings: list[dict[str, Any]] = answer["findings"]
    return findings


def codes(findings: list[dict[str, Any]]) -> list[str]:
    return [finding["code"] for finding in findings]


def line_of(source: Path, text: str) -> int:
    return next(number for number, line in enumerate(source.read_text().splitlines(), 1) if text in line)


def test_check_needs_no_settings_no_data_directory_and_no_checkout(tmp_path: Path) -> None:
    write_mail(tmp_path / "mails")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run("check", "--templates", str(tmp_path / "mails"), environment={}, cwd=elsewhere)
    assert (done.returncode, done.stdout) == (0, "1 template: no findings.\n")
    assert list(elsewhere.iterdir()) == []


def test_check_finds_nothing_in_the_mails_of_this_repository(tmp_path: Path) -> None:
    done = run_here("check", "--json", environment={"EMAIL_SITE_PHONE": PHONE}, cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"findings": [], "templates": 10})


def test_check_prints_each_mistake_with_its_place_in_order_and_counts_them(tmp_path: Path) -> None:
    write_mail(tmp_path, "b", MAIL.replace("<mj-text>", '<mj-text fontsize="3px">').replace("{{ name }},", "x"))
    write_mail(tmp_path, "a", MAIL.replace("Bonjour {{ name }}{%", "Bonjour {{ nom }}{%"))
    done = run_here("check", "--templates", str(tmp_path), environment={})
    assert done.returncode == 1
    *lines, summary = done.stdout.splitlines()
    pattern = r"([ab])/template\.mjml:(\d+):(\d+): (error|warning): .+ \[[a-z_-]+\]"
    found = [re.fullmatch(pattern, line) for line in lines]
    assert all(found), lines
    places = [(one[1], int(one[2]), int(one[3])) for one in found if one]
    assert places == sorted(places)
    assert re.fullmatch(r"2 templates: 2 errors(, \d+ warnings?)?\.", summary)
    assert '(did you mean "font-size"?)' in done.stdout


def test_check_ends_well_with_warnings_alone(tmp_path: Path) -> None:
    write_mail(tmp_path, text=MAIL.replace("variables:", "variables:\n  spare: {type: string, example: x}"))
    [finding] = checked(tmp_path, code=0)
    assert finding.keys() == {"file", "line", "column", "severity", "code", "message", "hint"}
    assert (finding["severity"], finding["code"], finding["line"]) == ("warning", "unused-variable", 7)
    done = run_here("check", "--templates", str(tmp_path), environment={})
    assert done.stdout.endswith("1 template: 1 warning.\n")


def test_check_looks_at_the_named_templates_alone(tmp_path: Path) -> None:
    write_mail(tmp_path, "good")
    write_mail(tmp_path, "bad", "no front matter")
    assert checked(tmp_path, "good", code=0) == []
    assert codes(checked(tmp_path, "bad", "good", code=1)) == codes(checked(tmp_path, code=1))


def test_check_tells_a_mistake_in_a_shared_part_once(tmp_path: Path) -> None:
    for key in ("one", "two"):
        text = MAIL.replace("<mj-body>", '<mj-body><mj-include path="../_shared/part.mjml" />')
        write_mail(tmp_path, key, text)
    (tmp_path / "_shared").mkdir()
    (tmp_path / "_shared" / "part.mjml").write_text("<mj-section>\n  <mj-colum></mj-colum>\n</mj-section>\n")
    [finding] = checked(tmp_path, code=1)
    assert (finding["file"], finding["line"]) == ("_shared/part.mjml", 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "There is no template 'nothing'; there are: hello."),
        (["--base", "nothing"], "There is no commit 'nothing'"),
        (["--base", "--all"], "There is no commit '--all'"),
        (["--base"], "requires an argument"),
        (["--unknown"], "No such option"),
    ],
    ids=" ".join,
)
def test_check_ends_with_2_and_a_sentence_when_used_wrongly(
    checkout: Checkout, arguments: list[str], said: str
) -> None:
    done = CliRunner().invoke(main, ["check", "--templates", str(checkout.mails), *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_check_ends_with_2_when_the_directory_is_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    for arguments, environment in ((["--templates", missing], {}), ([], {"EMAIL_TEMPLATES_DIR": missing})):
        done = run_here("check", *arguments, environment=environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert missing in done.stderr.replace("\n", "")


def test_check_base_outside_of_a_checkout_or_without_git_is_wrong_usage(tmp_path: Path, checkout: Checkout) -> None:
    write_mail(tmp_path / "plain")
    done = run_here("check", "--base", "main", "--templates", str(tmp_path / "plain"), environment={})
    assert (done.returncode, done.stdout) == (2, "")
    assert "not in a git checkout" in done.stderr
    no_git = {"PATH": str(tmp_path), "HOME": os.environ.get("HOME", "")}
    done = run_here("check", "--base", "main", "--templates", str(checkout.mails), environment=no_git)
    assert done.returncode == 2
    assert "no git on this machine" in done.stderr
    assert run_here("check", "--templates", str(checkout.mails), environment=no_git).returncode == 0


def test_check_base_passes_where_nothing_has_changed(checkout: Checkout) -> None:
    assert checked(checkout.mails, "--base", "HEAD", code=0) == []


def test_version_must_be_raised_when_content_changed(checkout: Checkout) -> None:
    source = write_mail(checkout.mails, text=MAIL.replace("<mj-text>Bonjour", "<mj-text>Bonsoir"))
    [finding] = checked(checkout.mails, "--base", "main", code=1)
    assert (finding["code"], finding["severity"]) == ("version-not-raised", "error")
    assert (finding["file"], finding["line"], finding["column"]) == (
        "hello/template.mjml",
        line_of(source, "version: 1"),
        1,
    )
    assert finding["hint"] == "write version: 2"
    source.write_text(source.read_text().replace("version: 1", "version: 2"))
    assert checked(checkout.mails, "--base", "main", code=0) == []


@pytest.mark.parametrize("name", ["template.txt", "template.en.mjml"])
def test_version_must_be_raised_for_each_part_of_the_own_source(checkout: Checkout, name: str) -> None:
    content = "Bonjour {{ name }}" if name.endswith("txt") else MAIL.partition("---\n<")[2].join(["<", ""])
    (checkout.mails / "hello" / name).write_text(content)
    assert "version-not-raised" in codes(checked(checkout.mails, "--base", "main", code=1))


def test_version_may_stay_when_examples_shared_parts_and_line_endings_change(checkout: Checkout) -> None:
    (checkout.mails / "_shared").mkdir()
    (checkout.mails / "_shared" / "part.txt").write_text("x")
    (checkout.mails / "hello" / "examples").mkdir()
    (checkout.mails / "hello" / "examples" / "default.yaml").write_text("name: Ada\n")
    (checkout.mails / "hello" / "template.mjml").write_bytes(MAIL.replace("\n", "\r\n").encode())
    assert checked(checkout.mails, "--base", "main", code=0) == []


def test_version_may_not_go_down(checkout: Checkout) -> None:
    write_mail(checkout.mails, text=MAIL.replace("version: 1", "version: 5"))
    checkout.commit()
    source = write_mail(checkout.mails, text=MAIL.replace("version: 1", "version: 4"))
    [finding] = checked(checkout.mails, "--base", "HEAD", code=1)
    assert (finding["code"], finding["line"]) == ("version-went-down", line_of(source, "version: 4"))


def test_version_check_excuses_git_revert(checkout: Checkout) -> None:
    write_mail(checkout.mails, text=MAIL.replace("version: 1", "version: 2").replace("Bonjour", "Salut"))
    second = checkout.commit()
    assert codes(checked(checkout.mails, "--base", "HEAD~1", code=0)) == []
    checkout.git("revert", "--no-edit", second)
    assert checked(checkout.mails, "--base", second, code=0) == []
    write_mail(checkout.mails, text=MAIL + "\n")
    assert codes(checked(checkout.mails, "--base", second, code=1)) == ["version-went-down"]


def test_version_check_excuses_no_commit_of_the_branch_itself(checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "-b", "topic")
    write_mail(checkout.mails, text=MAIL.replace("<mj-text>Bonjour", "<mj-text>Bonsoir"))
    checkout.commit()
    assert codes(checked(checkout.mails, "--base", "main", code=1)) == ["version-not-raised"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    required: false\n", "", '"amount" became required'),
        ("[string, integer]", "[integer]", "no longer accepts the type string"),
        ("minimum: 0", "minimum: 1", "higher minimum"),
        ("minimum: 0", "exclusiveMinimum: 0", "higher minimum"),
        ("minimum: 0", "maximum: 9", "lower maximum"),
        ("maxLength: 20", "maxLength: 19", "lower maxLength"),
        ("maxLength: 20", "maxLength: 20\n    minLength: 1", "higher minLength"),
        ("maxLength: 20", "maxLength: 20\n    pattern: '^[0-9]+$'", "a new pattern"),
        ("maxLength: 20", "maxLength: 20\n    format: date", "a new format"),
        ("maxLength: 20", "maxLength: 20\n    enum: [7, '7']", "a fixed list of values"),
        ("maxLength: 20", "maxLength: 20\n    multipleOf: 7", "a multiple of another number"),
    ],
    ids=lambda value: value.strip(),
)
def test_variable_made_narrower_breaks_callers_at_its_line(checkout: Checkout, old: str, new: str, said: str) -> None:
    text = MAIL.replace(old, new).replace("version: 1", "version: 2")
    source = write_mail(checkout.mails, text=text)
    [finding] = checked(checkout.mails, "--base", "main", code=1)
    assert (finding["code"], finding["severity"]) == ("breaking-variable", "error")
    assert finding["line"] == line_of(source, "  amount:")
    assert said in finding["message"]
    [allowed] = checked(checkout.mails, "--base", "main", "--allow-breaking", code=0)
    assert allowed == finding | {"severity": "warning"}


def test_check_says_how_a_break_is_accepted_until_it_is(checkout: Checkout) -> None:
    write_mail(checkout.mails, text=MAIL.replace("minimum: 0", "minimum: 1").replace("version: 1", "version: 2"))

    def said(*arguments: str) -> str:
        command = ["check", "--base", "main", *arguments, "--templates", str(checkout.mails)]
        return CliRunner().invoke(main, command).stdout

    assert said().splitlines()[-1] == 'To accept what breaks callers: a commit trailer "Breaking: hello".'
    assert "To accept" not in said("--allow-breaking")


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("", "attachments: {allowed: true, required: [pdf]}\n", "breaking-attachment"),
        ("attachments: {types: [pdf, csv]}\n", "attachments: {types: [pdf]}\n", "breaking-attachment"),
        ("", "active: false\n", "template-inactive"),
    ],
)
def test_check_reports_every_break_of_the_contract_unless_a_trailer_accepts_it(
    checkout: Checkout, before: str, after: str, code: str
) -> None:
    write_mail(checkout.mails, text=MAIL.replace("version: 1\n", f"version: 1\n{before}"))
    base = checkout.commit()
    write_mail(checkout.mails, text=MAIL.replace("version: 1\n", f"version: 2\n{after}"))
    [finding] = checked(checkout.mails, "--base", base, code=1)
    assert (finding["code"], finding["severity"], finding["line"]) == (code, "error", 6)
    checkout.commit("Change it\n\nBreaking: other, hello")
    [finding] = checked(checkout.mails, "--base", base, code=0)
    assert (finding["code"], finding["severity"]) == (code, "warning")


def test_variable_removed_or_newly_required_breaks_callers(checkout: Checkout) -> None:
    text = MAIL.replace("name", "nom").replace("version: 1", "version: 2")
    source = write_mail(checkout.mails, text=text)
    found = checked(checkout.mails, "--base", "main", code=1)
    told = {(one["line"], one["message"]) for one in found if one["code"] == "breaking-variable"}
    assert told == {
        (line_of(source, "variables:"), 'variable "name" was removed, and a request that still has it is refused'),
        (line_of(source, "  nom:"), 'variable "nom" is new and required'),
    }


def test_variable_made_wider_breaks_nobody(checkout: Checkout) -> None:
    wider = (
        MAIL.replace("version: 1", "version: 2")
        .replace("[string, integer]", "[string, number, 'null']")
        .replace("minimum: 0", "minimum: -1")
        .replace("    maxLength: 20\n", "")
        .replace("name: {type: string", "name: {type: [string, integer], default: Ada")
    )
    write_mail(checkout.mails, text=wider)
    assert checked(checkout.mails, "--base", "main", code=0) == []


def test_variable_inside_of_a_list_counts_and_is_named(checkout: Checkout) -> None:
    rows = "variables:\n  rows:\n    type: array\n    items: {type: object, properties: {label: %s}}\n    example: []\n"
    body = MAIL.replace("</mj-text>", "{% for row in rows %}{{ row.label }}{% endfor %}</mj-text>")
    write_mail(checkout.mails, text=body.replace("variables:\n", rows % "[string, integer]"))
    checkout.commit()
    narrower = body.replace("variables:\n", rows % "string").replace("version: 1", "version: 2")
    source = write_mail(checkout.mails, text=narrower)
    [finding] = checked(checkout.mails, "--base", "HEAD", code=1)
    assert finding["message"].startswith('variable "rows[].label" no longer accepts the type integer')
    assert finding["line"] == line_of(source, "items:")


def test_template_that_is_gone_is_a_warning_and_may_be_named(checkout: Checkout) -> None:
    write_mail(checkout.mails, "other")
    (checkout.mails / "hello" / "template.mjml").unlink()
    for arguments in ([], ["hello"]):
        [finding] = checked(checkout.mails, *arguments, "--base", "main", code=0)
        assert (finding["code"], finding["severity"]) == ("template-removed", "warning")
        assert (finding["file"], finding["line"], finding["column"]) == ("hello/template.mjml", 1, 1)


def test_template_that_is_new_has_nothing_to_be_compared_with(checkout: Checkout) -> None:
    write_mail(checkout.mails, "brand_new")
    assert checked(checkout.mails, "--base", "main", code=0) == []


def test_check_base_that_was_broken_or_had_no_such_directory_compares_what_it_can(checkout: Checkout) -> None:
    write_mail(checkout.mails, text="nothing of a template")
    checkout.commit()
    write_mail(checkout.mails)
    assert checked(checkout.mails, "--base", "HEAD", code=0) == []
    later = checkout.top / "later"
    write_mail(later)
    assert checked(later, "--base", "HEAD", code=0) == []


def test_templates_may_lie_at_the_top_of_the_checkout(tmp_path: Path) -> None:
    top = Checkout(tmp_path / "checkout", ".")
    (top.top / "notes.txt").write_text("x")
    write_mail(top.mails)
    top.commit()
    assert checked(top.mails, "--base", "HEAD", code=0) == []
    write_mail(top.mails, text=MAIL.replace("<mj-text>Bonjour", "<mj-text>Bonsoir"))
    assert codes(checked(top.mails, "--base", "HEAD", code=1)) == ["version-not-raised"]


def test_check_base_ignores_hooks_settings_and_variables_of_git(checkout: Checkout, tmp_path: Path) -> None:
    environment = {"GIT_DIR": str(tmp_path / "nowhere"), "GIT_WORK_TREE": str(tmp_path), "GIT_INDEX_FILE": "/x"}
    done = run_here("check", "--base", "HEAD", "--templates", str(checkout.mails), environment=environment)
    assert done.returncode == 0, done.stderr


def test_check_writes_what_ci_takes_when_it_is_asked_for(checkout: Checkout, tmp_path: Path) -> None:
    write_mail(checkout.mails, "hello", MAIL.replace("Bonjour {{ name }}", "Bonjour {{ nom }}"))
    sarif, quality = tmp_path / "check.sarif", tmp_path / "quality.json"
    arguments = ["--github", "--sarif", str(sarif), "--gitlab", str(quality), "--templates", str(checkout.mails)]
    done = CliRunner().invoke(main, ["check", *arguments])
    assert done.exit_code == 1
    commands = done.stdout.splitlines()
    assert commands[-1].startswith("1 template: ")
    path = checkout.mails.relative_to(checkout.top).as_posix() + "/hello/template.mjml"
    assert all(one.startswith(("::error file=", "::warning file=")) for one in commands[:-1])
    assert f"file={path}," in commands[0]
    results = json.loads(sarif.read_text("utf-8"))["runs"][0]["results"]
    assert len(results) == len(json.loads(quality.read_text("utf-8"))) == len(commands) - 1


@pytest.mark.parametrize(
    ("name", "data", "code", "shown"),
    [
        ("b/Template.mjml", b"", "file-case", "b/Template.mjml"),
        ("b/template.MJML", b"", "file-case", "b/template.MJML"),
        ("a/TEMPLATE.txt", b"", "file-case", "a/TEMPLATE.txt"),
        ("a/Examples/more.yaml", b"", "file-case", "a/Examples/more.yaml"),
        ("a/examples/more.YAML", b"", "file-case", "a/examples/more.YAML"),
        ("b/template.mjml", b"<" * 2_000_001, "file-too-large", "b/template.mjml"),
        ("a/examples/\udcff.yaml", b"", "file-name", "a/examples/\\xff.yaml"),
        ("b\n/template.mjml", b"", "file-name", "b\\x0a/template.mjml"),
    ],
)
def test_file_that_is_left_out_is_an_error(tmp_path: Path, name: str, data: bytes, code: str, shown: str) -> None:
    root = write_mail(tmp_path, "a").parents[1]
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    done = CliRunner().invoke(main, ["check", "--templates", str(root), "--json"])
    found = json.loads(done.stdout)["findings"]
    assert [(one["code"], one["file"], one["severity"]) for one in found if one["severity"] == "error"] == [
        (code, shown, "error")
    ]
    assert done.exit_code == 1
