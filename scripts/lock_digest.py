"""Digest of the dependencies in pyproject.toml, in each lock file: shows a forgotten `scripts/lock` without a network.

    python scripts/lock_digest.py header                the line that scripts/lock writes on top of a lock file
    python scripts/lock_digest.py build-requirements    what building the project needs, one a line
    python scripts/lock_digest.py check                 exit 0, or 1 with the problems on stderr

Not a resolver: it shows that these dependencies were locked, not that the locked versions are the newest.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

LOCKS = ("requirements.lock", "requirements-test.lock")


def header(home: Path) -> str:
    """The comment line with the digest of all tables that decide what is locked; order and comments don't count."""
    document = _pyproject(home)
    project = document["project"]
    decisive = {
        "requires-python": project["requires-python"],
        "dependencies": sorted(project["dependencies"]),
        "optional-dependencies": {name: sorted(of) for name, of in project["optional-dependencies"].items()},
        "build-system": sorted(document["build-system"]["requires"]),
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    return f"# Dependencies in pyproject.toml: sha256:{digest}"


def problems(home: Path) -> list[str]:
    """One sentence for each lock file that is missing or was not written from this pyproject.toml."""
    expected = header(home)
    sentences = []
    for name in LOCKS:
        file = home / name
        if not file.is_file():
            sentences.append(f"{name} is missing: run scripts/lock")
        elif expected not in file.read_text("utf-8").splitlines()[:3]:
            sentences.append(f"{name} was not written from this pyproject.toml: run scripts/lock")
    return sentences


def _pyproject(home: Path) -> dict[str, Any]:
    return tomllib.loads((home / "pyproject.toml").read_text("utf-8"))


def main(arguments: list[str]) -> int:
    home = Path(__file__).resolve().parent.parent
    match arguments:
        case ["header"]:
            print(header(home))
            return 0
        case ["build-requirements"]:
            print("\n".join(_pyproject(home)["build-system"]["requires"]))
            return 0
        case ["check"]:
            sentences = problems(home)
            for sentence in sentences:
                print(sentence, file=sys.stderr)
            if not sentences:
                print("The lock files belong to this pyproject.toml.")
            return bool(sentences)
        case _:
            print("usage: lock_digest.py header|build-requirements|check", file=sys.stderr)
            return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
