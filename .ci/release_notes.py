"""Release notes of a tag: the section of CHANGELOG.md for its version, on stdout.

    python .ci/release_notes.py v1.2.3    exit 0, or 1 with what is wrong on stderr

The tag must be `v` and the version in service/__init__.py, and the changelog must have a dated section for it. Standard
library only, so that the release workflow can refuse a wrong tag before it sets anything up.
"""

import re
import sys
from pathlib import Path


class ReleaseRefused(Exception):
    """This tag can't be released as things stand; the text says what to change."""


def version_of(home: Path) -> str:
    """The version in service/__init__.py."""
    found = re.search(r'^__version__ = "([^"]+)"$', (home / "service" / "__init__.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ReleaseRefused('service/__init__.py has no line __version__ = "…"')
    return found[1]


def release_notes(home: Path, tag: str) -> str:
    """The changelog's section for `tag`, without its heading. Raises ReleaseRefused."""
    version = version_of(home)
    if tag != f"v{version}":
        raise ReleaseRefused(f"the tag is {tag}, but service/__init__.py says {version}: the tag must be v{version}")
    # Each section begins with a heading "## [1.2.3] - 2026-12-31" and ends where the next begins.
    sections = re.split(r"^## ", (home / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, notes = section.partition("\n")
        if re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", heading.strip()):
            if not notes.strip():
                raise ReleaseRefused(f"the section [{version}] of CHANGELOG.md is empty")
            return notes.strip() + "\n"
    raise ReleaseRefused(f"CHANGELOG.md has no heading: ## [{version}] - YYYY-MM-DD")


def main(arguments: list[str]) -> None:
    """Print the release notes of a tag; exit with 2 for wrong usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: release_notes.py TAG\n")
        sys.exit(2)
    try:
        sys.stdout.write(release_notes(Path(__file__).resolve().parents[1], arguments[0]))
    except ReleaseRefused as error:
        sys.exit(f"error: {error}")  # prints it on stderr and exits with 1


if __name__ == "__main__":
    main(sys.argv[1:])
