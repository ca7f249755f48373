"""Fixtures of all tests: real servers, and services whose clock and transport the test controls."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from typing_extensions import override

from service import bootstrap
from service.bootstrap import Services, build
from service.cli import diff
from service.config import logs
from service.delivery.outcome import OutcomeKind
from service.deployments import replay
from service.feedback.bounce import isolated_reader
from service.isolation.child_processes import ChildProcesses
from service.templates import build_tools, isolated_compiler, mails
from service.templates.snapshots import project_mails
from tests.support.running import settings_for
from tests.support.scripted import Clock, ScriptedTransport, outcome

pytest_plugins = ["tests.support.servers", "tests.support.dovecot"]

#: `--quick` leaves these out; pyproject.toml says what each means.
_NOT_QUICK = ("browser", "faults", "postgres", "slow")

#: Folders whose tests start the command, serve the whole application, or read all files of the repository.
_SLOW_FOLDERS = ("cli", "repository", "scripts", "web")
_NOT_QUICK_FOLDERS = (*_SLOW_FOLDERS, "faults")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out browsers, PostgreSQL, faults and slow tests")
    parser.addoption("--long", action="store_true", help="run at full length: all kills, histories and examples")


def pytest_configure(config: pytest.Config) -> None:
    # No deadline: a slow example says how busy the machine is, not that the code is wrong.
    hypothesis.settings.register_profile("usual", deadline=None, max_examples=40)
    hypothesis.settings.register_profile("long", deadline=None, max_examples=500)
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "usual")


def pytest_report_header(config: pytest.Config) -> str | None:
    if not config.getoption("--quick"):
        return None
    return f"--quick: without {', '.join(f'tests/{name}' for name in _NOT_QUICK_FOLDERS)}; and {', '.join(_NOT_QUICK)}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't even import folders that `--quick` leaves out as a whole."""
    is_left_out = collection_path.name in _NOT_QUICK_FOLDERS and collection_path.parent == config.rootpath / "tests"
    return True if is_left_out and config.getoption("--quick") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they use, and leave out what `--quick` does not want."""
    tests = config.rootpath / "tests"
    for item in items:
        if not item.path.is_relative_to(tests):  # the plugin of our own package collects mails
            continue
        folders = item.path.relative_to(tests).parts
        if "faults" in folders:
            item.add_marker("faults")
        if folders[0] in _SLOW_FOLDERS or "dovecot" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
        if "postgresql" in item.name or any("postgresql" in name for name in getattr(item, "fixturenames", ())):
            item.add_marker("postgres")
    if config.getoption("--quick"):
        left_out = [item for item in items if any(item.get_closest_marker(name) for name in _NOT_QUICK)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


class SharedChildren(ChildProcesses):
    """Child processes that outlive a service: loading the compiler takes longer than most tests."""

    @override
    def close(self) -> None:
        """End with the process of the tests."""


@pytest.fixture(scope="session", autouse=True)
def _children_shared() -> Iterator[None]:
    """Let services and commands in this process share their child processes."""
    children = SharedChildren([isolated_compiler.MODULE, isolated_reader.MODULE, mails.MODULE, replay.MODULE])
    with pytest.MonkeyPatch.context() as patched:
        for module in (bootstrap, diff, build_tools, isolated_compiler, project_mails, isolated_reader):
            patched.setattr(module, "ChildProcesses", lambda _modules: children)
        yield
    ChildProcesses.close(children)


@pytest.fixture(autouse=True)
def _logging_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command that runs in this process makes of the logging, so that later tests see every line."""
    root, configure = logging.getLogger(), logs.configure
    before, handlers, level = structlog.get_config(), [*root.handlers], root.level

    def configure_uncached(*arguments: Any, **options: Any) -> None:
        configure(*arguments, **options)
        structlog.configure(cache_logger_on_first_use=False)  # a cached logger keeps this configuration for good

    monkeypatch.setattr(logs, "configure", configure_uncached)
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport() -> ScriptedTransport:
    return ScriptedTransport([outcome(OutcomeKind.SENT, code=250, reply="2.0.0 Ok: queued as 4F2", provider_id="4F2")])


@pytest.fixture
def services(tmp_path: Path, clock: Clock, transport: ScriptedTransport) -> Iterator[Services]:
    built = build(settings_for(tmp_path), transport=transport, clock=clock, boottime=clock.boottime)
    yield built
    built.close()
