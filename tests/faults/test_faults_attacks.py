"""Attacks from outside while mails are sent: none is lost, probes are answered, and memory comes back."""

import http.client
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.dovecot import Dovecot
from tests.support.faults.attacks import ATTACKS, MAILBOX_USER, Target, under
from tests.support.faults.load import Crew, Load, all_sent, database_url, environment_for, reckon
from tests.support.faults.sink import Sink
from tests.support.paths import TEMPLATES
from tests.support.running import eventually

_log = logging.getLogger("faults")


@dataclass
class Probe:
    """Asks /healthz five times a second; `slowest_s` is the longest answer."""

    url: str
    slowest_s: float = 0.0
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="probe")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(0.2):
            began = time.monotonic()
            try:
                with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)) as line:
                    line.request("GET", "/healthz")
                    assert line.getresponse().status == 200
                self.answers += 1
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)


def test_attacks_lose_no_mail_and_leave_probes_answered(
    tmp_path: Path, dovecot: Dovecot, pytestconfig: pytest.Config
) -> None:
    is_long = pytestconfig.getoption("--long")
    attack_s = 75.0 if is_long else 2.0
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    dovecot.put(MAILBOX_USER, b"Subject: none of ours\r\n\r\n")
    with Sink() as sink:
        environment = environment_for(
            tmp_path,
            sink,
            EMAIL_TEMPLATES_DIR=str(templates),
            EMAIL_BOUNCE_ADDRESS="bounces@example.com",
            EMAIL_INBOX_HOST="localhost",
            EMAIL_INBOX_PORT=str(dovecot.tls_port),
            EMAIL_INBOX_USER=MAILBOX_USER,
            EMAIL_INBOX_PASSWORD=dovecot.password,
            EMAIL_INBOX_CA_FILE=str(dovecot.ca_file),
            EMAIL_INBOX_POLL_SECONDS="0.5",
            EMAIL_RATE_LIMIT_API="unlimited",
        )
        with Crew(["serve"], environment) as crew:
            crew.wait()
            [process] = crew.processes
            target, probe = Target(crew.url(), templates, dovecot), Probe(crew.url())
            with Load(crew.url) as load, probe.running():
                load.wait_for(100)
                before_bytes = resident_bytes(process.pid)
                for name, attack in ATTACKS.items():
                    probe.slowest_s = 0.0
                    with under(attack, target):
                        time.sleep(attack_s)
                        load.wait_for(5)  # it goes on while it is attacked
                    _log.info(
                        "%s: slowest probe %.2f s, %d MB", name, probe.slowest_s, resident_bytes(process.pid) / 1e6
                    )
                    assert process.is_running, f"{name} ended the service:\n{process.log}"
                    assert not is_long or probe.slowest_s < 1.0, name
                load.wait_for(100)
                after_bytes = eventually(
                    lambda: resident_bytes(process.pid),
                    lambda now: not is_long or now < 1.2 * before_bytes,
                    within_s=60,
                )
                answered = load.stop()
            assert probe.failures == []
            rows = all_sent(database_url(environment), answered)
        found = reckon(sink, answered, rows)
    _log.info("answered %d, %.0f to %.0f MB, %s", len(answered), before_bytes / 1e6, after_bytes / 1e6, found)
    assert found.lost == []
    assert found.twice == 0


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and of all that it started (Linux)."""
    try:
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _started_by(task)]
    except OSError:  # it has just ended
        return 0
    return own + sum(map(resident_bytes, children))


def _started_by(task: Path) -> list[int]:
    try:
        return [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return []
