"""The peers that run in Node: installed once below var/bench, then asked over a pipe."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches.report import Unmeasured

SOURCES = Path(__file__).resolve().parent / "peers"
#: Outside of git, and kept: to install takes about half a minute.
INSTALLED = Path(__file__).resolve().parents[2] / "var" / "bench" / "peers"
_QUIETLY = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")


class Peers:
    """One Node process. `loaded` holds what it says of itself: `html` by peer, and `versions`."""

    def __init__(self, process: "subprocess.Popen[str]", load: dict[str, Any]) -> None:
        self._process = process
        self.loaded = self._ask({"load": load})

    def timed(self, name: str) -> Callable[[float], float]:
        """As `timing.timed`, with the clock and the loop inside of Node."""
        return lambda seconds: float(self._ask({"measure": name, "seconds": seconds})["us"]) / 1e6

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise Unmeasured("Node has no pipes")
        pipes[0].write(json.dumps(question) + "\n")
        pipes[0].flush()
        line = pipes[1].readline()
        if not line:
            raise Unmeasured(f"Node ended with {self._process.wait()}; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def peers(load: dict[str, Any]) -> Iterator[Peers]:
    """Installs them where they are not yet. Unmeasured: there is no node or npm, or npm can't install."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unmeasured("--peers needs node and npm; Debian and Ubuntu: apt-get install nodejs npm")
    _install()
    process = subprocess.Popen(
        ("node", "measure.mjs"), cwd=INSTALLED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    with process:
        try:
            yield Peers(process, load)
        finally:
            process.kill()


def _install() -> None:
    INSTALLED.mkdir(parents=True, exist_ok=True)
    wanted = (SOURCES / "package.json").read_text(encoding="utf-8")
    done = INSTALLED / "installed.json"
    if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
        (INSTALLED / "package.json").write_text(wanted, encoding="utf-8")
        command = ("npm", "install", *_QUIETLY)
        found = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, check=False)
        if found.returncode:
            raise Unmeasured(f"npm could not install the peers:\n{found.stderr.strip()}")
        done.write_text(wanted, encoding="utf-8")
    for source in SOURCES.glob("*.mjs"):
        shutil.copy(source, INSTALLED / source.name)
