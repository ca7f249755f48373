"""The status of a commit is set as each forge wants it, and the token goes nowhere else."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from service.config import environment
from service.deployments.forge_client import CommitStatus, ForgeClient
from service.errors import ConfigurationError, ForgeError
from service.templates.source.forge import Forge, ForgeKind
from service.templates.source.remote_url import RemoteUrl
from tests.support.forge_api import ForgeApi, forge_api

COMMIT = "c0ffee" + "0" * 34
TOKEN = "glpat-of-the-tests"
PENDING = b'{"message":"Cannot transition status via :enqueue from :pending (Reason(s): ...)"}'
KINDS: tuple[ForgeKind, ...] = ("github", "gitlab", "gitea")


@pytest.fixture
def api() -> Iterator[ForgeApi]:
    with forge_api() as made:
        yield made


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    return file


def client(
    api_url: str, token_file: Path, kind: ForgeKind = "gitea", url: str = "https://me:pw@git.example/team/mails.git"
) -> ForgeClient:
    remote = RemoteUrl(url)
    forge = Forge.of(remote, kind)
    assert forge is not None
    return ForgeClient(forge, api_url, remote, token_file)


def status(state: str = "failure") -> CommitStatus:
    made = CommitStatus(COMMIT, "rgz-email/staging", "failure", "held: é", "https://mail.example/admin/deployments/1")
    return made if state == "failure" else CommitStatus(COMMIT, "n", "pending", "", "https://mail.example/")


@pytest.mark.parametrize(
    ("kind", "path", "header", "value", "name", "state"),
    [
        ("github", f"/repos/team/mails/statuses/{COMMIT}", "authorization", f"Bearer {TOKEN}", "context", "failure"),
        ("gitlab", f"/projects/team%2Fmails/statuses/{COMMIT}", "private-token", TOKEN, "name", "failed"),
        ("gitea", f"/repos/team/mails/statuses/{COMMIT}", "authorization", f"token {TOKEN}", "context", "failure"),
    ],
)
def test_status_is_set_as_the_forge_wants_it(
    api: ForgeApi, token_file: Path, kind: ForgeKind, path: str, header: str, value: str, name: str, state: str
) -> None:
    client(f"{api.url}/base/", token_file, kind).post(status())
    (posted,) = api.requests
    assert (posted.path, posted.headers[header]) == (f"/base{path}", value)
    assert posted.headers["content-type"] == "application/json"
    assert posted.body == {
        "state": state,
        name: "rgz-email/staging",
        "description": "held: é",
        "target_url": "https://mail.example/admin/deployments/1",
    }


def test_repository_is_without_the_path_that_the_forge_itself_has(api: ForgeApi, token_file: Path) -> None:
    below = client(f"{api.url}/code/api/v4", token_file, "gitlab", "https://git.example/code/team/sub/mails.git")
    below.post(status())
    assert api.requests[0].path == f"/code/api/v4/projects/team%2Fsub%2Fmails/statuses/{COMMIT}"


@pytest.mark.parametrize(
    ("kind", "url", "api_url"),
    [
        ("github", "https://github.com/team/mails.git", "https://api.github.com"),
        ("github", "git@github.com:team/mails.git", "https://api.github.com"),
        ("github", "https://code.example/team/mails", "https://code.example/api/v3"),
        ("gitlab", "ssh://git@code.example:2222/team/mails.git", "https://code.example/api/v4"),
        ("gitea", "https://code.example:8443/team/mails", "https://code.example:8443/api/v1"),
    ],
)
def test_api_is_where_the_forge_has_it_when_nothing_else_is_said(kind: ForgeKind, url: str, api_url: str) -> None:
    forge = Forge.of(RemoteUrl(url), kind)
    assert forge is not None
    assert (forge.api_url, forge.repository) == (api_url, "team/mails")


@pytest.mark.parametrize(
    "api_url", ["http://git.example/api/v1", "https:///api/v1", "http://127.0.0.1.example/api", "https://h:x/"]
)
def test_client_refuses_an_address_that_no_token_must_be_sent_to(api_url: str, token_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="EMAIL_TEMPLATES_GIT_STATUS_URL"):
        client(api_url, token_file)


@pytest.mark.parametrize(
    ("code", "is_lasting"),
    [(307, True), (302, True), (400, True), (401, True), (403, True), (404, True), (422, True), (429, False),
     (500, False), (503, False)],
)  # fmt: skip
def test_refusal_says_what_to_do_and_is_not_followed_elsewhere(
    api: ForgeApi, token_file: Path, code: int, is_lasting: bool
) -> None:
    api.answers = [(code, TOKEN.encode())]
    with pytest.raises(ForgeError, match=str(code)) as refused:
        client(api.url, token_file).post(status())
    assert refused.value.is_lasting is is_lasting
    assert TOKEN not in str(refused.value)
    assert len(api.requests) == 1


@pytest.mark.parametrize(("kind", "state", "is_taken"), [
    ("gitlab", "pending", True), ("gitlab", "failure", False), ("github", "pending", True),
])  # fmt: skip
def test_pending_is_taken_when_gitlab_has_it_already(
    api: ForgeApi, token_file: Path, kind: ForgeKind, state: str, is_taken: bool
) -> None:
    api.answers = [(400, PENDING)]
    made = client(api.url, token_file, kind)
    if is_taken:
        made.post(status(state))
    else:
        with pytest.raises(ForgeError):
            made.post(status(state))


@pytest.mark.parametrize("text", ["", "two\nlines", "clé"])
def test_token_that_is_none_is_not_sent(api: ForgeApi, token_file: Path, text: str) -> None:
    token_file.write_text(text, encoding="utf-8")
    with pytest.raises(ForgeError) as refused:
        client(api.url, token_file).post(status())
    assert refused.value.is_lasting
    assert not api.requests


def test_forge_that_is_away_is_an_error_without_credentials(token_file: Path) -> None:
    with forge_api() as gone:
        pass
    for url in (gone.url, "http://localhost:1"):
        with pytest.raises(ForgeError) as refused:
            client(url, token_file).post(status())
        assert not refused.value.is_lasting
        assert not {"pw", TOKEN} & set(str(refused.value).split())


@pytest.mark.parametrize("wrong", [None, "name", "authority"])
def test_token_is_sent_over_tls_only_to_the_host_that_a_trusted_authority_names(
    token_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str | None
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if wrong != "authority":
        monkeypatch.setenv("GIT_SSL_CAINFO", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.test" if wrong == "name" else "127.0.0.1").configure_cert(context)
    with forge_api(context) as api:
        if wrong is None:
            client(api.url, token_file).post(status())
        else:
            with pytest.raises(ForgeError, match="certificate"):
                client(api.url, token_file).post(status())
    assert len(api.requests) == (1 if wrong is None else 0)


@pytest.mark.parametrize("name", ["EMAIL_TEMPLATES_GIT_URL", "EMAIL_TEMPLATES_GIT_TOKEN_FILE"])
def test_settings_are_refused_when_they_say_not_what_statuses_need(name: str) -> None:
    given = {
        "EMAIL_TEMPLATES_GIT_URL": "https://git.example/team/mails.git",
        "EMAIL_TEMPLATES_GIT_TOKEN_FILE": "/run/secrets/git-token",
        "EMAIL_TEMPLATES_GIT_STATUS": "gitea",
    }
    assert environment.load(given).email_templates_git_status == "gitea"
    del given[name]
    with pytest.raises(ConfigurationError, match=name):
        environment.load(given)


def test_token_is_seen_by_no_proxy_when_the_forge_is_on_this_machine(
    api: ForgeApi, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with forge_api() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        client(api.url, token_file).post(status())
    assert (len(api.requests), len(proxy.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("github", "/repos/team/mails/pulls?state=open&sort=created&direction=desc&per_page=100&page=1", "number"),
        ("gitlab", "/projects/team%2Fmails/merge_requests?state=opened&order_by=created_at&sort=desc", "iid"),
        ("gitea", "/repos/team/mails/pulls?state=open&limit=50&page=1", "number"),
    ],
)
def test_open_requests_are_asked_for_as_the_forge_wants_it(
    api: ForgeApi, token_file: Path, kind: ForgeKind, path: str, name: str
) -> None:
    api.answers = [(200, json.dumps([{name: 12, "id": 5}, {name: 7, "id": 4}]).encode())]
    found = client(api.url, token_file, kind).open_requests()
    assert (found.is_closed(12), found.is_closed(7), found.is_closed(8), found.is_closed(1)) == (
        False,
        False,
        True,
        True,
    )
    assert api.requests[0].path.startswith(path)
    assert TOKEN in "".join(api.requests[0].headers.values())


def test_open_requests_call_nothing_closed_that_is_older_than_what_was_listed(api: ForgeApi, token_file: Path) -> None:
    pages = [[{"number": 300 - n - 50 * page} for n in range(50)] for page in range(2)]
    api.answers = [(200, json.dumps(one).encode()) for one in pages]
    found = client(api.url, token_file, "gitea").open_requests()
    assert (len(found.numbers), found.is_closed(301), found.is_closed(200)) == (100, True, False)


@pytest.mark.parametrize("answer", [b"", b"{}", b"<html>", b'[{"id": 1}]', b'[{"number": "seven"}]', b"[7]"])
def test_open_requests_fail_with_a_sentence_when_the_answer_is_no_list_of_them(
    api: ForgeApi, token_file: Path, answer: bytes
) -> None:
    api.answers = [(200, answer)]
    with pytest.raises(ForgeError, match="can't be read"):
        client(api.url, token_file).open_requests()


def test_open_requests_say_which_right_is_missing(api: ForgeApi, token_file: Path) -> None:
    api.answers = [(403, b"no")]
    with pytest.raises(ForgeError, match="may not read pull requests"):
        client(api.url, token_file).open_requests()
