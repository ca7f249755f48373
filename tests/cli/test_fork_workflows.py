"""Both workflows of a pull request, run step by step as for a fork: ours, and those that `init` writes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.templates.authoring import finding_formats
from service.templates.source.forge_comments import MARKER
from tests.support import reports
from tests.support.checkouts import MAIL, Checkout, changed, write_mail
from tests.support.forge_repository import ForgeRepository, forge_repository
from tests.support.paths import ROOT
from tests.support.workflows import Runner

OURS = ROOT / ".github"
WRITTEN = Path(finding_formats.__file__).parent / "repository"
STRANGER = (666, "stranger")
RUN_URL = "https://github.com/team/mails/actions/runs/7"
#: Narrows a variable, and greets a user.
HOSTILE = changed("<b>@octocat</b> #1", MAIL.replace("maxLength: 20", "maxLength: 10"))


@pytest.fixture
def forge() -> Iterator[ForgeRepository]:
    with forge_repository() as made:
        yield made


class Fork:
    """A pull request of a fork: the upstream repository, its base, and the commit at the head."""

    def __init__(self, tmp_path: Path, forge: ForgeRepository) -> None:
        self.temp = tmp_path
        self.forge = forge
        self.upstream = Checkout(tmp_path / "upstream", "email_templates")
        (self.upstream.top / "rgz-email.toml").write_text('templates = "email_templates"\n')
        write_mail(self.upstream.mails)
        self.upstream.commit()
        self.upstream.git("switch", "--quiet", "--create", "pull")
        write_mail(self.upstream.mails, text=HOSTILE)
        self.upstream.commit("@octocat fixes #1")
        self.head = self.upstream.git("rev-parse", "HEAD").strip()
        self.upstream.git("switch", "--quiet", "main")
        forge.add_pull(12, self.head)

    def pull_request(self, workflow: Path) -> Runner:
        """Run the first workflow, with a token that may only read and without secrets."""
        event = {"pull_request": {"number": 12, "head": {"sha": self.head}}}
        github = {"event": event, "event_name": "pull_request", "base_ref": "main", "sha": "merge",
                  "repository": "team/mails"}  # fmt: skip
        environment = {
            "GITHUB_ACTIONS": "true", "GITHUB_BASE_REF": "main", "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_WORKSPACE": str(self.temp / "workspace"),
        }  # fmt: skip
        return self._run(workflow, "mails", github, environment)

    def workflow_run(self, workflow: Path, head: str | None = None) -> Runner:
        """Run the second workflow, which has a token and the event of the first one's run."""
        run = {"id": 7, "event": "pull_request", "head_sha": head or self.head, "head_branch": "words",
               "pull_requests": [], "head_repository": {"full_name": "stranger/mails"}}  # fmt: skip
        event = self.temp / "event.json"
        event.write_text(json.dumps({"workflow_run": run}), encoding="utf-8")
        environment = {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_run", "GITHUB_EVENT_PATH": str(event),
            "GITHUB_API_URL": self.forge.api.url, "GITHUB_REPOSITORY": "team/mails", "GITHUB_RUN_ID": "8",
            "GITHUB_SERVER_URL": "https://github.com",
        }  # fmt: skip
        github = {"event": {"workflow_run": run}, "token": "ghs_token"}
        return self._run(workflow, "comment", github, environment)

    def _run(self, workflow: Path, job: str, github: dict[str, Any], environment: dict[str, str]) -> Runner:
        workspace = self.temp / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()

        def checkout(given: dict[str, str]) -> None:
            assert given["persist-credentials"] == "false"
            if given.get("path"):
                shutil.copytree(OURS, workspace / given["path"] / ".github")
            elif "ref" in given:
                assert given["fetch-depth"] == "0"
                self.upstream.git("clone", "--quiet", str(self.upstream.top), str(workspace))
                self.upstream.git("-C", str(workspace), "checkout", "--quiet", "--detach", given["ref"])

        def upload(given: dict[str, str]) -> None:
            file = workspace / given["path"]
            if file.is_file():
                name = file.name if given.get("archive") == "false" else given["name"]
                self.forge.add_artifact(name, file.read_bytes(), file=file.name)

        actions = {
            "actions/checkout": checkout,
            "actions/setup-python": lambda _: None,
            "actions/upload-artifact": upload,
        }
        found = yaml.safe_load(workflow.read_text("utf-8").replace("--pictures", "--no-pictures"))
        # Pictures have tests of their own, and need a browser.
        inputs = {"pictures": "false"}
        runner = Runner(workspace, self.temp, environment, {"github": github, "inputs": inputs, "job": {}}, actions)
        runner.run(found["jobs"][job]["steps"])
        return runner


@pytest.fixture
def fork(tmp_path: Path, forge: ForgeRepository) -> Fork:
    return Fork(tmp_path, forge)


