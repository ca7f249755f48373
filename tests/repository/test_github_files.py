"""What GitHub and the pre-commit tool read: workflows, forms, Dependabot, hooks, attributes."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
FORMS = sorted((FOLDER / "ISSUE_TEMPLATE").glob("*.yml"))


def read(file: Path) -> Any:
    # BaseLoader: YAML 1.1 would read the key "on" as true.
    return yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_may_only_read_unless_a_job_says_more(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"] in ({"contents": "read"}, {})
    for name, job in workflow["jobs"].items():
        assert int(job["timeout-minutes"]) <= 60, name
        if "permissions" in job and set(workflow["on"]) != {"workflow_run"}:
            # A job that may write runs nothing that a change in this repository could have put there. In the event
            # workflow_run it is on the default branch (test_workflows.py).
            assert not any("checkout" in step.get("uses", "") for step in job["steps"]), name


@pytest.mark.parametrize("file", [one for one in WORKFLOWS if "mails" not in one.stem], ids=lambda file: file.stem)
def test_workflow_runs_scripts_that_exist(file: Path) -> None:
    scripts = re.findall(r"(?:^|\s)(\.ci/\w[\w.]*)", "\n".join(step.get("run", "") for step in steps(file)))
    assert ".ci/run" in scripts
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


def test_ci_runs_on_every_python_from_the_oldest_on() -> None:
    [job] = read(FOLDER / "workflows" / "ci.yml")["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [run] = [step for step in job["steps"] if step.get("run") == ".ci/run"]
    # Without it scripts/setup.sh would take the first Python that it finds.
    assert run["env"]["PYTHON"] == "${{ steps.python.outputs.python-path }}"


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.stem)
def test_issue_form_has_labels_and_unique_questions(file: Path) -> None:
    form = read(file)
    assert form["name"]
    assert form["description"]
    assert form["labels"]
    questions = [part for part in form["body"] if part["type"] != "markdown"]
    ids = [question["id"] for question in questions]
    assert len(set(ids)) == len(ids)
    assert all(question["attributes"]["label"] for question in questions)
    assert any(question.get("validations", {}).get("required") == "true" for question in questions)


def test_dependabot_looks_where_there_is_something() -> None:
    manifests = {"pip": "pyproject.toml", "npm": "package.json", "github-actions": ""}
    updates = [
        (one["package-ecosystem"], directory)
        for one in read(FOLDER / "dependabot.yml")["updates"]
        for directory in one.get("directories", [one.get("directory")])
    ]
    assert len(set(updates)) == len(updates)
    assert {kind for kind, _ in updates} == set(manifests)
    for kind, directory in updates:
        folder = ROOT / directory.strip("/")
        if kind == "github-actions":
            assert (folder / "action.yml").is_file() or list(folder.glob(".github/workflows/*.yml")), directory
        else:
            assert (folder / manifests[kind]).is_file(), (kind, directory)
    tracked = subprocess.run(["git", "ls-files", "*package.json"], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {f"/{Path(name).parent}" for name in tracked.stdout.split()}
    assert packages == {directory for kind, directory in updates if kind == "npm"}


def test_pre_commit_hooks_of_developers_run_what_the_checks_run() -> None:
    [local] = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"  # nothing is fetched; the versions are those of the lock file
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "mypy", "templates", "lock-digest"}
    check = (ROOT / "scripts" / "check").read_text(encoding="utf-8")
    for name in ("ruff-check", "ruff-format", "mypy", "lock-digest"):
        command = hooks[name]["entry"].replace(" --force-exclude", "")
        assert command in check, f"scripts/check does not run {command}"
    script = ROOT / hooks["templates"]["entry"]
    assert os.access(script, os.X_OK)
    templates = re.compile(hooks["templates"]["files"])
    assert templates.search("email_templates/_shared/theme.mjml")
    assert not templates.search("tests/email_templates/conftest.py")
    locks = re.compile(hooks["lock-digest"]["files"])
    assert all(locks.search(name) for name in ("pyproject.toml", "requirements.lock", "requirements-test.lock"))


def attributes(*names: str) -> dict[str, dict[str, str]]:
    """What .gitattributes says of each file."""
    found = subprocess.run(
        ["git", "check-attr", "--all", "-z", "--", *names], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    said: dict[str, dict[str, str]] = {name: {} for name in names}
    for name, attribute, value in zip(found[::3], found[1::3], found[2::3], strict=False):
        said[name][attribute] = value
    return said


def test_git_keeps_snapshots_as_they_are_and_text_with_lf() -> None:
    snapshot, script, picture = "snapshots/onboarding_welcome/fr.default.html", "scripts/test", "scripts/pictures/a.png"
    said = attributes(snapshot, script, picture)
    assert said[snapshot]["text"] == "unset"
    assert (said[script]["text"], said[script]["eol"]) == ("auto", "lf")
    assert (said[picture]["binary"], said[picture]["text"]) == ("set", "unset")


def test_generated_files_are_marked_for_reviews() -> None:
    generated = ("requirements.lock", "requirements-test.lock", "service/web/pages/static/editor.js")
    said = attributes(*generated, "service/web/pages/static/pages.js")
    assert [name for name in generated if said[name].get("linguist-generated") != "set"] == []
    assert "linguist-generated" not in said["service/web/pages/static/pages.js"]
