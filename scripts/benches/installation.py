"""Installing peers: once for each list of exact versions, into a folder that git ignores."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benches.report import Unmeasured

_NPM_INSTALL = (
    "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error",
)  # fmt: skip


def install_once(folder: Path, versions: str, command: Sequence[str], *, record: str) -> None:
    """Run `command` in `folder`, unless the file `record` there says that these versions were installed.

    Raises Unmeasured with the end of its output where it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    installed = folder / record
    if installed.is_file() and installed.read_text(encoding="utf-8") == versions:
        return
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if finished.returncode:
        output = finished.stderr.strip()[-2_000:]
        raise Unmeasured(f"a peer could not be installed ({' '.join(command[:4])}):\n{output}")
    installed.write_text(versions, encoding="utf-8")


def npm_install(folder: Path, package: str) -> None:
    """Install what `package` (the text of a package.json) depends on. Raises Unmeasured, also without node or npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unmeasured("--peers needs node and npm; Debian and Ubuntu: apt-get install nodejs npm")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(package, encoding="utf-8")
    install_once(folder, package, _NPM_INSTALL, record="installed.json")
