"""Child processes: results come back, and whatever a task does, only that task fails."""

import os
import select
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from service.errors import ChildFailed, TryLater
from service.isolation.child_processes import ChildProcesses
from service.isolation.limits import TaskLimits
from tests.support import tasks

LIMITS = TaskLimits(deadline_s=30, cpu_s=20)


@pytest.fixture(scope="module")
def children() -> Iterator[ChildProcesses]:
    with closing(ChildProcesses([tasks.MODULE])) as started:
        yield started


def run(children: ChildProcesses, name: str, *arguments: str, limits: TaskLimits = LIMITS) -> str:
    return children.run(f"{tasks.MODULE}:{name}", *arguments, limits=limits).decode()


def test_child_returns_the_result_and_is_used_again(children: ChildProcesses) -> None:
    assert run(children, "echo", "é" * 1_000_000) == "é" * 1_000_000
    assert run(children, "process_id") == run(children, "process_id") != str(os.getpid())


def test_child_is_used_no_more_after_a_task_that_needed_much_memory(children: ChildProcesses) -> None:
    first = run(children, "process_id_after", "10_000_000")
    assert run(children, "process_id_after", "200_000_000") == first != run(children, "process_id")


@pytest.mark.parametrize(
    ("task", "limits", "why"),
    [
        ("crash", LIMITS, "it crashed (SIGSEGV)"),
        ("loop", TaskLimits(deadline_s=30, cpu_s=1), "it used more than 1 s of processor time"),
        ("sleep", TaskLimits(deadline_s=0.2, cpu_s=20), "it took longer than 0.2 s"),
        ("grow", LIMITS, "it needed more than 1024 MiB of memory"),
    ],
)
def test_child_failure_names_the_reason_and_leaves_the_next_task_alone(
    children: ChildProcesses, task: str, limits: TaskLimits, why: str
) -> None:
    with pytest.raises(ChildFailed) as failed:
        run(children, task, limits=limits)
    assert str(failed.value) == why
    assert run(children, "echo", "next") == "next"


def test_child_failure_carries_the_exception_shortened(children: ChildProcesses) -> None:
    with pytest.raises(ChildFailed) as failed:
        run(children, "fail", "x" * 10_000)
    assert str(failed.value).startswith("it failed: ValueError: xxx")
    assert len(str(failed.value)) < 600


@pytest.mark.parametrize("what", ["socket", "address", "program", "fork", "raw socket", "file"])
def test_child_is_refused_network_programs_and_files(children: ChildProcesses, tmp_path: Path, what: str) -> None:
    assert run(children, "attempt", what, str(tmp_path / "written")) in ("PermissionError", "OSError")
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0


def test_child_environment_holds_no_secrets(children: ChildProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_SECRET_KEY", "a secret")
    with closing(ChildProcesses([tasks.MODULE])) as fresh:
        names = set(run(fresh, "environment").split("\n"))
    assert names <= {"PYTHONPATH", "PYTHONUTF8", "LC_CTYPE"}


def test_child_that_was_killed_between_tasks_is_replaced(children: ChildProcesses) -> None:
    os.kill(int(run(children, "process_id")), signal.SIGKILL)
    assert run(children, "echo", "again") == "again"


def test_fork_server_that_died_is_started_again() -> None:
    with closing(ChildProcesses([tasks.MODULE])) as children:
        child = int(run(children, "process_id"))
        parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
        assert run(children, "echo", "again") == "again"


def test_children_end_with_the_service() -> None:
    with closing(ChildProcesses([tasks.MODULE])) as children:
        descriptor = os.pidfd_open(int(run(children, "process_id")))
    try:
        ended, _, _ = select.select([descriptor], [], [], 20)
        assert ended == [descriptor]
    finally:
        os.close(descriptor)


def test_calls_beyond_the_bound_are_refused_and_urgent_ones_still_run(children: ChildProcesses) -> None:
    limits = TaskLimits(deadline_s=0.5, cpu_s=20)
    results: list[str] = []

    def call() -> None:
        try:
            run(children, "sleep", limits=limits)
        except ChildFailed as error:
            results.append(str(error))
        except TryLater:
            results.append("try later")

    count = (os.cpu_count() or 1) + 8 + 5
    with ThreadPoolExecutor(count) as threads:
        calls = [threads.submit(call) for _ in range(count)]
        while "try later" not in results:
            pass
        assert children.run(f"{tasks.MODULE}:echo", "urgent", limits=LIMITS, is_urgent=True) == b"urgent"
        for one in calls:
            one.result()
    assert results.count("try later") == 5
