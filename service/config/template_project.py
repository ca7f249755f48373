"""The file `rgz-email.toml` at the root of a template repository: where templates and snapshots are, and for what."""

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from service import __version__
from service.errors import ConfigurationError

PROJECT_FILE = "rgz-email.toml"
#: A file that names three things is smaller; a larger one is not read.
MAX_PROJECT_BYTES = 64_000
_FOLDERS = ("templates", "snapshots")
_KEYS = ("requires", *_FOLDERS)
_MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What the file says; the folders are POSIX paths below its own folder, "." is that folder itself.

    `requires` is a PEP 440 specifier of versions of rgz-email; None: any will do.
    """

    templates: str = "email_templates"
    snapshots: str = "snapshots"
    requires: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateProject:
    """A template repository on this machine: absolute paths of its root and of its folders, which need not exist."""

    root: Path
    templates: Path
    snapshots: Path
    requires: str | None

    def check_requires(self) -> None:
        """Raise ConfigurationError unless the installed version is one that the repository requires."""
        if problem := requires_problem(self.requires):
            raise ConfigurationError([problem])


def find_project(start: Path) -> TemplateProject | None:
    """The project of a folder: the nearest `rgz-email.toml` in it or above, up to the top of its git checkout.

    None where there is none. Raises ConfigurationError for a file with mistakes.
    """
    folder = start.resolve()
    for root in (folder, *folder.parents):
        file = root / PROJECT_FILE
        if file.exists() or file.is_symlink():  # a folder or a dead link of this name can't be read, which is told
            return read_project(root)
        if (root / ".git").exists():
            break
    return None


def snapshots_of(templates: Path) -> Path:
    """The folder of the recorded mails of a template directory: what its project names, or else `snapshots` beside it.

    Raises ConfigurationError for a project file with mistakes.
    """
    project = find_project(templates)
    if project is not None and project.templates.resolve() == templates.resolve():
        return project.snapshots
    return templates.absolute().parent / "snapshots"


def read_project(root: Path) -> TemplateProject:
    """The project whose file is in `root`. Raises ConfigurationError."""
    root = root.resolve()
    try:
        with (root / PROJECT_FILE).open("rb") as file:
            data = file.read(MAX_PROJECT_BYTES + 1)
    except OSError as error:
        raise ConfigurationError([f"{PROJECT_FILE} can't be read: {error.strerror}"]) from None
    said = parse_project(project_text(data))
    templates, snapshots = root / said.templates, root / said.snapshots
    # Files are written and deleted there.
    for one in (snapshots, *snapshots.parents)[: len(PurePosixPath(said.snapshots).parts)]:
        if one.is_symlink() or (one / "template.mjml").exists():
            what = "a symbolic link; make it a folder" if one.is_symlink() else "a template; name another folder"
            raise ConfigurationError([f"{PROJECT_FILE}: snapshots: {said.snapshots} is, or is in, {what}"])
    return TemplateProject(root, templates, snapshots, said.requires)


def project_text(data: bytes) -> str:
    """The bytes of the file as text. Raises ConfigurationError for what is no text, and for too many of them."""
    if len(data) > MAX_PROJECT_BYTES:
        raise ConfigurationError([f"{PROJECT_FILE}:1: the file has more than {MAX_PROJECT_BYTES // 1000} KB"])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError([f"{PROJECT_FILE}:1: the file is not UTF-8; save it as UTF-8"]) from None


def parse_project(text: str) -> ProjectFile:
    """Parse the file. Raises ConfigurationError with a line for each mistake."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is a ValueError alone
        found = re.search(r"at line (\d+)", str(error))
        what = str(error).rpartition(" (at ")[0] or str(error)
        said = f"{what[:1].lower()}{what[1:]}"[:_MAX_SHOWN]
        raise ConfigurationError([f"{PROJECT_FILE}:{found[1] if found else 1}: it is no TOML: {said}"]) from None
    problems = []
    for name, value in data.items():
        if problem := _problem(name, value):
            problems.append(f"{PROJECT_FILE}:{_line(text, name)}: {problem}")
    if problems:
        raise ConfigurationError(problems)
    said_by = ProjectFile(**data)
    templates, snapshots = PurePosixPath(said_by.templates), PurePosixPath(said_by.snapshots)
    line = _line(text, "snapshots" if "snapshots" in data else "templates")
    if templates == snapshots:
        raise ConfigurationError([f"{PROJECT_FILE}:{line}: templates and snapshots can't be in the same folder"])
    if templates.is_relative_to(snapshots) or (templates.parts and snapshots.is_relative_to(templates)):
        problem = "neither of templates and snapshots can be inside of the other: what no mail makes is deleted there"
        raise ConfigurationError([f"{PROJECT_FILE}:{line}: {problem}"])
    return said_by


def requires_problem(requires: str | None, installed: str = __version__) -> str | None:
    """Why the installed version will not do, with both versions and how to mend it; None if it will."""
    if requires is None or SpecifierSet(requires).contains(installed, prereleases=True):
        return None
    return (
        f"{PROJECT_FILE} requires rgz-email {requires}, and {installed} is installed: install a version that fits"
        f' (pip install "rgz-email{requires}"), or change requires'
    )


def _problem(name: str, value: object) -> str | None:
    if name not in _KEYS:
        near = difflib.get_close_matches(name[:_MAX_SHOWN], _KEYS, 1)
        hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(_KEYS)}"
        return f"{name[:_MAX_SHOWN]!r} is unknown; {hint}"
    if not isinstance(value, str):
        return f"{name} must be a text in quotes"
    if name in _FOLDERS:
        return _folder_problem(name, value)
    try:
        SpecifierSet(value)
    except InvalidSpecifier:
        return f'requires is no range of versions such as ">=0.2,<0.3" (PEP 440): {value[:_MAX_SHOWN]!r}'
    return None


def _folder_problem(name: str, value: str) -> str | None:
    path = PurePosixPath(value)
    if not value.strip() or not value.isprintable() or "\\" in value or len(value) > 250:
        return f"{name} must be a folder with slashes between its parts, such as {ProjectFile().templates}"
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", value):
        return f"{name} must be a folder below that of {PROJECT_FILE}, not {value[:_MAX_SHOWN]!r}"
    if name == "snapshots" and path == PurePosixPath("."):
        return "snapshots must be a folder of its own, such as snapshots"
    return None


def _line(text: str, name: str) -> int:
    """The line of a key or table; 1 where it is written in another way."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.partition("=")[0].strip(" \t[]\"'").partition(".")[0] == name:
            return number
    return 1
