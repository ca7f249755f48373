"""A fetch that is killed, or that finds the disk full: what was fetched before stays, and the next fetch mends it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import GitError
from tests.support.paths import ROOT
from tests.support.remote_repository import RemoteRepository
from tests.support.silent_git import silent_git

TEMPLATE = "email_templates/welcome/template.mjml"
_FETCH = """
import sys
from pathlib import Path
from service.templates.source.remote import GitRemote
GitRemote(url=sys.argv[1], ref="main", path=".", mirror=Path(sys.argv[2]), protocols=("git",)).fetch()
"""


@pytest.fixture
def forge(tmp_path: Path) -> RemoteRepository:
    return RemoteRepository.create(tmp_path / "forge")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    ).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_fetch_says_that_the_disk_is_full_and_works_once_there_is_room(
    forge: RemoteRepository, small_disk: Path
) -> None:
    old = forge.publish({TEMPLATE: "one\n"})
    remote = forge.remote(small_disk)
    remote.fetch()
    filler = small_disk / "filler"
    with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(65_536))
            file.flush()
    new = forge.publish({TEMPLATE: "two\n" * 50_000})
    for _ in range(2):
        with pytest.raises(GitError, match=r"disk is full|No space left"):
            remote.fetch()
        assert remote.files(old).files.text("welcome/template.mjml") == "one\n"
    filler.unlink()
    assert remote.fetch().commit.id == new


def test_fetch_that_is_killed_is_repeated(tmp_path: Path, forge: RemoteRepository) -> None:
    """The process and git are killed amid a pack: neither can clean up."""
    commit = forge.publish({TEMPLATE: "one\n"})
    remote = forge.remote(tmp_path)
    with silent_git() as server:
        process = subprocess.Popen([sys.executable, "-c", _FETCH, server.url, str(remote.mirror)], cwd=ROOT)
        has_begun = server.has_begun.wait(60)
        process.kill()
        for child in children_in(tmp_path):
            os.kill(child, signal.SIGKILL)
        process.wait()
    assert has_begun
    assert [path.name for path in tmp_path.glob("templates.git.new")]
    assert remote.fetch().commit.id == commit
    assert not [path.name for path in tmp_path.glob("templates.git.new")]


def children_in(folder: Path) -> Iterator[int]:
    """Processes that work in this folder, such as git of a process that was killed."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve().is_relative_to(folder):
                yield int(entry.name)
        except OSError:
            continue
