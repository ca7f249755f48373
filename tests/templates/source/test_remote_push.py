"""Commits that are pushed to a remote repository: made without a work tree, under a lease, or refused."""

from pathlib import Path

import pytest

from service.errors import Conflict, GitError
from service.templates.source.forge import Forge
from service.templates.source.git import Author
from service.templates.source.remote_url import RemoteUrl
from tests.support.remote_repository import RemoteRepository, run_git

TEMPLATE = "email_templates/welcome/template.mjml"
ADA = Author("Ada Lovelace", "ada@noreply.example.com")


@pytest.fixture
def forge(tmp_path: Path) -> RemoteRepository:
    forge = RemoteRepository.create(tmp_path / "forge")
    forge.publish({TEMPLATE: "one\n", "email_templates/welcome/old.txt": "x", "README.md": "x"})
    return forge


def heads(forge: RemoteRepository) -> dict[str, str]:
    listing = run_git(forge.bare, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
    return dict(line.split(" ") for line in listing.splitlines())


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_push_makes_a_commit_on_the_first_free_branch(tmp_path: Path, object_format: str) -> None:
    forge = RemoteRepository.create(tmp_path / "forge", object_format=object_format)
    base = forge.publish({TEMPLATE: "one\n", "email_templates/welcome/old.txt": "x", "README.md": "x"})
    forge.push("HEAD:refs/heads/rgz-email/welcome-1")
    remote = forge.remote(tmp_path)
    assert remote.fetch().commit.id == base
    changes = {"welcome/template.mjml": b"two\n", "welcome/old.txt": None, "welcome/zo\u00e9 b.txt": b""}
    pushed = remote.push_changes(base, changes, author=ADA, message="welcome: two\n\nWhy.", branch="rgz-email/welcome")
    assert (pushed.branch, pushed.compare_url) == ("rgz-email/welcome-2", None)
    assert heads(forge) == {"main": base, "rgz-email/welcome-1": base, "rgz-email/welcome-2": pushed.commit}
    shown = run_git(forge.bare, "show", "-s", "--format=%an|%ae|%cn|%P|%B", pushed.commit)
    assert shown == f"Ada Lovelace|ada@noreply.example.com|Ada Lovelace|{base}|welcome: two\n\nWhy."
    names = run_git(forge.bare, "ls-tree", "-r", "-z", "--name-only", pushed.commit).rstrip("\0").split("\0")
    assert names == ["README.md", TEMPLATE, "email_templates/welcome/zo\u00e9 b.txt"]
    assert run_git(forge.bare, "show", f"{pushed.commit}:{TEMPLATE}") == "two"
    assert not list(remote.mirror.glob("index*"))


def test_push_to_the_ref_itself_is_the_next_head(tmp_path: Path, forge: RemoteRepository) -> None:
    remote = forge.remote(tmp_path)
    base = remote.fetch().commit.id
    changes = {"welcome/template.mjml": b"two\n"}
    pushed = remote.push_changes(base, changes, author=ADA, message="two", branch=None)
    assert (pushed.branch, remote.fetch().commit.id) == ("main", pushed.commit)
    with pytest.raises(Conflict, match="has this change already"):
        remote.push_changes(pushed.commit, changes, author=ADA, message="two", branch=None)


def test_push_to_a_ref_that_moved_changes_nothing(tmp_path: Path, forge: RemoteRepository) -> None:
    remote = forge.remote(tmp_path)
    base = remote.fetch().commit.id
    newer = forge.publish({TEMPLATE: "theirs\n"})
    with pytest.raises(Conflict, match="Somebody else has pushed"):
        remote.push_changes(base, {"welcome/template.mjml": b"two\n"}, author=ADA, message="two", branch=None)
    assert heads(forge) == {"main": newer}


def test_push_to_a_tag_is_refused(tmp_path: Path, forge: RemoteRepository) -> None:
    run_git(forge.work, "tag", "v1")
    forge.push("refs/tags/v1")
    remote = forge.remote(tmp_path, ref="v*")
    base = remote.fetch().commit.id
    with pytest.raises(Conflict, match="no branch"):
        remote.push_changes(base, {"welcome/template.mjml": b"two\n"}, author=ADA, message="two", branch=None)
    pushed = remote.push_changes(base, {"welcome/x.txt": b""}, author=ADA, message="two", branch="rgz-email/welcome")
    assert pushed.branch == "rgz-email/welcome-1"


@pytest.mark.parametrize("branch", [None, "rgz-email/welcome"])
def test_push_that_a_hook_refuses_shows_its_words_and_changes_nothing(
    tmp_path: Path, forge: RemoteRepository, branch: str | None
) -> None:
    remote = forge.remote(tmp_path)
    base = remote.fetch().commit.id
    hook = forge.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\necho 'Please \x1b[31mask\x1b[0m the mail team: connection refused by rule 7' >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    with pytest.raises(Conflict) as caught:
        remote.push_changes(base, {"welcome/template.mjml": b"two\n"}, author=ADA, message="two", branch=branch)
    assert "the mail team: connection refused by rule 7" in str(caught.value)
    assert "pre-receive hook declined" in str(caught.value)
    assert str(caught.value).isprintable()
    assert heads(forge) == {"main": base}


def test_push_to_a_remote_that_is_gone_is_explained(tmp_path: Path, forge: RemoteRepository) -> None:
    remote = forge.remote(tmp_path)
    base = remote.fetch().commit.id
    forge.bare.rename(tmp_path / "moved")
    with pytest.raises(GitError, match="There is no repository"):
        remote.push_changes(base, {"welcome/template.mjml": b"2"}, author=ADA, message="2", branch="rgz-email/welcome")


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/team/mails.git", "https://github.com/team/mails/compare/main...rgz-email/welcome-1"),
        ("https://u:p@github.com/team/mails", "https://github.com/team/mails/compare/main...rgz-email/welcome-1"),
        ("git@github.com:team/mails.git", "https://github.com/team/mails/compare/main...rgz-email/welcome-1"),
        ("ssh://git@gitlab.rgz.bj:2222/a/b/mails.git",
         "https://gitlab.rgz.bj/a/b/mails/-/compare/main...rgz-email/welcome-1"),
        ("https://gitea.rgz.bj:3000/a/mails", "https://gitea.rgz.bj:3000/a/mails/compare/main...rgz-email/welcome-1"),
        ("https://codeberg.org/a/mails", "https://codeberg.org/a/mails/compare/main...rgz-email/welcome-1"),
        ("https://git.rgz.bj/a/mails", None),
        ("file:///srv/github/mails.git", None),
    ],
)  # fmt: skip
def test_forge_has_a_page_that_compares(url: str, page: str | None) -> None:
    forge = Forge.of(RemoteUrl(url))
    assert (forge.compare_url("main", "rgz-email/welcome-1") if forge else None) == page
