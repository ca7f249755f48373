"""The version stands in `service/__init__.py` alone; package, command and API document take it from there."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

from service import __version__
from tests.support.paths import ROOT
from tests.support.processes import COMMAND
from tests.support.running import running, settings_for


def test_version_is_a_release_number() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_version_stands_in_no_second_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert project["dynamic"] == ["version"]
    found = subprocess.run(
        ["git", "grep", "-l", "-E", "-e", r'^(__version__|version)\b.*= *"[0-9]', "--", "*.py", "*.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.split() == ["service/__init__.py"], found.stderr


def test_version_is_the_same_in_the_installed_package_the_command_and_the_api_document(tmp_path: Path) -> None:
    assert version("rgz-email") == __version__
    said = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"rgz-email, version {__version__}\n"
    with running(settings_for(tmp_path)) as service:
        assert service.client.get("/openapi.json").json()["info"]["version"] == __version__
