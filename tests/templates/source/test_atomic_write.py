"""Atomic writes: a template's folder changes as a whole, for readers and after a failure or kill."""

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.errors import GitError
from service.templates.source import atomic_write, git
from service.templates.source.files import read_files
from tests.support.checkouts import write_mail
from tests.support.publishing import tree


def test_atomic_write_that_is_killed_leaves_the_old_files_or_the_new_ones(tmp_path: Path) -> None:
    """Killed at every system call that changes a name, in turn, until it gets through."""
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from service.templates.source import atomic_write

        left = int(sys.argv[2])

        def count(event, arguments):
            global left
            if event in ("os.rename", "os.mkdir", "open", "shutil.rmtree") and ".draft-" in str(arguments):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        with atomic_write.change_folder(Path(sys.argv[1]), "hello", {"template.mjml": b"new", "template.txt": b"new"}):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    old = {"template.mjml": b"old", "template.txt": b"old"}
    new = dict.fromkeys(old, b"new")
    seen = set()
    for steps in range(60):
        root = tmp_path / str(steps)
        (root / "hello").mkdir(parents=True)
        for name, data in old.items():
            (root / "hello" / name).write_bytes(data)
        done = subprocess.run([sys.executable, "-c", script, str(root), str(steps)], check=False, cwd=Path.cwd())
        found = tree(root / "hello")
        assert found in (old, new), steps
        seen.add((done.returncode, found == new))
        if done.returncode == 0:
            break
    assert seen >= {(-signal.SIGKILL, False), (0, True)}
    assert not [path for path in root.iterdir() if path.name != "hello"]


def test_atomic_write_never_shows_readers_a_mixture_while_folders_are_swapped(tmp_path: Path) -> None:
    names = [f"part{number}.txt" for number in range(8)]
    (tmp_path / "hello").mkdir()
    with ThreadPoolExecutor(1) as pool:
        for name in names:
            (tmp_path / "hello" / name).write_bytes(b"0")

        def write() -> None:
            for number in range(60):
                with atomic_write.change_folder(tmp_path, "hello", dict.fromkeys(names, str(number).encode())):
                    pass

        writing = pool.submit(write)
        while not writing.done():
            files = read_files(tmp_path)
            assert len({file.data for file in files.by_path.values()}) == 1
            assert len(files.by_path) == len(names)
        writing.result()


@pytest.mark.parametrize("swaps", [True, False], ids=["swapped", "file by file"])
def test_atomic_write_puts_every_file_back_after_a_failure(tmp_path: Path, swaps: bool) -> None:
    target = tmp_path / "hello"
    (target / "examples").mkdir(parents=True)
    (target / "template.mjml").write_text("old")
    (target / "gone.txt").write_text("old")
    before = tree(tmp_path)
    swap = atomic_write.swap_folders if swaps else lambda one, other: False
    changes = {"template.mjml": b"new", "gone.txt": None, "examples/new.yaml": b"new"}
    with pytest.raises(RuntimeError), atomic_write.change_folder(tmp_path, "hello", changes, swap=swap):
        assert tree(target) == {"template.mjml": b"new", "examples/new.yaml": b"new"}
        raise RuntimeError
    assert tree(tmp_path) == before
    with atomic_write.change_folder(tmp_path, "hello", changes, swap=swap):
        pass
    assert tree(target) == {"template.mjml": b"new", "examples/new.yaml": b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["hello"]


def test_atomic_write_keeps_the_modes_of_files(tmp_path: Path) -> None:
    source = write_mail(tmp_path)
    source.chmod(0o640)
    source.parent.chmod(0o750)
    with atomic_write.change_folder(tmp_path, "hello", {"template.mjml": b"new"}):
        pass
    assert (source.stat().st_mode & 0o777, source.parent.stat().st_mode & 0o777) == (0o640, 0o750)
    assert [path.name for path in tmp_path.iterdir()] == ["hello"]


def test_git_that_is_slow_is_told_to_end_and_takes_its_locks_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text('#!/bin/sh\ntrap "rm lock; exit 1" TERM\ntouch lock\nwhile :; do sleep 0.01; done\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    with pytest.raises(GitError, match="longer than"):
        git.git(tmp_path, "status", timeout_s=0.5)
    assert not (tmp_path / "lock").exists()
