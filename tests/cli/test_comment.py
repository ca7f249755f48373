"""comment writes the comment of the pull request that the event and the forge name, and of no other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.templates.source.forge_comments import MARKER
from tests.support import reports
from tests.support.forge_api import Reply
from tests.support.forge_repository import ForgeRepository, forge_repository

RUN_URL = "https://github.com/team/mails/actions/runs/7"


@pytest.fixture
def forge() -> Iterator[ForgeRepository]:
    with forge_repository() as made:
        made.add_pull(12, reports.HEAD)
        made.add_artifact("mails", reports.report("@me").model_dump_json().encode())
        yield made


def workflow_run(**changes: Any) -> dict[str, Any]:
    """The event of the second workflow, for a run of the first one in a fork's pull request."""
    fork = {"full_name": "stranger/mails", "owner": {"login": "stranger"}}
    run = {"id": 7, "event": "pull_request", "head_sha": reports.HEAD, "head_branch": "words", "pull_requests": []}
    return {"workflow_run": {**run, "head_repository": fork, **changes}}


def comment(forge: ForgeRepository, tmp_path: Path, *arguments: str, event: dict[str, Any], **more: str) -> Result:
    (tmp_path / "event.json").write_text(json.dumps(event), encoding="utf-8")
    environment = {
        "GITHUB_REPOSITORY": "team/mails", "GITHUB_EVENT_NAME": next(iter(event), "push"), "GITHUB_RUN_ID": "99",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_API_URL": forge.api.url, "GITHUB_TOKEN": "token",
        "GITHUB_SERVER_URL": "https://github.com", "GITLAB_CI": "",
    }  # fmt: skip
    return CliRunner().invoke(main, ["comment", *arguments], env={**environment, **more}, catch_exceptions=False)


def written(tmp_path: Path, data: bytes | None = None) -> str:
    file = tmp_path / "report.json"
    file.write_bytes(reports.report().model_dump_json().encode() if data is None else data)
    return str(file)


def test_comment_is_kept_for_a_fork_by_the_workflow_of_the_default_branch(
    forge: ForgeRepository, tmp_path: Path
) -> None:
    for said in ("created", "unchanged"):
        result = comment(forge, tmp_path, "--artifact", "mails", event=workflow_run())
        assert (result.exit_code, result.output) == (0, f"The comment on pull request 12 is {said}.\n")
    (body,) = forge.bodies(12)
    assert body.startswith(f"{MARKER}\n### Mails: 1 of 2 change")
    assert RUN_URL in body
    assert "@me" not in body


@pytest.mark.parametrize("event", [
    {"workflow_run": {**workflow_run()["workflow_run"], "event": "push"}},
    {"workflow_run": {**workflow_run()["workflow_run"], "head_repository": None}},
    workflow_run(head_sha="f" * 40),
    workflow_run(head_branch="main"),
])  # fmt: skip
def test_comment_is_none_when_no_open_pull_request_has_the_commit(
    forge: ForgeRepository, tmp_path: Path, event: dict[str, Any]
) -> None:
    result = comment(forge, tmp_path, "--artifact", "mails", event=event)
    assert result.exit_code == 0
    assert "nothing is to be done" in result.output
    assert forge.methods == []


def test_comment_is_refused_when_the_report_is_of_another_commit(forge: ForgeRepository, tmp_path: Path) -> None:
    forge.add_artifact("mails", reports.report(head="f" * 40).model_dump_json().encode())
    result = comment(forge, tmp_path, "--artifact", "mails", event=workflow_run())
    assert result.exit_code == 1
    assert "it is refused" in result.output
    forge.add_artifact("mails", reports.report(head=None).model_dump_json().encode())
    assert comment(forge, tmp_path, "--artifact", "mails", event=workflow_run()).exit_code == 1
    assert forge.methods == []


def test_comment_is_refused_when_the_option_names_another_pull_request(forge: ForgeRepository, tmp_path: Path) -> None:
    forge.add_pull(13, "f" * 40, repository="team/mails", branch="main")
    result = comment(forge, tmp_path, "--artifact", "mails", "--number", "13", event=workflow_run())
    assert "nothing is to be done" in result.output
    assert forge.methods == []


