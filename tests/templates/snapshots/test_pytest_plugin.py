"""The pytest plugin in a template repository of somebody else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkouts import MAIL, changed, write_mail

pytestmark = pytest.mark.slow

#: Warnings are errors, as in many repositories.
INI = "[pytest]\nfilterwarnings = error\n"
#: The plugins by name, because finding those of everything that is installed takes most of the time.
PLUGINS = ("-p", "no:cacheprovider", "-p", "syrupy", "-p", "service.templates.snapshots.pytest_plugin")
IN_PROCESSES = ("-p", "xdist.plugin", "-n", "2")
IN_RANDOM_ORDER = ("-p", "pytest_randomly")


def environment_of_pytest() -> dict[str, str]:
    """The environment without the options that the pytest of these tests was given."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two mails, without snapshots."""
    (tmp_path / "rgz-email.toml").write_text("")
    (tmp_path / "pytest.ini").write_text(INI)
    write_mail(tmp_path / "email_templates", "hello")
    write_mail(tmp_path / "email_templates", "build")  # a name that pytest does not look into by itself
    (tmp_path / "email_templates" / "_shared").mkdir()
    return tmp_path


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *PLUGINS, *arguments]
    environment = {**environment_of_pytest(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)


def outcome(done: subprocess.CompletedProcess[str]) -> str:
    """The last line without its time and its decoration."""
    return re.sub(r" in [\d.]+s.*", "", done.stdout.strip().splitlines()[-1]).strip("= ")


def snapshots(repository: Path) -> dict[str, str]:
    folder = repository / "snapshots"
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_plugin_takes_compares_and_tells_the_words_that_changed(repository: Path) -> None:
    missing = run(repository, "-q")
    assert outcome(missing) == "2 failed"
    assert "snapshots/hello/fr.default.html is missing: no rendering is recorded; to record" in missing.stdout
    assert "FAILED email_templates/hello/fr.default::snapshot" in missing.stdout

    updated = run(repository, *IN_RANDOM_ORDER, "--snapshot-update")
    assert outcome(updated) == "2 passed", updated.stdout
    taken = snapshots(repository)
    assert {path.split(".")[-1] for path in taken} == {"html", "txt", "headers"}
    assert taken["hello/fr.default.txt"] == "Bonjour Zoé, 7\n"

    write_mail(repository / "email_templates", "hello", changed("Bonsoir"))
    (repository / "snapshots" / "hello" / "fr.gone.html").write_text("x")
    (repository / "snapshots" / "unknown").mkdir()
    (repository / "snapshots" / "unknown" / "fr.default.txt").write_text("x")
    (repository / "email_templates" / "build" / "examples").mkdir()
    (repository / "email_templates" / "build" / "examples" / "default.expect.yaml").write_text("contains: [Salut]\n")
    # There is an example in a file now, whose absence was made up for by the variables' own.
    (repository / "email_templates" / "build" / "examples" / "default.yaml").write_text("{name: Zoé, amount: 7}\n")
    differs = run(repository, "-k", "snapshot")
    assert outcome(differs) == "4 failed", differs.stdout
    assert "! [-Bonjour-]{+Bonsoir+} Zoé, 7" in differs.stdout
    assert "snapshots/hello/fr.gone.html is an orphan: no mail has it any more; delete it, or to" in differs.stdout
    assert "snapshots/unknown/fr.default.txt is an orphan" in differs.stdout
    assert 'build/examples/default.expect.yaml:1:12: fr.default does not say "Salut"' in differs.stdout
    updated = run(repository, "--snapshot-update")
    assert outcome(updated) == "1 failed, 3 passed", updated.stdout
    assert {path.split("/")[0] for path in snapshots(repository)} == {"hello", "build"}
    assert "fr.gone.html" not in "".join(snapshots(repository))
    assert snapshots(repository)["hello/fr.default.txt"] == "Bonsoir Zoé, 7\n"


def test_plugin_fails_the_mails_of_a_broken_template_alone(repository: Path) -> None:
    assert outcome(run(repository, "--snapshot-update")) == "2 passed"
    write_mail(repository / "email_templates", "hello", MAIL.replace("</mj-text>", ""))
    loop = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"
    write_mail(repository / "email_templates", "loops", changed(loop))
    done = run(repository)
    assert outcome(done) == "2 failed, 1 passed", done.stdout
    assert "hello has errors:\nhello/template.mjml:" in done.stdout
    assert "loops has errors:\nloops/template.mjml:" in done.stdout


def test_plugin_leaves_a_folder_without_a_project_and_other_tests_alone(repository: Path) -> None:
    (repository / "rgz-email.toml").unlink()
    (repository / "test_own.py").write_text("def test_own(snapshot): assert 1 == snapshot\n")
    assert outcome(run(repository, "--snapshot-update")) == "1 passed"
    assert not (repository / "snapshots").exists()
    (repository / "rgz-email.toml").write_text("")
    done = run(repository, *IN_PROCESSES, "--snapshot-update")
    assert outcome(done) == "3 passed", done.stdout
    assert snapshots(repository).keys() >= {"hello/fr.default.html", "build/fr.default.txt"}
    assert (repository / "__snapshots__" / "test_own.ambr").is_file()
    assert outcome(run(repository, "-q")) == "3 passed"


def test_plugin_is_found_by_pytest_and_knows_a_mail_by_its_name(repository: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:valkey",
        "--collect-only",
        "-q",
        "email_templates/hello/fr.default",
    ]
    environment = environment_of_pytest()
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "email_templates/hello/fr.default::snapshot", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "told"),
    [
        ('templates = "../x"', (), "rgz-email.toml:1: templates must be a folder below"),
        ('requires = ">=99"', (), "rgz-email.toml requires rgz-email >=99, and"),
        ("", ("-p", "no:syrupy"), "pip install 'rgz-email[snapshots]'"),
    ],
)
def test_plugin_refuses_to_run_with_a_sentence(
    repository: Path, text: str, arguments: tuple[str, ...], told: str
) -> None:
    (repository / "rgz-email.toml").write_text(text)
    done = run(repository, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert told in done.stderr


def test_plugin_writes_and_deletes_nothing_through_a_link(repository: Path) -> None:
    elsewhere = repository / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "index.html").write_text("somebody's")
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / "hello").symlink_to(elsewhere)
    done = run(repository, "-q", "--snapshot-update")
    assert "snapshots/hello/fr.default.html is, or is in, a symbolic link" in done.stdout
    assert outcome(done) == "1 failed, 1 passed"
    assert [one.name for one in elsewhere.iterdir()] == ["index.html"]
