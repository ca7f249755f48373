"""A new template repository: two mails, their snapshots, and what a forge needs to guard them, in an empty folder."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

from service import __version__
from service.errors import Conflict, TemplateInvalid
from service.templates.runtime.sandbox import RenderLimits
from service.templates.snapshots.compare import rendered_files
from service.templates.snapshots.project_mails import project_mails
from service.templates.source.files import Files

Forge = Literal["github", "gitlab"]

#: The folders of the package's files: those of every repository, and those of each forge.
_SOURCE = "repository"
_COMMON = "common"
_TEMPLATES, _SNAPSHOTS = "email_templates/", "snapshots/"
#: Stands in a file for the versions of rgz-email that the repository is made for.
_REQUIRES = b"@REQUIRES@"
#: Programs leave these beside our files.
_LEFT_OUT = ("__pycache__", ".DS_Store")


@dataclass(frozen=True, slots=True)
class NewRepository:
    """The files of a new repository, path -> bytes; the keys of its templates."""

    files: Mapping[str, bytes]
    keys: tuple[str, ...]


def new_repository(forge: Forge, limits: RenderLimits, *, version: str = __version__) -> NewRepository:
    """The files for this forge and this version of rgz-email; the snapshots are rendered now."""
    files = {**_read(_COMMON), **_read(forge)}
    files = {path: data.replace(_REQUIRES, required_range(version).encode()) for path, data in files.items()}
    templates = Files.of(
        {path.removeprefix(_TEMPLATES): data for path, data in files.items() if path.startswith(_TEMPLATES)}
    )
    keys = templates.template_keys()
    with project_mails(templates, limits) as mails:
        for key in keys:
            rendered = mails.of(key)
            if rendered.manifest is None:
                raise TemplateInvalid(rendered.errors)
            recorded = rendered_files(rendered.mails, {key: rendered.manifest})
            files |= {f"{_SNAPSHOTS}{path}": data for path, data in recorded.items() if data is not None}
    return NewRepository(files, keys)


def required_range(version: str) -> str:
    """The versions that take the same templates as this one (PEP 440): 0.2.3 -> ">=0.2,<0.3"."""
    major, minor = version.split(".")[:2]
    return f">={major}.{minor},<{major}.{int(minor) + 1}"


def require_empty(folder: Path) -> None:
    """Raise Conflict for a folder that holds anything but `.git`; one that is not there is made later."""
    if folder.is_dir() and any(entry.name != ".git" for entry in folder.iterdir()):
        raise Conflict(f"{folder} is not empty, so nothing was written: name a new or an empty folder.")


def write_repository(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a folder that is new, is empty, or holds `.git` alone: all of them, or none.

    Raises Conflict for any other folder, and where it can't be written.
    """
    require_empty(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".rgz-email-", dir=folder))
        try:
            for path, data in files.items():
                target = part / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            for entry in sorted(part.iterdir()):
                entry.rename(folder / entry.name)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise Conflict(f"{folder} can't be written: {error.strerror}.") from error


def _read(name: str) -> dict[str, bytes]:
    root = package_files("service.templates.authoring") / _SOURCE / name
    return dict(_walk(root, ""))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()
