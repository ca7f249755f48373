"""Commands find the templates of the project in which they are called."""

from pathlib import Path

from service import __version__
from tests.support.checkouts import write_mail
from tests.support.processes import run, run_here


def project(root: Path, *lines: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / "rgz-email.toml").write_text("\n".join(lines))
    write_mail(root / "mails")
    return root / "mails"


def test_check_takes_the_templates_of_the_project_from_a_folder_below(tmp_path: Path) -> None:
    mails = project(tmp_path / "one", 'templates = "mails"')
    done = run_here("check", environment={}, cwd=mails / "hello")
    assert (done.returncode, done.stdout) == (0, "1 template: no findings.\n")


def test_check_takes_the_setting_before_the_project_and_the_option_before_both(tmp_path: Path) -> None:
    mails = project(tmp_path / "one", 'templates = "mails"')
    write_mail(tmp_path / "two", "a")
    write_mail(tmp_path / "two", "b")
    environment = {"EMAIL_TEMPLATES_DIR": str(tmp_path / "two")}
    assert run_here("check", environment=environment, cwd=mails).stdout == "2 templates: no findings.\n"
    options = ("--templates", str(mails))
    assert run_here("check", *options, environment=environment, cwd=tmp_path).stdout == "1 template: no findings.\n"


def test_check_refuses_a_project_that_requires_another_version(tmp_path: Path) -> None:
    mails = project(tmp_path / "one", 'templates = "mails"', 'requires = ">=99"')
    done = run("check", environment={}, cwd=mails)
    assert done.returncode == 2
    assert f"rgz-email.toml requires rgz-email >=99, and {__version__} is installed" in done.stderr


def test_check_takes_the_folder_email_templates_when_there_is_no_project(tmp_path: Path) -> None:
    write_mail(tmp_path / "email_templates")
    assert run("check", environment={}, cwd=tmp_path).stdout == "1 template: no findings.\n"
