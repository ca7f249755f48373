"""The scripts, the lock files and the Dockerfile as they are in the repository."""

import fnmatch
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import lock_digest
from tests.support.paths import ROOT

COMMANDS = (
    "scripts/serve",
    "scripts/test",
    "scripts/check",
    "scripts/lock",
    "scripts/bundle",
    "scripts/docs",
    "scripts/pre-commit",
    ".ci/run",
)
LOCKS = ("requirements.lock", "requirements-test.lock")
#: One requirement of a lock file: name, version, an optional marker, then its hashes on the lines that follow.
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+)( ; [^\n\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE)
#: Package registries and directories of one machine; the brackets keep this line from matching.
PRIVATE = (
    r"py[p]i\.org|pythonhoste[d]\.org|npmj[s]\.org|de[b]\.debian\.org|(^|[^[:alnum:]_.}])/(wor[k]|roo[t]|op[t]/pypi)/"
)


def locked(name: str) -> dict[tuple[str, str], str]:
    """Versions by name and marker."""
    return {(found[1], found[3] or ""): found[2] for found in LOCKED.finditer((ROOT / name).read_text("utf-8"))}


def requirement_name(requirement: str) -> str:
    matched = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert matched
    return re.sub(r"[-_.]+", "-", matched[0]).lower()


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_executable_and_stops_at_the_first_error(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    text = (ROOT / name).read_text("utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text


@pytest.mark.parametrize("name", [*COMMANDS, "scripts/setup.sh", "scripts/system.sh"])
def test_command_is_valid_bash(name: str) -> None:
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_scripts_are_each_explained_in_their_readme() -> None:
    explained = (ROOT / "scripts" / "README.md").read_text("utf-8")
    scripts = [file.name for file in (ROOT / "scripts").iterdir() if file.is_file() and file.suffix != ".md"]
    assert [name for name in scripts if not re.search(rf"`(scripts/)?{re.escape(name)}[` ]", explained)] == []


def test_tracked_files_name_no_registry_and_no_folder_of_one_machine() -> None:
    found = subprocess.run(
        ["git", "grep", "-n", "-I", "-E", PRIVATE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (1, ""), found.stderr  # 1: git grep found nothing


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_holds_nothing_but_pinned_requirements_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert LOCKED.search(text)
    rest = LOCKED.sub("", text)
    assert [line for line in rest.splitlines() if not line.startswith("#")] == []


def test_lock_files_belong_to_this_pyproject() -> None:
    assert lock_digest.problems(ROOT) == []


def test_lock_files_hold_every_dependency_and_the_build_backend() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = {requirement_name(text) for text in document["project"]["dependencies"]}
    build = {requirement_name(text) for text in document["build-system"]["requires"]}
    extras = {
        extra: {requirement_name(text) for text in lines}
        for extra, lines in document["project"]["optional-dependencies"].items()
    }
    assert runtime | extras["server"] | build <= {name for name, _ in locked("requirements.lock")}
    assert runtime | build | set().union(*extras.values()) <= {name for name, _ in locked("requirements-test.lock")}


def test_runtime_lock_has_the_versions_that_the_tests_run_with() -> None:
    # The tests may need a package on more systems, so that its marker differs.
    tested = {(name, version) for (name, _), version in locked("requirements-test.lock").items()}
    assert {(name, version) for (name, _), version in locked("requirements.lock").items()} - tested == set()


def test_lock_digest_notices_a_changed_dependency_and_no_changed_comment(tmp_path: Path) -> None:
    for name in (*LOCKS, "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    pyproject = tmp_path / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text + "\n# A remark.\n", "utf-8")
    assert lock_digest.problems(tmp_path) == []
    pyproject.write_text(text.replace('"tzdata"', '"tzdata>=2000"'), "utf-8")
    (tmp_path / "requirements-test.lock").unlink()
    assert lock_digest.problems(tmp_path) == [
        "requirements.lock was not written from this pyproject.toml: run scripts/lock",
        "requirements-test.lock is missing: run scripts/lock",
    ]


def test_image_copies_only_what_the_build_context_holds() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    admitted = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in admitted), source


def test_image_compose_and_example_settings_name_one_template_directory() -> None:
    """The directory that the functional specification names."""
    directory = "/app/templates/emails"
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^COPY email_templates (\S+)$", dockerfile, re.MULTILINE) == [directory]
    assert re.findall(r"EMAIL_TEMPLATES_DIR=(\S+)", dockerfile) == [directory]
    assert re.findall(r"^EMAIL_TEMPLATES_DIR=(\S+)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE) == [
        directory
    ]
    assert re.findall(r"- \./email_templates:(\S+):ro", (ROOT / "compose.yaml").read_text("utf-8")) == [directory]


def test_image_has_git() -> None:
    final = (ROOT / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"^RUN apt-get update .*\n? *&& apt-get install .*\bgit\b", final, re.MULTILINE)


def test_image_runs_as_an_unprivileged_user_and_has_a_health_check() -> None:
    final = (ROOT / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE) == ["rgz-email"]
    assert final.index("\nUSER ") < final.index("\nCMD ")
    assert "/healthz" in final.partition("\nHEALTHCHECK ")[2]