@pytest.mark.parametrize("folder", [OURS, WRITTEN / "github" / ".github"], ids=["ours", "written by init"])
def test_fork_gets_annotations_a_report_and_one_comment(fork: Fork, folder: Path) -> None:
    first = fork.pull_request(folder / "workflows" / "mails.yml")
    assert first.failed == ["Check", "Snapshots", "Diff"]  # a break, and no snapshots
    assert "::error file=email_templates/hello/template.mjml,line=" in first.output("Check")
    assert "### Mails: 1 of 1 change" in (fork.temp / "summary.md").read_text("utf-8")
    assert {one["name"] for one in fork.forge.artifacts} <= {"mails-report", "report.html"}
    assert fork.forge.api.requests == []
    for said in ("created", "unchanged"):
        second = fork.workflow_run(folder / "workflows" / "mails-comment.yml")
        assert second.failed == [], second.steps
        assert f"pull request 12 is {said}" in second.output("Comment")
    (body,) = fork.forge.bodies(12)
    assert body.startswith(f"{MARKER}\n### Mails: 1 of 1 change")
    assert "1 change breaks callers" in body
    assert RUN_URL in body
    assert "@octocat" not in body


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"version": 1, "templates": [' + b"{}," * 1_000_000 + b"{}]}", "report.json is no report: /"),
        (b"<script>alert(1)</script>", "report.json is no report: line 1"),
        (reports.report("@octocat", head="f" * 40).model_dump_json().encode(), "it is refused"),
        (json.dumps({**reports.report().model_dump(), "number": 13}).encode(), "/number"),
    ],
    ids=["a million templates", "markup", "another head", "another number"],
)
def test_fork_gets_no_comment_when_its_report_is_hostile(fork: Fork, data: bytes, said: str) -> None:
    fork.forge.add_pull(13, "f" * 40, repository="team/mails")
    fork.forge.add_comment(12, f"{MARKER}\nmine", STRANGER)
    fork.forge.add_artifact("mails-report", data)
    ran = fork.workflow_run(OURS / "workflows" / "mails-comment.yml")
    assert ran.failed == ["Comment"]
    assert said in ran.output("Comment")
    assert "::" not in ran.output("Comment")
    assert fork.forge.methods == []


def test_fork_gets_an_escaped_comment_when_its_report_has_markup_and_mentions(fork: Fork) -> None:
    text = "</code>`@org/team` [x](https://evil.example) <img src=//evil.example>\n/merge\n| #1"
    fork.forge.add_comment(12, f"{MARKER}\nmine", STRANGER)
    fork.forge.add_artifact("mails-report", reports.report(text, head=fork.head).model_dump_json().encode())
    ran = fork.workflow_run(OURS / "workflows" / "mails-comment.yml")
    assert ran.failed == [], ran.steps
    theirs, ours = fork.forge.bodies(12)
    assert theirs == f"{MARKER}\nmine"
    assert "https://evil" not in ours
    assert "@org" not in ours
    assert "\n/merge" not in ours


def test_fork_gets_no_comment_when_its_run_made_no_report(fork: Fork) -> None:
    ran = fork.workflow_run(OURS / "workflows" / "mails-comment.yml")
    assert ran.failed == []
    assert "Nothing is to be done" in ran.output("Comment")


def test_merge_request_gets_reports_and_a_note(tmp_path: Path) -> None:
    jobs = yaml.safe_load(
        (WRITTEN / "gitlab" / ".gitlab-ci.yml").read_text("utf-8").replace("--pictures", "--no-pictures")
    )
    with forge_repository("gitlab") as forge:
        forge.user = (5, "mails-bot")
        made = Fork(tmp_path, forge)
        made.upstream.git("switch", "--quiet", "--detach", made.head)
        base = made.upstream.git("rev-parse", "main").strip()
        environment = {
            "GITLAB_CI": "true", "CI_COMMIT_SHA": made.head, "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
            "CI_MERGE_REQUEST_IID": "12", "CI_MERGE_REQUEST_PROJECT_PATH": "team/mails", "GITLAB_TOKEN": "glpat",
            "CI_API_V4_URL": forge.api.url, "CI_JOB_URL": "https://gitlab.example/team/mails/-/jobs/3",
        }  # fmt: skip
        runner = Runner(made.upstream.top, tmp_path, environment, {}, {})
        runner.shell("mails", "\n".join(jobs["mails"]["script"]).replace("pytest ", "true "), {})
        assert runner.failed == ["mails"]
        quality = json.loads((made.upstream.top / "codequality.json").read_text("utf-8"))
        assert [one["check_name"] for one in quality if one["severity"] == "major"]
        assert (made.upstream.top / "report" / "report.json").is_file()
        runner.shell("comment", "\n".join(jobs["mails-comment"]["script"]), {})
        assert runner.failed == ["mails"], runner.steps
        (body,) = forge.bodies(12)
        assert "1 change breaks callers" in body
