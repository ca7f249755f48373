"""Copies of the invoice template with other keys and texts, and the duration of a start with all of them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from benches.invoice import KEY, MAILS
from benches.report import Unmeasured

#: Program of a new process: prints the seconds of the first load, and how many templates compiled.
_START = """
import json, sys, time
from pathlib import Path
from benches.invoice import LIMITS
from service.templates.catalogue import Catalogue
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.isolated_compiler import compiler_of_its_own
with compiler_of_its_own(LIMITS) as compiler:
    catalogue = DirectoryCatalogue(Path(sys.argv[1]), compiler=compiler, cache_dir=Path(sys.argv[2]))
    start = time.perf_counter()
    snapshot = catalogue.load()
    seconds = time.perf_counter() - start
print(json.dumps([seconds, sum(entry.template is not None for entry in snapshot)]))
"""
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")


def make_templates(root: Path, count: int) -> None:
    """Write `count` templates below `root`, committed to a repository of their own where git is installed."""
    source = (MAILS / KEY / "template.mjml").read_text(encoding="utf-8")
    for number in range(count):
        folder = root / key_of(number)
        folder.mkdir(parents=True)
        (folder / "template.mjml").write_text(with_text(source, f"Numéro {number} de nos factures"), encoding="utf-8")
    if shutil.which("git"):
        for command in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "Templates")):
            subprocess.run((*_GIT, *command), cwd=root, check=True)


def key_of(number: int) -> str:
    return f"invoice_{number:04}"


def with_text(source: str, text: str) -> str:
    """The invoice's source with `text` in place of one sentence."""
    sentence = "ou en pièce jointe ci-dessous."
    if sentence not in source:
        raise Unmeasured(f"the invoice does not hold {sentence!r}")
    return source.replace(sentence, text)


def start_s(root: Path, cache: Path, count: int) -> float:
    """Seconds of `Catalogue.load()` in a new process. Raises Unmeasured where not all templates compile."""
    command = (sys.executable, "-c", _START, str(root), str(cache))
    finished = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise Unmeasured(finished.stderr)
    seconds, compiled = json.loads(finished.stdout)
    if compiled != count:
        raise Unmeasured(f"{compiled} of {count} templates compile")
    return float(seconds)
