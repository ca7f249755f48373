"""The file rgz-email.toml: where it is found, what it says, and the mistakes in it."""

from pathlib import Path

import pytest

from service import __version__
from service.config.template_project import (
    ProjectFile,
    TemplateProject,
    find_project,
    parse_project,
    project_text,
    requires_problem,
)
from service.errors import ConfigurationError
from tests.support.paths import ROOT, SNAPSHOTS, TEMPLATES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mails" / "deep").mkdir(parents=True)
    (tmp_path / "rgz-email.toml").write_text('templates = "mails"\n')
    return tmp_path.resolve()


@pytest.mark.parametrize("folder", [".", "mails", "mails/deep"])
def test_project_is_found_from_each_folder_below(root: Path, folder: str) -> None:
    assert find_project(root / folder) == TemplateProject(root, root / "mails", root / "snapshots", None)


def test_project_is_the_nearest_one(root: Path) -> None:
    (root / "mails" / "rgz-email.toml").write_text('templates = "."\nsnapshots = "shots"\n')
    inner = root / "mails"
    assert find_project(inner / "deep") == TemplateProject(inner, inner, inner / "shots", None)


def test_project_is_not_looked_for_above_the_checkout(root: Path) -> None:
    (root / "mails" / ".git").mkdir()
    assert find_project(root / "mails" / "deep") is None


def test_project_of_this_repository_names_its_folders() -> None:
    found = find_project(ROOT / "service" / "cli")
    assert found is not None
    assert (found.root, found.templates, found.snapshots) == (ROOT, TEMPLATES, SNAPSHOTS)
    found.check_requires()


def test_project_file_has_defaults() -> None:
    assert parse_project("# nothing\n") == ProjectFile("email_templates", "snapshots", None)


def test_project_file_says_folders_and_versions() -> None:
    text = 'requires = ">=0.2,<0.3"\ntemplates = "a/b"\nsnapshots = "a/shots"\n'
    assert parse_project(text) == ProjectFile("a/b", "a/shots", ">=0.2,<0.3")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('\ntemplate = "x"', "rgz-email.toml:2: 'template' is unknown; did you mean templates?"),
        ("[tool]\nx = 1", "rgz-email.toml:1: 'tool' is unknown; it knows requires, templates, snapshots"),
        ("templates = 3", "rgz-email.toml:1: templates must be a text in quotes"),
        ('\n\ntemplates = "../x"', "rgz-email.toml:3: templates must be a folder below that of rgz-email.toml"),
        ('templates = "/etc"', "rgz-email.toml:1: templates must be a folder below"),
        ('snapshots = "C:/x"', "rgz-email.toml:1: snapshots must be a folder below"),
        (r"snapshots = 'a\b'", "rgz-email.toml:1: snapshots must be a folder with slashes"),
        ('snapshots = ""', "rgz-email.toml:1: snapshots must be a folder with slashes"),
        ('snapshots = "a/./."\ntemplates = "a"', "rgz-email.toml:1: templates and snapshots can't be in the same"),
        ('snapshots = "./"', "rgz-email.toml:1: snapshots must be a folder of its own"),
        ('\nrequires = "two"', "rgz-email.toml:2: requires is no range of versions such as"),
        ("templates = \n", "rgz-email.toml:1: it is no TOML: invalid value"),
        ("x = " + "[" * 5000, "rgz-email.toml:1: it is no TOML: "),
        ("requires = " + "9" * 9000, "rgz-email.toml:1: it is no TOML: "),
        ("requires = 2020-13-01", "rgz-email.toml:1: it is no TOML: "),
        ('templates = "a/b"\nsnapshots = "a"', "rgz-email.toml:2: neither of templates and snapshots"),
        ('snapshots = "email_templates/hello"', "rgz-email.toml:1: neither of templates and snapshots"),
    ],
)
def test_project_file_with_a_mistake_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_project(text)
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(problem)


def test_project_file_with_several_mistakes_names_each() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_project('requires = 1\nsnapshot = "x"\n')
    assert [line.split(":")[1] for line in refused.value.problems] == ["1", "2"]


@pytest.mark.parametrize("data", [b"\xff", b"#" * 70_000])
def test_project_file_that_is_no_text_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"rgz-email.toml:1: the file"):
        project_text(data)


@pytest.mark.parametrize(
    ("requires", "installed", "fits"),
    [
        (None, "0.1.0", True),
        (">=0.2,<0.3", "0.2.7", True),
        (">=0.2,<0.3", "0.2.7rc1", True),
        (">=0.2,<0.3", "0.3.0", False),
        ("==0.1.*", "0.1.0", True),
        ("", "0.1.0", True),
    ],
)
def test_required_version_is_compared_with_the_installed_one(requires: str | None, installed: str, fits: bool) -> None:
    problem = requires_problem(requires, installed)
    assert (problem is None) is fits
    if problem:
        assert f"requires rgz-email {requires}" in problem
        assert f"{installed} is installed" in problem


def test_project_that_requires_another_version_says_both(root: Path) -> None:
    (root / "rgz-email.toml").write_text('requires = ">=99"\n')
    found = find_project(root)
    assert found is not None
    with pytest.raises(ConfigurationError, match=f"requires rgz-email >=99, and {__version__} is installed"):
        found.check_requires()


@pytest.mark.parametrize("said", ["shots", "a/shots", "a/b/shots"])
def test_project_whose_snapshots_are_behind_a_link_is_refused(root: Path, said: str) -> None:
    (root / "mails" / "b").mkdir()
    (root / said.split("/")[0]).symlink_to(root / "mails")
    (root / "rgz-email.toml").write_text(f'templates = "mails"\nsnapshots = "{said}"\n')
    with pytest.raises(ConfigurationError, match=f"snapshots: {said} is, or is in, a symbolic link"):
        find_project(root)


def test_project_whose_snapshots_are_in_a_template_is_refused(root: Path) -> None:
    (root / "hello" / "shots").mkdir(parents=True)
    (root / "hello" / "template.mjml").write_text("")
    (root / "rgz-email.toml").write_text('templates = "."\nsnapshots = "hello/shots"\n')
    with pytest.raises(ConfigurationError, match="snapshots: hello/shots is, or is in, a template"):
        find_project(root)


@pytest.mark.parametrize("is_link", [True, False])
def test_project_file_that_is_none_is_told_rather_than_passed_over(root: Path, is_link: bool) -> None:
    file = root / "mails" / "rgz-email.toml"
    if is_link:
        file.symlink_to("nowhere")
    else:
        file.mkdir()
    with pytest.raises(ConfigurationError, match="can't be read: "):
        find_project(root / "mails" / "deep")
