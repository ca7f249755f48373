"""Template engines of Node (Handlebars, MJML, React Email), installed once below var/bench and asked over a pipe."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches.installation import npm_install
from benches.report import Unmeasured

SOURCES = Path(__file__).resolve().parent / "peers"
#: Ignored by git; installing takes about half a minute.
INSTALLED = Path(__file__).resolve().parents[2] / "var" / "bench" / "peers"


class Peers:
    """A Node process with all peers. `loaded` holds its first answer: `html` by peer, and `versions`."""

    def __init__(self, process: "subprocess.Popen[str]", load: dict[str, Any]) -> None:
        self._process = process
        self.loaded = self._ask({"load": load})

    def timed(self, name: str) -> Callable[[float], float]:
        """A function that measures one peer as `timing.timed` does, with clock and loop in Node."""
        return lambda seconds: float(self._ask({"measure": name, "seconds": seconds})["us"]) / 1e6

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise Unmeasured("Node has no pipes")
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise Unmeasured(f"Node ended with {self._process.wait()}; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def peers(load: dict[str, Any]) -> Iterator[Peers]:
    """Install the peers where that is not done, and start them with `load` (see peers/measure.mjs).

    Raises Unmeasured where node or npm is missing, or npm can't install.
    """
    npm_install(INSTALLED, (SOURCES / "package.json").read_text(encoding="utf-8"))
    for source in SOURCES.glob("*.mjs"):
        shutil.copy(source, INSTALLED / source.name)
    process = subprocess.Popen(
        ("node", "measure.mjs"), cwd=INSTALLED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    with process:
        try:
            yield Peers(process, load)
        finally:
            process.kill()
