"""Many templates, copies of the invoice that differ in key and words, and how long a start with them takes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from benches.invoice import KEY, MAILS
from benches.report import Unmeasured

#: Printed by a process of its own: the seconds of the first build, and how many templates compiled.
_START = """
import json, sys, time
from pathlib import Path
from benches.invoice import LIMITS
from service.templates.catalogue import Catalogue
catalogue = Catalogue(Path(sys.argv[1]), limits=LIMITS, cache_dir=Path(sys.argv[2]))
start = time.perf_counter()
snapshot = catalogue.load()
print(json.dumps([time.perf_counter() - start, sum(entry.template is not None for entry in snapshot)]))
"""
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")


def make_templates(root: Path, count: int) -> None:
    """`count` templates below `root`, committed to a repository of their own where there is git."""
    source = (MAILS / KEY / "template.mjml").read_text(encoding="utf-8")
    for number in range(count):
        folder = root / key_of(number)
        folder.mkdir(parents=True)
        (folder / "template.mjml").write_text(said(source, f"Numéro {number} de nos factures"), encoding="utf-8")
    if shutil.which("git"):
        for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "Templates")):
            subprocess.run((*_GIT, *command), cwd=root, check=True)


def key_of(number: int) -> str:
    return f"invoice_{number:04}"


def said(source: str, words: str) -> str:
    """The invoice with other words in its text."""
    before = "ou en pièce jointe ci-dessous."
    if before not in source:
        raise Unmeasured(f"the invoice no longer says {before!r}")
    return source.replace(before, words)


def start_s(root: Path, cache: Path, count: int) -> float:
    """Seconds of `Catalogue.load()` alone, in a process of its own. Unmeasured: not all of them compile."""
    command = (sys.executable, "-c", _START, str(root), str(cache))
    found = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise Unmeasured(found.stderr)
    seconds, compiled = json.loads(found.stdout)
    if compiled != count:
        raise Unmeasured(f"{compiled} of {count} templates compile")
    return float(seconds)
