"""What a release is made of: the changelog's form, the notes of a tag, and the packages that flit builds."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from flit_core import buildapi

from service import __version__
from tests.support.paths import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def versions(changelog: str) -> list[tuple[str, str]]:
    """Heading and text of each version in a changelog."""
    parts = re.split(r"^## (.*)\n", changelog, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_changelog_begins_with_unreleased_and_dates_every_release() -> None:
    headings = [heading for heading, _ in versions(CHANGELOG)]
    assert headings[0] == "[Unreleased]"
    assert [one for one in headings[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", one)] == []


def test_changelog_sorts_changes_by_kind_in_a_fixed_order() -> None:
    for heading, text in versions(CHANGELOG):
        kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
        assert kinds == sorted(set(kinds), key=KINDS.index), heading
        for kind, entries in zip(kinds, re.split(r"^### .*\n", text, flags=re.MULTILINE)[1:], strict=True):
            paragraphs = entries.strip().split("\n- ")
            assert paragraphs[0].startswith("- "), f"{heading}, {kind}: entries are a list"


def release_notes(home: Path, tag: str) -> subprocess.CompletedProcess[str]:
    script = home / ".ci" / "release_notes.py"
    return subprocess.run([sys.executable, script, tag], cwd="/", capture_output=True, text=True, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A checkout in which 1.2.0 is about to be released, after 1.1.0."""
    for name in (".ci", "service"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / ".ci" / "release_notes.py", tmp_path / ".ci")
    package = (ROOT / "service" / "__init__.py").read_text(encoding="utf-8")
    (tmp_path / "service" / "__init__.py").write_text(package.replace(f'"{__version__}"', '"1.2.0"'))
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\nIntroduction.\n\n## [Unreleased]\n\n"
        "## [1.2.0] - 2027-01-31\n\n### Added\n\n- Two things.\n\n### Fixed\n\n- One.\n\n"
        "## [1.1.0] - 2027-01-01\n\n### Fixed\n\n- An older one.\n"
    )
    return tmp_path


def test_release_notes_are_the_changelog_section_of_the_tag(home: Path) -> None:
    done = release_notes(home, "v1.2.0")
    assert (done.returncode, done.stdout) == (0, "### Added\n\n- Two things.\n\n### Fixed\n\n- One.\n"), done.stderr


@pytest.mark.parametrize("tag", ["1.2.0", "v1.1.0", "v1.2", "v1.2.0-rc1"])
def test_release_notes_refuse_a_tag_that_is_not_the_version(home: Path, tag: str) -> None:
    done = release_notes(home, tag)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the tag must be v1.2.0" in done.stderr


@pytest.mark.parametrize(
    ("heading", "why"),
    [
        ("## [1.2.0]\n\nundated", "no heading: ## [1.2.0] - YYYY-MM-DD"),
        ("## [1x2.0] - 2027-01-31\n\nanother", "no heading: ## [1.2.0] - YYYY-MM-DD"),
        ("## [1.2.0] - 2027-01-31\n\n## [1.1.0] - 2027-01-01\n\nolder", "is empty"),
    ],
)
def test_release_notes_refuse_a_changelog_without_the_version(home: Path, heading: str, why: str) -> None:
    (home / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    done = release_notes(home, "v1.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr


def test_wheel_and_sdist_hold_the_whole_package_and_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # as a build front end calls the backend
    built = buildapi.build_wheel(str(tmp_path)), buildapi.build_sdist(str(tmp_path))
    with zipfile.ZipFile(tmp_path / built[0]) as wheel, tarfile.open(tmp_path / built[1]) as sdist:
        stem = f"rgz_email-{__version__}"
        assert built == (f"{stem}-py3-none-any.whl", f"{stem}.tar.gz")
        assert f"Version: {__version__}\n".encode() in wheel.read(f"{stem}.dist-info/METADATA")
        entry_points = wheel.read(f"{stem}.dist-info/entry_points.txt").decode()
        [(command, target)] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items()
        assert f"{command}={target}" in entry_points
        tracked = subprocess.run(["git", "ls-files", "service"], cwd=ROOT, capture_output=True, text=True, check=True)
        files = {name for name in tracked.stdout.split() if (ROOT / name).is_file()}
        assert files - set(wheel.namelist()) == set()
        assert {f"{stem}/{name}" for name in files | {"LICENSE", "README.md"}} - set(sdist.getnames()) == set()
