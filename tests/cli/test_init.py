"""The command `init`: a template repository that passes its own checks, or a sentence that says why there is none."""

import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from packaging.specifiers import SpecifierSet

from service import __version__
from service.cli import main
from service.errors import Conflict
from service.templates.authoring.new_repository import required_range, write_repository

FORGES = ("github", "gitlab")


@dataclass(frozen=True)
class Made:
    """A repository that `init` made, and what it printed."""

    forge: str
    folder: Path
    said: str

    @property
    def files(self) -> dict[str, bytes]:
        return files_of(self.folder)


def init(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["init", str(folder), *options])


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module", params=FORGES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("init") / request.param
    done = init(folder, "--forge", request.param)
    assert done.exit_code == 0, done.output
    return Made(request.param, folder, done.stdout)


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One that was made in a folder of another checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return Made("github", folder / "mails", init(folder / "mails").stdout)


def test_init_makes_mails_without_findings_in_every_environment(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.folder)
    for options in ([], ["--environment", "production"]):
        done = CliRunner().invoke(main, ["check", *options])
        assert (done.exit_code, done.stdout) == (0, "2 templates: no findings.\n")


def test_init_records_every_mail_as_it_is_rendered(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.folder)
    done = CliRunner().invoke(main, ["snapshots"])
    assert done.exit_code == 0, done.output
    assert sorted(path for path in made.files if path.startswith("snapshots/account_welcome/")) == [
        f"snapshots/account_welcome/en.{example}.{ending}"
        for example in ("default", "invited")
        for ending in ("headers", "html", "txt")
    ]


def test_init_writes_expectations_for_every_example(made: Made) -> None:
    examples = {path.removesuffix(".yaml") for path in made.files if "/examples/" in path}
    plain = {path for path in examples if not path.endswith(".expect")}
    assert len(plain) == 4
    assert examples - plain == {f"{path}.expect" for path in plain}


def test_init_names_the_versions_that_fit_and_leaves_no_placeholder(made: Made) -> None:
    project = tomllib.loads((made.folder / "rgz-email.toml").read_text("utf-8"))
    assert project["requires"] == required_range(__version__)
    assert [path for path, data in made.files.items() if b"@REQUIRES@" in data] == []


@pytest.mark.parametrize(
    ("version", "fitting", "other"),
    [("0.2.0", ("0.2.0", "0.2.9"), ("0.1.9", "0.3.0")), ("1.0.4", ("1.0.0", "1.0.4"), ("0.9.9", "1.1.0", "2.0.0"))],
)
def test_init_requires_the_versions_of_the_same_minor_number(
    version: str, fitting: tuple[str, ...], other: tuple[str, ...]
) -> None:
    specifier = SpecifierSet(required_range(version))
    assert [one for one in (*fitting, *other) if one in specifier] == list(fitting)


def test_init_writes_what_its_forge_reads_and_nothing_of_another(made: Made) -> None:
    own = {"github": ".github/", "gitlab": ".gitlab-ci.yml"}[made.forge]
    found = {path for path in made.files if path.startswith((".github/", ".gitlab"))}
    assert found
    assert all(path.startswith(own) for path in found)
    assert [path for path in made.files if path.endswith("CODEOWNERS")]


def test_init_says_what_to_do_next(made: Made) -> None:
    assert made.said.startswith(f"Created in {made.folder}: {len(made.files)} files, with 2 mails.\n")
    assert f"cd {made.folder} && git init && git add --all" in made.said
    assert "Note:" not in made.said


def test_init_warns_where_a_forge_would_not_find_the_workflows(inside: Made) -> None:
    assert f"Note: {inside.folder} is inside the checkout" in inside.said


def test_repository_is_written_into_the_clone_of_an_empty_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    write_repository(tmp_path, {"a/b.txt": b"new\n", "c": b""})
    assert {path for path in files_of(tmp_path) if not path.startswith(".git/")} == {"a/b.txt", "c"}


@pytest.mark.parametrize("name", ["notes.txt", ".gitignore", "rgz-email.toml"])
def test_init_refuses_a_folder_that_is_not_empty_and_writes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine\n")
    done = init(tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"Error: {tmp_path} is not empty, so nothing was written: name a new or an empty folder.\n"
    assert files_of(tmp_path) == {name: b"mine\n"}


def test_repository_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine\n")
    with pytest.raises(Conflict, match="mails can't be written: Not a directory"):
        write_repository(tmp_path / "file" / "mails", {"a": b""})
    with pytest.raises(Conflict, match="can't be written: File name too long"):
        write_repository(tmp_path / "mails", {"a": b"", "b" * 300: b""})
    assert files_of(tmp_path) == {"file": b"mine\n"}


def test_init_makes_a_place_for_new_mails_in_the_same_look(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "mails")
    templates = tmp_path / "mails" / "email_templates"
    assert CliRunner().invoke(main, ["new", "order_shipped", "--templates", str(templates)]).exit_code == 0
    source = (templates / "order_shipped" / "template.mjml").read_text("utf-8")
    assert re.search(r'<mj-include path="\.\./_shared/theme\.mjml" />', source)
    assert CliRunner().invoke(main, ["check", "--templates", str(templates)]).stdout == "3 templates: no findings.\n"
