"""The wheel alone, in a fresh environment: what a stranger does after `pip install "rgz-email[snapshots]"`.

The packages come through uv's own configuration, in the versions of the lock file.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from flit_core import buildapi

from service import __version__
from tests.support.paths import ROOT

UV = Path(sys.executable).parent / "uv"


@dataclass(frozen=True)
class Stranger:
    """A folder outside of any checkout, and an environment that has the wheel and nothing of ours."""

    home: Path
    bin: Path

    def run(self, command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=cwd,
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "HOME": str(self.home),
                "LANG": "C.UTF-8",
                **environment,
                **{
                    f"GIT_{role}_{what}": "ada@example.com"
                    for role in ("AUTHOR", "COMMITTER")
                    for what in ("NAME", "EMAIL")
                },
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def does(self, command: str, cwd: Path, **environment: str) -> str:
        done = self.run(command, cwd, **environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    home = tmp_path_factory.mktemp("stranger")
    before = Path.cwd()
    os.chdir(ROOT)  # as a build front end calls the backend
    try:
        wheel = home / buildapi.build_wheel(str(home))
    finally:
        os.chdir(before)
    python = home / "venv" / "bin" / "python"
    for arguments in (
        ["venv", "--python", sys.executable, str(home / "venv")],
        ["pip", "install", "--python", str(python), "--constraints", str(ROOT / "requirements-test.lock"),
         f"{wheel}[snapshots]"],
    ):  # fmt: skip
        done = subprocess.run([str(UV), "--quiet", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return Stranger(home, python.parent)


def begun(stranger: Stranger, folder: Path, forge: str) -> Path:
    stranger.does(f"rgz-email init {forge} --forge {forge}", folder)
    begin = "git init --quiet --initial-branch=main && git add --all && git commit --quiet -m Begin"
    stranger.does(f"{begin} && git switch --quiet --create change", folder / forge)
    return folder / forge


def without_pictures(script: str) -> str:
    """A step of CI as it runs where there is no Chromium: tests/templates/diff looks at pictures."""
    assert " --pictures" in script or "diff" not in script
    return script.replace(" --pictures", "")


def test_wheel_installs_the_tools_and_no_library_of_serving(stranger: Stranger, tmp_path: Path) -> None:
    assert stranger.does("rgz-email --version", tmp_path) == f"rgz-email, version {__version__}\n"
    done = stranger.run("rgz-email serve", tmp_path)
    assert done.returncode == 2
    assert "pip install 'rgz-email[server]'" in done.stderr
    listed = subprocess.run(
        [str(UV), "pip", "list", "--python", str(stranger.bin / "python")], capture_output=True, text=True, check=True
    ).stdout
    assert "pytest" in listed
    assert [name for name in ("litestar", "uvicorn", "psycopg", "redis", "aiosmtpd", "anyio") if name in listed] == []


def test_new_repository_passes_each_step_of_its_workflow_and_pytest(stranger: Stranger, tmp_path: Path) -> None:
    repository = begun(stranger, tmp_path, "github")
    workflow = yaml.safe_load((repository / ".github" / "workflows" / "mails.yml").read_text("utf-8"))
    steps = {step["name"]: step["run"] for step in workflow["jobs"]["mails"]["steps"] if "run" in step}
    assert list(steps) == ["Install", "Check", "Snapshots", "Diff"]
    summary = tmp_path / "summary.md"
    stranger.does("git update-ref refs/remotes/origin/main main", repository)  # as a checkout of CI has it
    said = {
        name: stranger.does(without_pictures(run), repository, BASE="main", GITHUB_STEP_SUMMARY=str(summary))
        for name, run in steps.items()
        if name != "Install"
    }
    assert said["Check"] == "2 templates: no findings.\n"
    assert said["Diff"].startswith("Mails: 0 of 2 change, 2 the same.")
    assert summary.read_text("utf-8")
    assert {file.name for file in (repository / "report").iterdir()} >= {"report.json", "report.html"}
    assert "4 passed" in stranger.does("pytest -q", repository)
    assert stranger.does("git status --porcelain", repository) == ""


def test_changed_word_fails_with_the_words_until_it_is_recorded(stranger: Stranger, tmp_path: Path) -> None:
    repository = begun(stranger, tmp_path, "gitlab")
    pipeline = yaml.safe_load((repository / ".gitlab-ci.yml").read_text("utf-8"))
    script = without_pictures("\n".join(pipeline["mails"]["script"]))
    base = stranger.does("git rev-parse main", repository).strip()
    source = repository / "email_templates" / "account_welcome" / "template.mjml"
    text = source.read_text("utf-8").replace("and you can begin", "and you may begin")
    source.write_text(text.replace("version: 1", "version: 2"), "utf-8")
    stranger.does("git commit --quiet --all -m Words", repository)
    head = stranger.does("git rev-parse HEAD", repository).strip()
    compared = stranger.run("rgz-email snapshots", repository)
    failed = stranger.run(script, repository, CI_MERGE_REQUEST_DIFF_BASE_SHA=base, CI_COMMIT_SHA=head)
    for done in (compared, failed):  # the script compares by pytest
        assert done.returncode == 1, done.stderr
        assert "[-can-]{+may+}" in done.stdout
    assert "2 templates: no findings.\n" in failed.stdout
    assert "Fails: snapshots." in failed.stdout
    stranger.does("rgz-email snapshots --update && git add --all && git commit --quiet -m Record", repository)
    head = stranger.does("git rev-parse HEAD", repository).strip()
    said = stranger.does(script, repository, CI_MERGE_REQUEST_DIFF_BASE_SHA=base, CI_COMMIT_SHA=head)
    assert "account_welcome  v1 -> v2  own text" in said
    assert "Fails:" not in said
