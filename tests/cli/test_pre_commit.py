"""scripts/pre-commit as git runs it: what a commit touches is checked, and nothing else."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.checkouts import MAIL, Checkout, write_mail
from tests.support.paths import ROOT
from tests.support.processes import COMMAND

pytestmark = pytest.mark.slow

WRONG = MAIL.replace("</mj-text>", "</mj-txt>")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with the hook installed as its own comment says, and nothing committed yet."""
    made = Checkout(tmp_path / "checkout", "email_templates")
    (made.top / "scripts").mkdir()
    shutil.copy2(ROOT / "scripts" / "pre-commit", made.top / "scripts" / "pre-commit")
    (made.top / ".venv" / "bin").mkdir(parents=True)
    (made.top / ".venv" / "bin" / "rgz-email").symlink_to(COMMAND)
    (made.top / ".gitignore").write_text(".venv/\n")
    (made.top / ".git" / "hooks").mkdir(exist_ok=True)
    (made.top / ".git" / "hooks" / "pre-commit").symlink_to("../../scripts/pre-commit")
    write_mail(made.mails)
    return made


def commit(checkout: Checkout, *paths: str) -> subprocess.CompletedProcess[str]:
    checkout.git("add", "--", *(paths or (".",)))
    return checkout.attempt("commit", "--quiet", "--message", "A change")


def test_pre_commit_checks_the_first_commit_without_a_base(checkout: Checkout) -> None:
    write_mail(checkout.mails, "other", WRONG)
    refused = commit(checkout)
    assert refused.returncode == 1
    assert "other/template.mjml:" in refused.stdout + refused.stderr
    write_mail(checkout.mails, "other")
    done = commit(checkout)
    assert done.returncode == 0, done.stderr
    assert "2 templates: no findings." in done.stdout + done.stderr


def test_pre_commit_checks_only_what_the_commit_touches_against_the_last_one(checkout: Checkout) -> None:
    write_mail(checkout.mails, "other")
    commit(checkout)
    write_mail(checkout.mails, "other", WRONG)
    write_mail(checkout.mails, text=MAIL.replace("<mj-text>Bonjour", "<mj-text>Bonsoir"))
    refused = commit(checkout, "email_templates/hello")
    said = refused.stdout + refused.stderr
    assert refused.returncode == 1
    assert "[version-not-raised]" in said
    assert "other/" not in said
    assert "not staged" in said
    write_mail(checkout.mails, text=MAIL.replace("<mj-text>Bonjour", "<mj-text>Bonsoir").replace("on: 1", "on: 2"))
    assert commit(checkout, "email_templates/hello").returncode == 0


def test_pre_commit_checks_every_template_when_a_shared_part_changes(checkout: Checkout) -> None:
    text = MAIL.replace("<mj-body>", '<mj-body><mj-include path="../_shared/part.mjml" />')
    write_mail(checkout.mails, text=text)
    part = checkout.mails / "_shared" / "part.mjml"
    part.parent.mkdir()
    part.write_text("<mj-section></mj-section>\n")
    assert commit(checkout).returncode == 0
    part.write_text("<mj-sektion></mj-sektion>\n")
    refused = commit(checkout)
    assert refused.returncode == 1
    assert "_shared/part.mjml:1:1: error" in refused.stdout + refused.stderr


def test_pre_commit_passes_a_commit_that_touches_no_template(checkout: Checkout) -> None:
    commit(checkout)
    write_mail(checkout.mails, text=WRONG)
    (checkout.top / "notes.txt").write_text("x")
    (checkout.mails / "README.md").write_text("x")
    (checkout.mails / "no_template").mkdir()
    (checkout.mails / "no_template" / "notes.txt").write_text("x")
    done = commit(checkout, "notes.txt", "email_templates/README.md", "email_templates/no_template")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_pre_commit_warns_of_a_deleted_template_and_lets_it_go(checkout: Checkout) -> None:
    write_mail(checkout.mails, "other")
    commit(checkout)
    checkout.git("rm", "-r", "--quiet", "email_templates/hello")
    done = checkout.attempt("commit", "--quiet", "--message", "A change")
    assert done.returncode == 0
    assert "[template-removed]" in done.stdout + done.stderr
    checkout.git("rm", "-r", "--quiet", "email_templates/other")
    assert checkout.attempt("commit", "--quiet", "--message", "All of them").returncode == 0


def test_pre_commit_says_what_to_do_without_the_command(checkout: Checkout) -> None:
    (checkout.top / ".venv" / "bin" / "rgz-email").unlink()
    hook = subprocess.run(
        ["bash", "scripts/pre-commit"],
        cwd=checkout.top,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert hook.returncode == 1
    assert "./scripts/check" in hook.stderr


def test_pre_commit_tool_users_find_their_hook() -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"  # the tool installs this package, and with it the command
    assert hook["entry"].split()[:2] == ["rgz-email", "check"]
    assert hook["pass_filenames"] is False  # the command takes keys, not files
