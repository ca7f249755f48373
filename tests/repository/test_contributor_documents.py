"""CONTRIBUTING.md, SECURITY.md and what GitHub shows beside them name files and commands that exist."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from service.cli.main import main
from tests.support.running import ROOT

DOCUMENTS = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", ".github/pull_request_template.md")
TRACKED = frozenset(
    subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
)
TOP = {name.partition("/")[0] for name in TRACKED}
#: What the set-up makes is not tracked.
MADE = re.compile(r"\.venv/bin/(pytest|ruff|mypy|rgz-email)|\.git/hooks/.*")


def spoken(document: str) -> str:
    """What a document gives as code, and where its links lead."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`([^`]+)`", rest), *re.findall(r"\]\(([^)#]+)\)", rest)])


def paths(document: str) -> set[str]:
    """Every path of this repository that a document names; one with a placeholder (<key>, NNNN) is none."""
    found = set()
    for word in spoken(document).split():
        path = word.removeprefix("./").removeprefix("../../").partition("::")[0].rstrip("/,.;")
        first = path.partition("/")[0]
        if (first in TOP or path.startswith((".venv/", ".git/"))) and not re.search(r"[<>*]|NNNN", path):
            found.add(path)
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document_names_only_paths_that_exist(document: str) -> None:
    folders = {str(folder) for name in TRACKED for folder in Path(name).parents}
    missing = {path for path in paths(document) if path not in TRACKED | folders and not MADE.fullmatch(path)}
    assert missing == set()


def test_documents_name_enough_paths_for_the_test_above_to_mean_something() -> None:
    assert {"service/bootstrap.py", "scripts/check", "service/store", ".ci/run"} <= paths("CONTRIBUTING.md")
    assert "tests/web/test_authorization.py" in paths("SECURITY.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_document_names_only_commands_that_exist(document: str) -> None:
    named = set(re.findall(r"rgz-email ([a-z]+)", spoken(document)))
    assert named - set(main.list_commands(click.Context(main))) == set()
