"""Load on real processes that are killed and restarted, and a count of lost and duplicate mails at the end."""

import http.client
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from service.errors import StoreBusy
from service.store.database import open_database
from tests.support.faults.sink import Arrival, Sink
from tests.support.processes import Process
from tests.support.running import ADMIN_TOKEN, data_directory, eventually

#: The limit for anything that must happen, generous for a busy machine.
PATIENCE_S = 150.0
#: A worker commits sent mail within a fraction of a second; this allows for a busy machine.
_COMMITTED_WITHIN_S = 5.0


def environment_for(directory: Path, sink: Sink, **more: str) -> dict[str, str]:
    return {
        "EMAIL_DATA_DIR": str(data_directory(directory)),
        "EMAIL_ADMIN_TOKEN": ADMIN_TOKEN,
        "EMAIL_LOG_LEVEL": "warning",
        **sink.environment,
        **more,
    }


def database_url(environment: Mapping[str, str]) -> str:
    return environment.get("DATABASE_URL") or f"sqlite:///{environment['EMAIL_DATA_DIR']}/rgz-email.db"


class Crew:
    """Processes of the service, each restarted after it was killed."""

    def __init__(self, roles: Sequence[str], environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.roles = list(roles)
        self.processes = [self._start(role) for role in self.roles]

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()

    def kill(self, n: int) -> None:
        """Kill the n-th process (SIGKILL) and start a new one in its place."""
        self.processes[n].kill()
        self.processes[n] = self._start(self.roles[n])

    def wait(self) -> None:
        """Wait until all processes are up."""
        for n in range(len(self.processes)):
            self.wait_for(n)

    def wait_for(self, n: int) -> None:
        """Wait until the n-th process is up."""
        self.processes[n].said(r" is up\.", within_s=PATIENCE_S)  # the first ones compile all templates

    def url(self) -> str:
        """The URL of the API. Raises ConnectionError while it starts."""
        process = self.processes[next(n for n, role in enumerate(self.roles) if role != "worker")]
        found = re.search(r"API\s+(http://\S+)/api/v1/email", process.log)
        if found is None:
            raise ConnectionError("not up yet")
        return found[1]

    def _start(self, role: str) -> Process:
        arguments = (role,) if role == "worker" else (role, "--port", "0")
        return Process(*arguments, environment=self.environment)


@dataclass(frozen=True, slots=True)
class Answered:
    """A mail whose send was answered with 201."""

    id: str
    recipient: str
    at_s: float


class Load:
    """Callers that send mails one by one; each repeats its request with one Idempotency-Key until a 201."""

    def __init__(self, url: Callable[[], str], *, callers: int = 3, pause_s: float = 0.02) -> None:
        self._url = url
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._answered: list[Answered] = []
        #: Answers other than 201, and ("error", 0) for requests without an answer.
        self.refusals: Counter[int] = Counter()
        self.without_retry_after = 0
        self.unexpected: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(callers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> list[Answered]:
        """Stop sending, and return all sends that were answered with 201."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert not self.unexpected, self.unexpected[:3]
        return self.answered()

    def answered(self) -> list[Answered]:
        with self._lock:
            return list(self._answered)

    def wait_for(self, more: int, *, within_s: float = PATIENCE_S) -> None:
        """Wait until `more` further sends were answered."""
        wanted = len(self.answered()) + more
        eventually(lambda: len(self.answered()), lambda count: count >= wanted, within_s=within_s)

    def _call(self, caller: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"c{caller}-{number}"
            body = {
                "to": f"{name}@example.com",
                "template_key": "onboarding_welcome",
                "variables": {
                    "reseller_name": f"Mail-of-{name}",
                    "validation_link": "https://rgz.bj",
                    "estimated_duration": "7 jours",
                },
            }
            while not self._stop.is_set() and not self._post(name, body):
                self._stop.wait(0.05)
            self._stop.wait(self._pause_s)

    def _post(self, name: str, body: Mapping[str, Any]) -> bool:
        try:
            status, headers, answer = post(self._url(), body, key=name)
        except (OSError, http.client.HTTPException):
            with self._lock:
                self.refusals[0] += 1
            return False
        with self._lock:
            if status == 201:
                [message] = json.loads(answer)["messages"]
                self._answered.append(Answered(message["id"], message["to"], time.monotonic()))
                return True
            self.refusals[status] += 1
            if status == 503 and "retry-after" not in headers:
                self.without_retry_after += 1
            if status not in (409, 503):
                self.unexpected.append(f"{status} {answer!r}")
        return False


def post(url: str, body: Mapping[str, Any], *, key: str) -> tuple[int, dict[str, str], bytes]:
    """Post on a new connection, and return status, headers in lower case, and body."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as line:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key, "Authorization": f"Bearer {ADMIN_TOKEN}"}
        line.request("POST", "/api/v1/email/send", json.dumps(body), headers)
        answer = line.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The mails that were lost and duplicated; `twice` counts the copies beyond the first."""

    answered: int
    arrived: int
    lost: list[str]
    twice: int
    unexplained: list[list[Arrival]]


@contextmanager
def rows_of(url: str) -> Iterator[Callable[[], dict[str, dict[str, Any]]]]:
    """Yield a function that reads all messages by their id; {} while the database can't be reached."""
    with closing(open_database(url)) as database:

        def look() -> dict[str, dict[str, Any]]:
            try:
                rows = database.read(
                    "SELECT id, recipient_email, status, attempts, lapsed_leases, message_id, date_at, error_message"
                    " FROM email_messages"
                )
            except StoreBusy:
                return {}
            return {row["id"]: row for row in rows}

        yield look


def all_sent(url: str, answered: Sequence[Answered], *, within_s: float = PATIENCE_S) -> dict[str, dict[str, Any]]:
    """Wait until each answered mail is `sent`, and return the rows. The lease of a dead worker lapses first: 30 s."""
    with rows_of(url) as look:
        ids = {one.id for one in answered}

        def missing() -> dict[str, str]:
            rows = look()
            return {id_: rows[id_]["status"] if id_ in rows else "gone" for id_ in ids} if rows else {"all": "unread"}

        def good(found: Mapping[str, str]) -> bool:
            return all(status == "sent" for status in found.values())

        end = time.monotonic() + within_s
        while not good(found := missing()):
            left = {id_: status for id_, status in found.items() if status != "sent"}
            assert time.monotonic() < end, f"{len(left)} of {len(ids)} not sent: {list(left.items())[:5]}"
            time.sleep(0.2)
        return look()


def reckon(sink: Sink, answered: Sequence[Answered], rows: Mapping[str, Mapping[str, Any]]) -> Reckoning:
    """Compare arrived mails with those promised. Raises AssertionError for a mail that differs from its row."""
    by_message_id = {row["message_id"]: row for row in rows.values()}
    copies = sink.copies()
    ids_of: dict[str, set[str]] = {}
    for message_id, same in copies.items():
        row = by_message_id[message_id]
        for copy in same:
            ids_of.setdefault(copy.recipient, set()).add(message_id)
            assert copy.recipient == copy.to == row["recipient_email"]
            assert copy.marks == {copy.recipient.partition("@")[0]}
            assert copy.date == format_datetime(row["date_at"])
    assert all(len(ids) == 1 for ids in ids_of.values()), "one request became two mails"
    lost = [one.id for one in answered if rows[one.id]["message_id"] not in copies]
    twice = [same for same in copies.values() if len(same) > 1]
    unexplained = [same for same in twice if not all(_was_on_the_wire(sink, copy) for copy in same[:-1])]
    return Reckoning(len(answered), len(sink.arrivals), lost, sum(len(same) - 1 for same in twice), unexplained)


def _was_on_the_wire(sink: Sink, copy: Arrival) -> bool:
    """True if the worker that sent this copy died before it can have committed it."""
    return sink.broken_at_s.get(copy.line, float("inf")) - copy.at_s < _COMMITTED_WITHIN_S
