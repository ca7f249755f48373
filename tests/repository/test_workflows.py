"""Workflows pin what they run by digest, hand no text of a stranger to a shell, and write only where nothing is run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

WRITTEN = ROOT / "service" / "templates" / "authoring" / "repository"
FILES = sorted(
    file
    for folder in (ROOT / ".github", WRITTEN / "github" / ".github")
    for file in folder.rglob("*.yml")
    if "uses:" in file.read_text("utf-8")
)
COMMENTS = [file for file in FILES if file.name == "mails-comment.yml"]
names = pytest.mark.parametrize("file", FILES, ids=[str(one.relative_to(ROOT)) for one in FILES])


def steps_of(file: Path) -> list[dict[str, Any]]:
    found = yaml.safe_load(file.read_text("utf-8"))
    jobs = found["jobs"].values() if "jobs" in found else [found["runs"]]
    return [step for job in jobs for step in job["steps"]]


def test_workflows_are_all_found() -> None:
    found = {str(one.relative_to(ROOT / ".github")) for one in FILES if one.is_relative_to(ROOT / ".github")}
    assert found == {
        "actions/mails/action.yml",
        *(f"workflows/{one}.yml" for one in ("ci", "release", "mails", "mails-comment")),
    }
    assert len(FILES) == 7


@names
def test_actions_are_pinned_by_a_digest_and_say_their_version(file: Path) -> None:
    lines = re.findall(r"uses: *(.+)", file.read_text("utf-8"))
    used = [one for one in lines if not one.startswith(("./", "OWNER/"))]
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+){2}", one) for one in used), used
    # One digest of an action in all files, which Dependabot raises together.
    everywhere = {line for one in FILES for line in re.findall(r"uses: *(\S+@[0-9a-f]{40})", one.read_text("utf-8"))}
    assert len({one.partition("@")[0] for one in everywhere}) == len(everywhere)


@names
def test_scripts_take_values_from_the_environment_and_from_no_expression(file: Path) -> None:
    assert [step["run"] for step in steps_of(file) if "${{" in step.get("run", "")] == []


@names
def test_checkouts_leave_no_credentials(file: Path) -> None:
    for step in steps_of(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", COMMENTS, ids=["ours", "written by init"])
def test_workflow_that_may_write_runs_nothing_of_the_pull_request(file: Path) -> None:
    found = yaml.safe_load(file.read_text("utf-8"))
    assert set(found[True]) == {"workflow_run"}  # YAML 1.1 reads `on` as true
    assert found["permissions"] == {}
    (job,) = found["jobs"].values()
    allowed = {"actions": "read", "contents": "read", "pull-requests": "write"}
    assert job["permissions"].items() <= allowed.items()
    for step in job["steps"]:
        assert not {"ref", "repository"} & set(step.get("with", {}))
        assert "download-artifact" not in step.get("uses", "")


def test_workflow_of_a_pull_request_may_only_read() -> None:
    for file in FILES:
        found = yaml.safe_load(file.read_text("utf-8"))
        if file.name == "mails.yml":
            assert found["permissions"] == {"contents": "read"}
            assert all("permissions" not in job for job in found["jobs"].values())
        assert "pull_request_target" not in file.read_text("utf-8")