def test_comment_goes_to_the_pull_request_into_the_base_when_a_branch_has_several(
    forge: ForgeRepository, tmp_path: Path
) -> None:
    forge.add_pull(14, reports.HEAD, base="release/1")
    report = reports.report().model_dump()
    assert comment(forge, tmp_path, "--artifact", "mails", event=workflow_run()).exit_code == 1
    report["base"]["ref"] = "origin/release/1"
    forge.add_artifact("mails", json.dumps(report).encode())
    assert comment(forge, tmp_path, "--artifact", "mails", event=workflow_run()).exit_code == 0
    assert len(forge.bodies(14)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"version": 1, "templates": [' + b"{}," * 1_000_000 + b"{}]}",
        b"{" + b" " * 5_000_000,
    ],
)
def test_comment_is_refused_in_one_sentence_when_the_report_is_none(
    forge: ForgeRepository, tmp_path: Path, data: bytes
) -> None:
    forge.add_artifact("mails", data)
    result = comment(forge, tmp_path, "--artifact", "mails", event=workflow_run())
    assert result.exit_code == 1
    assert result.output.startswith("report.json is no report: ")
    assert result.output.count("\n") == 1
    assert forge.methods == []


def test_comment_is_of_the_events_pull_request_when_the_token_may_write(forge: ForgeRepository, tmp_path: Path) -> None:
    event = {"pull_request": {"number": 12, "head": {"sha": reports.HEAD}}}
    report = written(tmp_path)
    assert comment(forge, tmp_path, "--report", report, event=event).exit_code == 0
    assert "/actions/runs/99" in forge.bodies(12)[0]
    forge.pulls[0]["head"]["sha"] = "f" * 40
    assert "newer commit" in comment(forge, tmp_path, "--report", report, event=event).output


def test_comment_is_printed_and_nothing_sent_when_it_is_a_dry_run(forge: ForgeRepository, tmp_path: Path) -> None:
    report = written(tmp_path)
    result = comment(forge, tmp_path, "--report", report, "--dry-run", event={}, GITHUB_TOKEN="")
    assert result.exit_code == 0
    assert result.output.startswith("### Mails: 1 of 2 change")
    assert forge.api.requests == []
    assert (
        comment(forge, tmp_path, "--report", report, "--dry-run", event=workflow_run(head_sha="f" * 40)).exit_code == 1
    )


@pytest.mark.parametrize(("code", "exit_code"), [(401, 3), (403, 3), (404, 3), (422, 3)])
def test_comment_ends_with_a_sentence_when_the_forge_refuses(
    forge: ForgeRepository, tmp_path: Path, code: int, exit_code: int
) -> None:
    forge.faults = [Reply(code)]
    result = comment(forge, tmp_path, "--artifact", "mails", event=workflow_run())
    assert result.exit_code == exit_code
    assert result.output.startswith(f"The forge answers {code}")


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        ([], {}),
        (["--artifact", "mails", "--report", "event.json"], {}),
        (["--artifact", "mails"], {"GITHUB_TOKEN": ""}),
        (["--artifact", "mails"], {"GITHUB_REPOSITORY": ""}),
        (["--artifact", "mails"], {"GITHUB_API_URL": "http://forge.example"}),
        (["--report", "event.json"], {"GITHUB_EVENT_PATH": "/nowhere"}),
        (["--report", "gone.json"], {}),
        (["--artifact", "mails", "--forge", "gitlab"], {}),
    ],
)
def test_comment_is_wrong_usage_when_something_is_not_given(
    forge: ForgeRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], more: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert comment(forge, tmp_path, *arguments, event=workflow_run(), **more).exit_code == 2
    assert forge.methods == []


def test_comment_is_a_note_of_the_merge_request_on_gitlab(tmp_path: Path) -> None:
    report = written(tmp_path)
    with forge_repository("gitlab") as forge:
        forge.user = (5, "mails-bot")
        forge.add_pull(12, reports.HEAD)
        more = {
            "GITLAB_CI": "true", "CI_API_V4_URL": forge.api.url, "GITLAB_TOKEN": "t", "CI_MERGE_REQUEST_IID": "12",
            "CI_MERGE_REQUEST_PROJECT_PATH": "team/mails", "CI_PROJECT_PATH": "stranger/mails",
            "CI_COMMIT_SHA": "f" * 40, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": reports.HEAD,
            "CI_JOB_URL": "https://gitlab.example/team/mails/-/jobs/3",
        }  # fmt: skip
        for _ in range(2):
            result = comment(forge, tmp_path, "--report", report, event={}, **more)
            assert result.exit_code == 0, result.output
        (body,) = forge.bodies(12)
        assert "https://gitlab.example/team/mails/-/jobs/3" in body
