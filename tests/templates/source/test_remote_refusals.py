"""A remote repository that is gone, hostile, slow or too large: a sentence says so, and the next fetch works."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import GitError
from service.templates.source.remote import GitRemote
from tests.support.remote_repository import RemoteRepository, run_git
from tests.support.silent_git import SilentGit, silent_git

TEMPLATE = "email_templates/welcome/template.mjml"


@pytest.fixture
def forge(tmp_path: Path) -> RemoteRepository:
    return RemoteRepository.create(tmp_path / "forge")


def refusal(remote: GitRemote) -> str:
    with pytest.raises(GitError) as caught:
        remote.fetch()
    message = str(caught.value)
    assert message.endswith(".")
    assert message.isprintable()
    return message


def test_fetch_says_that_a_repository_is_empty(tmp_path: Path, forge: RemoteRepository) -> None:
    assert "is empty" in refusal(forge.remote(tmp_path))


def test_fetch_says_which_refs_there_are_when_the_branch_is_gone(tmp_path: Path, forge: RemoteRepository) -> None:
    forge.publish({TEMPLATE: "one\n"})
    remote = forge.remote(tmp_path)
    remote.fetch()
    run_git(forge.bare, "branch", "-m", "main", "develop")
    assert "no branch or tag main (any more); there are develop" in refusal(remote)
    assert "No tag of" in refusal(forge.remote(tmp_path, ref="v*"))
    forge.push()
    remote.fetch()


def test_fetch_says_that_a_ref_is_no_commit(tmp_path: Path, forge: RemoteRepository) -> None:
    forge.publish({TEMPLATE: "one\n"})
    run_git(forge.work, "tag", "tree", "HEAD^{tree}")
    forge.push("refs/tags/tree")
    assert "is no commit: it leads to a tree" in refusal(forge.remote(tmp_path, ref="tree"))


@pytest.mark.parametrize("commit", ["1" * 40, "1" * 64])
def test_fetch_says_that_a_commit_is_not_there(tmp_path: Path, forge: RemoteRepository, commit: str) -> None:
    forge.publish({TEMPLATE: "one\n"})
    assert commit in refusal(forge.remote(tmp_path, ref=commit))


def test_fetch_says_that_there_is_no_repository(tmp_path: Path) -> None:
    forge = RemoteRepository(tmp_path / "none.git", tmp_path)
    assert "There is no repository file:///" in refusal(forge.remote(tmp_path))


def test_fetch_says_that_there_is_no_git(
    tmp_path: Path, forge: RemoteRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.publish({TEMPLATE: "one\n"})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "There is no git on this machine" in refusal(forge.remote(tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch {marker}'", "ext::touch% {marker}", "--upload-pack=touch {marker}", "-u./x", "fd::17/foo",
        "foo::bar", "foo://host/x", "ssh://-oProxyCommand=touch${IFS}{marker}/x", "-oProxyCommand=x:y", "ftp://h/x",
        "git@host:-oProxyCommand=x", "file://{bare}", "http://127.0.0.1/x", "git://127.0.0.1/x", "", "https://", "x",
        "https://h/x\n", "/tmp/x --upload-pack=touch", "ssh://h/x",
    ],
)  # fmt: skip
def test_url_is_refused_before_git_sees_it(tmp_path: Path, forge: RemoteRepository, url: str) -> None:
    forge.publish({TEMPLATE: "one\n"})
    marker = tmp_path / "ran"
    text = url.replace("{marker}", str(marker)).replace("{bare}", str(forge.bare))
    remote = GitRemote(url=text, ref="main", path=".", mirror=tmp_path / "m", protocols=("https", "ssh"))
    assert "EMAIL_TEMPLATES_GIT_" in refusal(remote)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://forge.example/a/b.git", "https://forge.example/a/b.git"),
        ("https://ada:hunter2@forge.example:8443/a.git", "https://forge.example:8443/a.git"),
        ("https://hunter2@forge.example/a.git", "https://forge.example/a.git"),
        ("https://ada:hun%74er2@forge.example/a", "https://forge.example/a"),
        ("https://forge.example/a.git?token=hunter2", "https://forge.example/a.git?token=***"),
        ("https://ada:hun/hunter2@forge.example/a", "https://***"),
        ("https://ada:12/hunter2@forge.example/a", "https://***"),
        ("https://ada:a?hunter2@forge.example/a", "https://***"),
        ("https://ada:a#hunter2@forge.example/a", "https://***"),
        ("https://ada:hunter2 @forge.example/a", "https://***"),
        ("ssh://git:hunter2@forge.example/a.git", "ssh://git@forge.example/a.git"),
        ("git@forge.example:a/b.git", "git@forge.example:a/b.git"),
        ("ada:hunter2@forge.example/a", "***"),
    ],
)
def test_url_is_shown_without_credentials(tmp_path: Path, url: str, shown: str) -> None:
    remote = GitRemote(url=url, ref="main", path=".", mirror=tmp_path / "m", protocols=("https",), timeout_s=5)
    assert remote.shown_url == shown
    assert "hunter2" not in repr(remote)
    if "hunter2" in url:
        remote = dataclasses.replace(
            remote, url=url.replace("forge.example:8443", "forge.example").replace("forge.example", "127.0.0.1:1")
        )
        with pytest.raises(GitError) as caught:
            remote.fetch()
        assert "hunter2" not in f"{caught.value!r} {caught.value.reply}"
        assert "hun%74er2" not in str(caught.value)


def test_fetch_of_too_much_is_refused_and_leaves_nothing(tmp_path: Path, forge: RemoteRepository) -> None:
    noise = b"".join(n.to_bytes(4, "big") for n in range(60_000))
    forge.publish({TEMPLATE: "one\n", "dump.bin": noise})
    remote = dataclasses.replace(forge.remote(tmp_path), max_fetch_bytes=100_000)
    assert "is too large" in refusal(remote)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("templates")] == ["templates.git.lock"]
    assert forge.remote(tmp_path).fetch().ref == "refs/heads/main"


@pytest.fixture
def silent() -> Iterator[SilentGit]:
    with silent_git() as server:
        yield server


def test_fetch_ends_when_the_remote_hangs_amid_a_pack(tmp_path: Path, silent: SilentGit) -> None:
    remote = GitRemote(url=silent.url, ref="main", path=".", mirror=tmp_path / "m", protocols=("git",), timeout_s=1)
    assert "took longer than 1 s" in refusal(remote)
    assert silent.has_begun.is_set()
    assert not (tmp_path / "m").exists()


def break_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def break_objects(mirror: Path) -> None:
    for pack in (mirror / "objects" / "pack").iterdir():
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])


def leave_locks(mirror: Path) -> None:
    for name in ("refs/source/head.lock", "shallow.lock", "packed-refs.lock", "config.lock"):
        (mirror / name).touch()
    (mirror / "objects" / "pack" / "tmp_pack_x").write_bytes(b"PACK")


def empty_ref(mirror: Path) -> None:
    (mirror / "refs" / "source" / "head").write_bytes(b"\0" * 41)


def lose_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n")


def lose_half(mirror: Path) -> None:
    mirror.rename(mirror.with_name("templates.git.old"))


DAMAGES = [break_head, break_objects, leave_locks, empty_ref, lose_config, lose_half]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("is_changed", [False, True])
def test_mirror_that_is_damaged_is_made_anew(
    tmp_path: Path, forge: RemoteRepository, damage: object, is_changed: bool
) -> None:
    commit = forge.publish({TEMPLATE: "one\n"})
    remote = forge.remote(tmp_path)
    remote.fetch()
    assert callable(damage)
    damage(remote.mirror)
    if is_changed:
        commit = forge.publish({TEMPLATE: "two\n"})
    assert remote.fetch().commit.id == commit
    text = remote.files(commit).files.text("welcome/template.mjml")
    assert text == ("two\n" if is_changed else "one\n")
    assert sorted(path.name for path in tmp_path.iterdir() if "templates.git" in path.name) == [
        "templates.git", "templates.git.lock",
    ]  # fmt: skip
    assert not list((remote.mirror / "objects" / "pack").glob("tmp_*"))


def test_mirror_of_another_repository_is_not_used(tmp_path: Path, forge: RemoteRepository) -> None:
    commit = forge.publish({TEMPLATE: "one\n"})
    forge.remote(tmp_path).fetch()
    other = RemoteRepository.create(tmp_path / "other", object_format="sha256")
    other.publish({TEMPLATE: "two\n"})
    head = other.remote(tmp_path).fetch().commit.id
    assert other.remote(tmp_path).files(head).files.text("welcome/template.mjml") == "two\n"
    assert commit not in run_git(tmp_path / "templates.git", "rev-list", "--all")
