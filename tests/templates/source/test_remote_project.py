"""What a commit says of its template repository, read from git's objects."""

from pathlib import Path

import pytest

from service.errors import GitError
from tests.support.remote_repository import RemoteRepository, run_git

MAIL = "email_templates/a/template.mjml"
SHOT = "snapshots/a/fr.default.txt"


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_snapshots_of_a_commit_have_the_names_of_their_objects(tmp_path: Path, object_format: str) -> None:
    repository = RemoteRepository.create(tmp_path, object_format=object_format)
    (tmp_path / "work" / "snapshots" / "a").mkdir(parents=True)
    (tmp_path / "work" / "snapshots" / "a" / "link.txt").symlink_to("fr.default.txt")
    repository.publish({MAIL: "x", SHOT: "Bonjour Zoé\n", "snapshots/README.md": "", "other/x.txt": ""})
    remote = repository.remote(tmp_path / "data")
    project = remote.project(remote.fetch().commit.id)
    assert project.problem is None
    assert sorted(project.snapshots) == ["README.md", "a/fr.default.txt"]
    assert project.snapshots["a/fr.default.txt"] == project.name_of("Bonjour Zoé\n".encode())
    assert project.snapshots["a/fr.default.txt"] == run_git(tmp_path / "work", "rev-parse", f"HEAD:{SHOT}")


@pytest.mark.parametrize(
    ("path", "files", "names"),
    [
        ("email_templates", {}, []),
        ("email_templates", {"snapshots/x.txt": ""}, ["x.txt"]),
        ("email_templates", {"rgz-email.toml": 'snapshots = "s"', "s/x.txt": "", "snapshots/y.txt": ""}, ["x.txt"]),
        # The file is about another directory of templates.
        ("email_templates", {"rgz-email.toml": 'templates = "t"\nsnapshots = "s"', "snapshots/y.txt": ""}, ["y.txt"]),
        ("org/mails", {"org/mails/a.txt": "", "org/rgz-email.toml": 'templates = "mails"', "org/snapshots/x.txt": ""},
         ["x.txt"]),
        ("org/mails", {"org/mails/a.txt": "", "rgz-email.toml": 'templates = "org/mails"', "snapshots/x.txt": ""},
         ["x.txt"]),
        (".", {"rgz-email.toml": 'templates = "."\nsnapshots = "s"', "s/x.txt": ""}, ["x.txt"]),
    ],
)  # fmt: skip
def test_snapshots_are_found_where_the_nearest_project_has_them(
    tmp_path: Path, path: str, files: dict[str, str], names: list[str]
) -> None:
    repository = RemoteRepository.create(tmp_path)
    repository.publish({MAIL: "x", **files})
    remote = repository.remote(tmp_path / "data", path=path)
    assert [*remote.project(remote.fetch().commit.id).snapshots] == names


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'requires = ">=99"', "rgz-email.toml requires rgz-email >=99, and "),
        (b"\n[x]\n", "rgz-email.toml:2: 'x' is unknown"),
        (b"\xff", "rgz-email.toml:1: the file is not UTF-8"),
        (b"#" * 70_000, "rgz-email.toml:1: the file has more than 64 KB"),
    ],
)
def test_project_of_a_commit_with_a_mistake_is_told(tmp_path: Path, data: bytes, problem: str) -> None:
    repository = RemoteRepository.create(tmp_path)
    repository.publish({MAIL: "x", "rgz-email.toml": data})
    remote = repository.remote(tmp_path / "data")
    assert (remote.project(remote.fetch().commit.id).problem or "").startswith(problem)


def test_project_of_a_commit_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    repository = RemoteRepository.create(tmp_path)
    repository.publish({MAIL: "x"})
    remote = repository.remote(tmp_path / "data")
    remote.fetch()
    with pytest.raises(GitError):
        remote.project("0" * 40)
