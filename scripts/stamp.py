"""The stamp in `.venv`: a record of what was installed, so that the next start sees quickly that nothing is missing.

    python -I -S scripts/stamp.py check runtime|test    exit 0; else the Remedy as exit status, its reason on stdout
    python -I -S scripts/stamp.py write runtime|test

Not a check of the packages' files: it compares digests of the lock files and of the project's metadata, the Python,
the directory, and the top-level names in site-packages. It uses the standard library only, and runs with the Python of
the `.venv` that it checks.
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
    """How an incomplete `.venv` is repaired; the exit status of `check`."""

    COMPLETE = 1
    REMAKE = 3


def check(home: Path, wanted: str) -> tuple[Remedy, str] | None:
    """The remedy that the `.venv` of the checkout `home` needs for `wanted` ("runtime" or "test"), and its reason.

    None when it is complete. A `.venv` of this directory without a stamp is kept: pip completes it.
    """
    venv = home / ".venv"
    return _wrong_place(home, venv) or _wrong_stamp(home, venv, wanted)


def _wrong_place(home: Path, venv: Path) -> tuple[Remedy, str] | None:
    if not (venv / "pyvenv.cfg").is_file():
        return Remedy.REMAKE, "it is not a virtual environment"
    if (venv / ".unpacking").exists():
        return Remedy.REMAKE, "its set-up was interrupted"
    if not _installed_names(home):
        return Remedy.REMAKE, f"it holds no packages for {_python()}"
    if script := _moved_script(venv):
        return Remedy.REMAKE, f"it was moved or copied here: its {script} belongs to another directory"
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
    if missing := names - _installed_names(home):
        return Remedy.REMAKE, f"{min(missing)} is missing from it"
    if stamp.get("python") != _python():
        return Remedy.COMPLETE, f"it was made with {stamp.get('python')}, now it is {_python()}"
    if wanted not in locks:
        return Remedy.COMPLETE, "the tests' tools are not installed yet"
    if locks[wanted] != _digest(home / LOCKS[wanted]):
        return Remedy.COMPLETE, f"{LOCKS[wanted]} has changed"
    if stamp.get("project") != _project_digest(home):
        return Remedy.COMPLETE, "the project's metadata in pyproject.toml, or its version, has changed"
    if not os.access(venv / "bin" / "rgz-email", os.X_OK):
        return Remedy.COMPLETE, "its command rgz-email is missing"
    return None


def write(home: Path, installed: str) -> None:
    """Write the stamp for a complete `installed` ("runtime", or "test", which includes it), atomically."""
    covered = ["runtime", "test"] if installed == "test" else ["runtime"]
    stamp = {
        "place": str(home / ".venv"),
        "python": _python(),
        "locks": {name: _digest(home / LOCKS[name]) for name in covered},
        "project": _project_digest(home),
        "names": sorted(_installed_names(home)),
    }
    temporary = home / ".venv" / ".stamp.new"
    temporary.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")
    temporary.replace(home / ".venv" / ".stamp")


def _python() -> str:
    return f"{sys.implementation.name} {sys.version.split()[0]} in {sys.base_prefix}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _project_digest(home: Path) -> str:
    """Digest of the sources of the installed metadata and of the console script, with the version.

    Comments and tables of tools don't count.
    """
    document: dict[str, Any] = tomllib.loads((home / "pyproject.toml").read_text("utf-8"))
    version = (home / "service" / "__init__.py").read_text("utf-8")
    relevant = [document.get("build-system"), document.get("project"), document.get("tool", {}).get("flit"), version]
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def _moved_script(venv: Path) -> str | None:
    """A command in `bin` that runs the Python of another directory; the path is in its first two lines."""
    own_python = f"{venv}/bin/python".encode()
    for script in sorted((venv / "bin").iterdir()):
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as file:
            head = file.read(2) == b"#!" and file.readline() + file.readline()
        if head and b"/bin/python" in head and b"/env python" not in head and own_python not in head:
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
            if (repair := check(home, wanted)) is None:
                return 0
            remedy, reason = repair
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
