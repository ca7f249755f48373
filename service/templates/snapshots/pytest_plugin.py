"""The pytest plugin: each mail of the repository whose `rgz-email.toml` lies at pytest's root directory is a test.

It collects `email_templates/KEY/LOCALE.EXAMPLE` (`-k snapshot` selects these), compares the mail's three files with
those in `snapshots/`, and checks what `examples/NAME.expect.yaml` expects. A snapshot without a mail is a failing test,
too. `--snapshot-update`, an option of syrupy, records what is rendered now. This module is the only one that imports
pytest. Every run of pytest imports it, so that it imports what is needed where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from service.config.template_project import PROJECT_FILE, TemplateProject, read_project
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from service.templates.mails import Mail
    from service.templates.snapshots.project_mails import ProjectMails, TemplateMails
    from service.templates.source.files import Files

_PROJECT = pytest.StashKey[TemplateProject]()
_FILES = pytest.StashKey["Files"]()
_UPDATE = "to record what is rendered now: pytest -k snapshot --snapshot-update"
_HOW = f"[-was-]{{+is+}}; {_UPDATE}"


def pytest_configure(config: pytest.Config) -> None:
    """Read the project, and let the ids of its tests be arguments of the command line."""
    if not (config.rootpath / PROJECT_FILE).is_file():
        return
    if not config.pluginmanager.hasplugin("syrupy"):
        raise pytest.UsageError(f"{PROJECT_FILE}: the mails are compared by syrupy: pip install 'rgz-email[snapshots]'")
    try:
        project = read_project(config.rootpath)
        project.check_requires()
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[_PROJECT] = project
    config.args[:] = [_argument(project, config.invocation_params.dir, one) for one in config.args]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The template directory; its folders are collected as usual."""
    project = parent.config.stash.get(_PROJECT, None)
    if project is None or path.name != project.templates.name or path.resolve() != project.templates.resolve():
        return None
    return TemplateDirectory.from_parent(parent, path=path)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The mails of a template."""
    project = parent.config.stash.get(_PROJECT, None)
    if project is None or file_path.name != "template.mjml":
        return None
    if file_path.parent.parent.resolve() != project.templates.resolve():
        return None
    if file_path.parent.name.startswith(("_", ".")):
        return None
    return TemplateFile.from_parent(parent, path=file_path)


class TemplateDirectory(pytest.Directory):
    """The template directory, with the snapshots of templates that it does not have."""

    @override
    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Collect what pytest collects of any directory, and the orphans."""
        for path in sorted(self.path.iterdir(), key=lambda path: path.name):
            # A template may be called `build` or `dist`, which pytest does not look into.
            is_template = (path / "template.mjml").is_file()
            if not is_template and self.ihook.pytest_ignore_collect(collection_path=path, config=self.config):
                continue
            if path.is_dir():
                found = self.ihook.pytest_collect_directory(path=path, parent=self)
                yield from [found] if found is not None else []
            elif path.is_file():
                yield from self.ihook.pytest_collect_file(file_path=path, parent=self)
        yield UnknownSnapshots.from_parent(self, path=self.path, name="snapshots")


class TemplateFile(pytest.File):
    """A template: its mails, and the snapshots of mails that it does not have."""

    @override
    def collect(self) -> Iterator[pytest.Collector]:
        """Collect by the names of files; nothing is compiled."""
        from service.templates.snapshots.compare import paths_of
        from service.templates.snapshots.expected_mails import expected_mails

        project, key = self.config.stash[_PROJECT], self.path.parent.name
        mails = expected_mails(_files(self.config), key)
        for mail in mails:
            yield MailCollector.from_parent(self, path=self.path.with_name(mail.name), name=mail.name, mail=mail)
        there = {path for mail in mails for path in paths_of(mail)}
        yield from _orphans(self, [path for path in _recorded(project, key) if path not in there])


class MailCollector(pytest.Module):
    """One mail, with one test. Its path gives it its id; there is no such file."""

    obj = None

    def __init__(self, *, mail: Mail, **options: Any) -> None:
        super().__init__(**options)
        self.mail = mail

    @override
    def collect(self) -> Iterator[pytest.Item]:
        """Make the test."""
        folder = self.config.stash[_PROJECT].snapshots / self.mail.key
        yield MailTest.from_parent(self, name="snapshot", mail=self.mail, folder=folder)


class MailTest(pytest.Function):
    """The test of one mail."""

    def __init__(self, *, mail: Mail, folder: Path, **options: Any) -> None:
        super().__init__(callobj=mail_is_as_recorded, **options)
        self.mail = mail
        #: Where the snapshots of its template are.
        self.folder = folder
        self.extra_keyword_matches.update({"snapshot", mail.key, mail.locale, mail.example})
        # syrupy would like the name of the test in the name of each file; ours are named for the mail.
        self.add_marker(pytest.mark.filterwarnings(r"ignore:\s*Can not relate snapshot name"))

    @override
    def reportinfo(self) -> tuple[Path, int, str]:
        """The template, and the mail's name."""
        return self.path.with_name("template.mjml"), 0, str(self.mail)


class UnknownSnapshots(pytest.Collector):
    """The snapshots of templates that are not there."""

    @override
    def collect(self) -> Iterator[pytest.Collector]:
        """Collect what is recorded in folders that no template has."""
        project, keys = self.config.stash[_PROJECT], _files(self.config).template_keys()
        yield from _orphans(self, [path for path in _recorded(project) if path.split("/", 1)[0] not in keys])


