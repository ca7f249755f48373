"""The stamp in `.venv`: what was installed there, so that the next start can tell in a moment that nothing is to do.

    python -I -S scripts/stamp.py check runtime|test    exit 0, or the reason on stdout and the Remedy as exit status
    python -I -S scripts/stamp.py write runtime|test

Not a check of the packages themselves: it compares digests of the lock files and of the project's metadata, the
Python, the place, and that every top-level name that was in site-packages is still there. Standard library only, and
run by the `.venv` in question.
"""

import hashlib
import json
import os
import sys
import tomllib
from enum import IntEnum
from pathlib import Path
from typing import Any

LOCKS = {"runtime": "requirements.lock", "test": "requirements-test.lock"}


class Remedy(IntEnum):
    """What a `.venv` needs that is not right; the exit status of `check`."""

    COMPLETE = 1
    REMAKE = 3


def look(home: Path, wanted: str) -> tuple[Remedy, str] | None:
    """What the `.venv` of the checkout `home` needs to be right for `wanted` ("runtime" or "test"), and why.

    None when it is right. A `.venv` without a stamp that belongs to this place is kept: pip completes it.
    """
    venv = home / ".venv"
    return _wrong_place(home, venv) or _wrong_stamp(home, venv, wanted)


def _wrong_place(home: Path, venv: Path) -> tuple[Remedy, str] | None:
    if not (venv / "pyvenv.cfg").is_file():
        return Remedy.REMAKE, "it is no virtual environment"
    if (venv / ".unpacking").exists():
        return Remedy.REMAKE, "its set-up was stopped half-way"
    if not _installed_names(home):
        return Remedy.REMAKE, f"it holds nothing for {_python()}"
    if script := _script_of_another_place(venv):
        return Remedy.REMAKE, f"it was moved or copied here, its {script} belongs to another place"
    return None


def _wrong_stamp(home: Path, venv: Path, wanted: str) -> tuple[Remedy, str] | None:
    try:
        stamp = json.loads((venv / ".stamp").read_text("utf-8"))
        names, locks = set(stamp["names"]), dict(stamp["locks"])
    except FileNotFoundError:
        return Remedy.COMPLETE, "its set-up was not completed"
    except (OSError, ValueError, KeyError, TypeError):
        return Remedy.COMPLETE, "its stamp cannot be read"
    if stamp.get("place") != str(venv):
        return Remedy.REMAKE, f"it was made for {stamp.get('place')}"
    if gone := names - _installed_names(home):
        return Remedy.REMAKE, f"{min(gone)} is gone from it"
    if stamp.get("python") != _python():
        return Remedy.COMPLETE, f"it was made with {stamp.get('python')}, now it is {_python()}"
    if wanted not in locks:
        return Remedy.COMPLETE, "the tools of the tests are not in it yet"
    if locks[wanted] != _digest(home / LOCKS[wanted]):
        return Remedy.COMPLETE, f"{LOCKS[wanted]} has changed"
    if stamp.get("project") != _project_digest(home):
        return Remedy.COMPLETE, "the project's metadata in pyproject.toml, or its version, has changed"
    if not os.access(venv / "bin" / "rgz-email", os.X_OK):
        return Remedy.COMPLETE, "its command rgz-email is gone"
    return None


def write(home: Path, installed: str) -> None:
    """Records that `installed` ("runtime" or "test", which holds runtime too) is complete, in one atomic step."""
    covered = ["runtime", "test"] if installed == "test" else ["runtime"]
    stamp = {
        "place": str(home / ".venv"),
        "python": _python(),
        "locks": {name: _digest(home / LOCKS[name]) for name in covered},
        "project": _project_digest(home),
        "names": sorted(_installed_names(home)),
    }
    unfinished = home / ".venv" / ".stamp.new"
    unfinished.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")
    unfinished.replace(home / ".venv" / ".stamp")


def _python() -> str:
    return f"{sys.implementation.name} {sys.version.split()[0]} in {sys.base_prefix}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _project_digest(home: Path) -> str:
    """Digest of what the installed metadata and the console script come from, the version included.

    Comments and the tools' tables don't count.
    """
    document: dict[str, Any] = tomllib.loads((home / "pyproject.toml").read_text("utf-8"))
    version = (home / "service" / "__init__.py").read_text("utf-8")
    relevant = [document.get("build-system"), document.get("project"), document.get("tool", {}).get("flit"), version]
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _script_of_another_place(venv: Path) -> str | None:
    """The name of a command in `bin` that would run another place's Python; the path is in its first two lines."""
    ours = f"{venv}/bin/python".encode()
    for script in sorted((venv / "bin").iterdir()):
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as file:
            head = file.read(2) == b"#!" and file.readline() + file.readline()
        if head and b"/bin/python" in head and b"/env python" not in head and ours not in head:
            return script.name
    return None


def _installed_names(home: Path) -> set[str]:
    library = home / ".venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    try:
        return {entry.name for entry in library.iterdir() if entry.name != "__pycache__"}
    except FileNotFoundError:
        return set()


def main(arguments: list[str]) -> int:
    home = Path(__file__).resolve().parent.parent
    match arguments:
        case ["check", ("runtime" | "test") as wanted]:
            if (need := look(home, wanted)) is None:
                return 0
            remedy, reason = need
            print(reason)
            return remedy
        case ["write", ("runtime" | "test") as installed]:
            write(home, installed)
            return 0
        case _:
            print("usage: stamp.py check|write runtime|test", file=sys.stderr)
            return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
