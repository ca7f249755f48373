"""Credentials of a remote repository: they reach its server, and nothing else."""

import dataclasses
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import GitError
from service.templates.source.remote import GitRemote
from tests.support.git_http import GitHttp, git_http
from tests.support.remote_repository import RemoteRepository

TEMPLATE = "email_templates/welcome/template.mjml"
SECRET = "hunter2hunter2"


@pytest.fixture
def forge(tmp_path: Path) -> RemoteRepository:
    return RemoteRepository.create(tmp_path / "forge")


@pytest.fixture
def server(forge: RemoteRepository) -> Iterator[GitHttp]:
    forge.publish({TEMPLATE: "one\n"})
    with git_http(forge.bare.parent) as server:
        yield server


def remote_at(folder: Path, url: str, token: Path | None = None) -> GitRemote:
    return GitRemote(
        url=url, ref="main", path="email_templates", mirror=folder / "templates.git", protocols=("http", "ssh"),
        token_file=token,
    )  # fmt: skip


def refusal(remote: GitRemote) -> str:
    with pytest.raises(GitError) as caught:
        remote.fetch()
    assert SECRET not in f"{caught.value!r} {caught.value} {caught.value.reply} {remote!r}"
    return str(caught.value)


def test_token_is_read_at_each_fetch(tmp_path: Path, forge: RemoteRepository, server: GitHttp) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    server.password = SECRET
    remote = remote_at(tmp_path, f"{server.url}/forge.git", token)
    assert "refused the login" in refusal(remote)
    token.write_text(f"{SECRET}\n")
    assert remote.fetch().ref == "refs/heads/main"
    assert server.logins[-1] == f"x-access-token:{SECRET}"
    token.unlink()
    assert "EMAIL_TEMPLATES_GIT_TOKEN_FILE can't be read" in refusal(remote)
    token.write_bytes(b"\n")
    assert "holds no token" in refusal(remote)


def test_login_of_the_url_is_used_and_stored_nowhere(tmp_path: Path, server: GitHttp) -> None:
    server.password = SECRET
    remote = remote_at(tmp_path, f"{server.url}/forge.git".replace("http://", f"http://ada%40x:{SECRET}@"))
    remote.fetch()
    assert server.logins[-1] == f"ada@x:{SECRET}"
    assert remote.shown_url == f"{server.url}/forge.git"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    server.password = "another"
    assert "refused the login" in refusal(remote)


def test_login_is_given_to_no_server_that_the_remote_redirects_to(
    tmp_path: Path, forge: RemoteRepository, server: GitHttp
) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    server.password = SECRET
    with git_http(forge.bare.parent) as other:
        other.redirect_to = server.url
        assert "refused the login" in refusal(remote_at(tmp_path, f"{other.url}/forge.git", token))
    assert set(server.logins) == {None}


def test_repository_that_is_not_on_the_server_is_named(tmp_path: Path, server: GitHttp) -> None:
    remote = remote_at(tmp_path, f"{server.url}/none.git?token={SECRET}")
    assert f"There is no repository {server.url}/none.git?token=***" in refusal(remote)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command `ssh` that notes its arguments, prints what the file `says` has, and runs what it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ssh"
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nenv > {tmp_path}/environment\n'
        f"if [ -f {tmp_path}/says ]; then cat {tmp_path}/says >&2; exit 255; fi\n"
        'for last; do :; done\neval "exec $last"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/lib/git-core:/usr/bin:/bin")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    return tmp_path


def over_ssh(forge: RemoteRepository, folder: Path) -> GitRemote:
    for name in ("key file", "known hosts"):
        (folder / name).write_text("x")
    return dataclasses.replace(
        remote_at(folder, f"ssh://git@forge.example:2222{forge.bare}"),
        ssh_key_file=folder / "key file", known_hosts_file=folder / "known hosts",
    )  # fmt: skip


def test_ssh_is_run_with_our_key_and_host_keys_alone(forge: RemoteRepository, ssh: Path) -> None:
    forge.publish({TEMPLATE: "one\n"})
    over_ssh(forge, ssh).fetch()
    arguments = (ssh / "arguments").read_text().splitlines()
    assert arguments[:2] == ["-F", "none"]
    assert {
        "BatchMode=yes", "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{ssh}/known hosts"', "IdentitiesOnly=yes",
        "GlobalKnownHostsFile=none", f'IdentityFile="{ssh}/key file"', "IdentityAgent=none", "ProxyCommand=none",
    } <= set(arguments)  # fmt: skip
    assert arguments[arguments.index("-p") + 1] == "2222"
    assert "git@forge.example" in arguments
    assert "SSH_AUTH_SOCK" not in (ssh / "environment").read_text()


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "has changed"),
        ("No ED25519 host key is known for forge.example and you have requested strict checking.\n"
         "Host key verification failed.", "is not known"),
        ("git@forge.example: Permission denied (publickey).", "refused the login"),
        ("@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nPermission denied (publickey).", "chmod 600"),
        ("ssh: Could not resolve hostname forge.example: Name or service not known", "has no address"),
        ("ssh: connect to host forge.example port 2222: Connection refused", "can't be reached"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "There is no repository"),
        ("some words that nobody knows", "some words that nobody knows"),
    ],
)  # fmt: skip
def test_ssh_that_fails_is_explained(forge: RemoteRepository, ssh: Path, says: str, told: str) -> None:
    forge.publish({TEMPLATE: "one\n"})
    remote = over_ssh(forge, ssh)
    (ssh / "says").write_text(says + "\n")
    assert told in refusal(remote)
    (ssh / "says").unlink()
    assert remote.fetch().ref == "refs/heads/main"


@pytest.mark.parametrize("missing", ["ssh_key_file", "known_hosts_file"])
def test_ssh_without_a_key_or_host_keys_is_refused(forge: RemoteRepository, ssh: Path, missing: str) -> None:
    remote = over_ssh(forge, ssh)
    setting = f"EMAIL_TEMPLATES_GIT_{missing.upper()}"
    without = dataclasses.replace(remote, **{missing: None})  # type: ignore[arg-type]
    gone = dataclasses.replace(remote, **{missing: ssh / "none"})  # type: ignore[arg-type]
    assert f"needs {setting}" in refusal(without)
    assert f"The file of {setting} can't be read" in refusal(gone)
    assert not (ssh / "arguments").exists()