class OrphanFile(pytest.File):
    """A snapshot that no mail has, with one test."""

    @override
    def collect(self) -> Iterator[pytest.Item]:
        """Make the test."""
        yield OrphanTest.from_parent(self, name="orphan")


class OrphanTest(pytest.Item):
    """The test of a snapshot that no mail has: it fails, or deletes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.extra_keyword_matches.update({"snapshot", self.path.parent.name})

    @override
    def runtest(self) -> None:
        """Fail, or delete the file with --snapshot-update."""
        from service.templates.snapshots import folder

        snapshots = self.config.stash[_PROJECT].snapshots
        path = self.path.relative_to(snapshots).as_posix()
        if not self.config.option.update_snapshots:
            what = f"{_snapshots_name(self.config)}/{path} is an orphan: no mail has it any more"
            pytest.fail(f"{what}; delete it, or {_UPDATE}", pytrace=False)
        folder.delete(snapshots, [path])

    @override
    def reportinfo(self) -> tuple[Path, int, str]:
        """The snapshot."""
        return self.path, 0, f"{self.path.parent.name}/{self.path.name}"


@pytest.fixture(scope="session")
def rgz_email_mails(pytestconfig: pytest.Config) -> Iterator[ProjectMails]:
    """The mails of the repository as they are rendered now; each template is compiled once in a process."""
    from service.config.settings import Settings
    from service.templates.build_tools import render_limits
    from service.templates.snapshots.project_mails import project_mails

    with project_mails(_files(pytestconfig), render_limits(Settings())) as mails:
        yield mails


def mail_is_as_recorded(
    request: pytest.FixtureRequest, rgz_email_mails: ProjectMails, snapshot: SnapshotAssertion
) -> None:
    """Compare the mail with its snapshots, and with what is expected of it; every difference is told at once."""
    from service.templates.snapshots.compare import parts_of, paths_of
    from service.templates.snapshots.syrupy_extensions import EXTENSIONS

    mail = request.node.mail
    found = rgz_email_mails.of(mail.key)
    one = next((one for one in found.mails if one.mail == mail), None)
    if found.manifest is None or one is None or one.rendered is None:
        pytest.fail(_why_not(mail, found), pytrace=False)
    _check_no_links(request.config, mail)
    assertions = [snapshot.use_extension(kind) for kind in EXTENSIONS]
    told: list[str] = []
    for path, part, assertion in zip(paths_of(mail), parts_of(found.manifest, one.rendered), assertions, strict=True):
        if part != assertion:
            told += _difference(f"{_snapshots_name(request.config)}/{path}", assertion)
    told += [str(finding) for finding in found.unmet(one)]
    if told:
        pytest.fail("\n".join(told), pytrace=False)


def _check_no_links(config: pytest.Config, mail: Mail) -> None:
    """Fail where syrupy would read, or write, through a link."""
    from service.errors import Conflict
    from service.templates.snapshots.compare import paths_of
    from service.templates.snapshots.folder import check_no_link

    try:
        for path in paths_of(mail):
            check_no_link(config.stash[_PROJECT].snapshots, path)
    except Conflict as error:
        pytest.fail(str(error), pytrace=False)


def _difference(path: str, assertion: SnapshotAssertion) -> list[str]:
    result = assertion.executions[assertion.num_executions - 1]
    if result.recalled_data is None and result.exception is None:
        return [f"{path} is missing: no rendering is recorded; {_UPDATE}"]
    return [f"{path} differs, {_HOW}", *assertion.get_assert_diff()]


def _why_not(mail: Mail, found: TemplateMails) -> str:
    """Why there is no such mail: the template's errors, or what rendering it said."""
    from service.templates.snapshots.readable_diff import printable

    if found.errors:
        return "\n".join([f"{mail.key} has errors:", *(printable(str(finding)) for finding in found.errors)])
    failure = next((one.failure for one in found.mails if one.mail == mail), None)
    return f"{mail} can't be rendered: {printable(failure or 'the template has no such mail')}"


def _orphans(parent: pytest.Collector, paths: list[str]) -> Iterator[pytest.Collector]:
    snapshots = parent.config.stash[_PROJECT].snapshots
    for path in paths:
        yield OrphanFile.from_parent(parent, path=snapshots / path, name=path)


def _recorded(project: TemplateProject, key: str | None = None) -> list[str]:
    """What is recorded, of one template or of all."""
    from service.templates.snapshots import folder

    if key is None:
        return folder.listed(project.snapshots)
    return [f"{key}/{path}" for path in folder.listed(project.snapshots / key)]


def _files(config: pytest.Config) -> Files:
    """The files of the template directory, which are read once."""
    from service.templates.source.files import read_files

    if _FILES not in config.stash:
        config.stash[_FILES] = read_files(config.stash[_PROJECT].templates)
    return config.stash[_FILES]


def _argument(project: TemplateProject, here: Path, argument: str) -> str:
    """An argument in which the id of a mail's test, which is no path, is written as pytest looks it up."""
    written, *parts = argument.split("::")
    path, rest = here / written, "".join(f"::{part}" for part in parts)
    if (
        path.exists()
        or path.parent.parent.resolve() != project.templates.resolve()
        or not (path.parent / "template.mjml").is_file()
    ):
        return argument
    return f"{path.parent / 'template.mjml'}::{path.name}{rest}"


def _snapshots_name(config: pytest.Config) -> str:
    project = config.stash[_PROJECT]
    return project.snapshots.relative_to(project.root).as_posix()
