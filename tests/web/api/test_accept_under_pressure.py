"""Sends that can't be stored get 503 and Retry-After, and leave nothing half stored."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.models.requests import SendRequest
from service.sending.acceptor import MAX_QUICK_S
from service.store.database.sqlite import SqliteDatabase
from tests.support.running import Running, data_directory, eventually, held, running, settings_for
from tests.support.samples import WELCOME


@contextmanager
def accepting(directory: Path, *, patience_s: float, **parts: Any) -> Iterator[Running]:
    """Accept, deliver nothing, and wait for the database's writer for `patience_s`."""
    database = SqliteDatabase(data_directory(directory) / "rgz-email.db", patience_s=patience_s)
    with running(settings_for(directory), works=False, database=database, **parts) as service:
        # Recording what is served writes rows, too: not amid what is tried here.
        eventually(lambda: service.services.catalogue.current.deployment_id, bool)
        eventually(lambda: send(service, "first@example.com"), lambda answer: answer.status_code == 201)
        yield service  # the revision is kept from here on


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Running]:
    with accepting(tmp_path, patience_s=0.5) as service:
        yield service


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Running]:
    with accepting(tmp_path, patience_s=30) as service:
        yield service


def send(service: Running, to: str, **more: object) -> httpx.Response:
    return service.send("onboarding_welcome", to, WELCOME, **more)


def writes_waiting(service: Running) -> int:
    database = service.services.database
    assert isinstance(database, SqliteDatabase)
    return database.waiting


def rows(service: Running) -> dict[str, int]:
    tables = ("sends", "email_messages", "email_bodies", "email_events")
    return {name: service.services.database.read(f"SELECT COUNT(*) AS n FROM {name}")[0]["n"] for name in tables}


def assert_come_again(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"].endswith("store_busy")


def assert_whole(service: Running, accepted: int) -> None:
    """So many sends are there, each with all that belongs to it."""
    assert set(rows(service).values()) == {accepted}


def test_send_is_answered_with_503_and_stores_nothing_half_when_the_disk_is_full(api: Running) -> None:
    database = api.services.database
    pages = database.write(lambda tx: tx.execute("PRAGMA page_count")[0]["page_count"])
    database.write(lambda tx: tx.execute(f"PRAGMA max_page_count = {pages + 20}"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: send(api, f"{n}@example.com"), range(200)))
    accepted = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert refused
    for answer in refused:
        assert_come_again(answer)
    assert_whole(api, 1 + len(accepted))
    database.write(lambda tx: tx.execute("PRAGMA max_page_count = 1000000"))
    assert send(api, "later@example.com").status_code == 201
    assert_whole(api, 2 + len(accepted))


_HOLDER = """
import fcntl, sqlite3, sys
lock = open(sys.argv[1] + ".lock", "r+")
if sys.argv[2] == "in turn":
    fcntl.flock(lock, fcntl.LOCK_EX)
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@pytest.mark.parametrize("manners", ["in turn", "out of turn"])
def test_send_is_answered_with_503_when_another_process_holds_the_database(
    impatient: Running, tmp_path: Path, manners: str
) -> None:
    file = data_directory(tmp_path) / "rgz-email.db"
    command = [sys.executable, "-c", _HOLDER, str(file), manners]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: send(impatient, f"{n}@example.com"), range(4)))
        alive = impatient.client.get("/healthz")
        holder.stdin.close()
    for answer in answers:
        assert_come_again(answer)
    assert alive.status_code == 200
    later = eventually(lambda: send(impatient, "later@example.com"), lambda answer: answer.status_code == 201)
    assert later.json()["status"] == "queued"
    assert_whole(impatient, 2)


def test_send_is_answered_with_503_at_once_when_too_much_waits(tmp_path: Path) -> None:
    with accepting(tmp_path, patience_s=30, max_waiting=3) as api:
        with ThreadPoolExecutor(12) as pool:
            with held(api):
                answers = [pool.submit(send, api, f"{n}@example.com") for n in range(12)]
                # Three wait, at most three have been taken from the queue before; the others are told now, not later.
                eventually(lambda: sum(answer.done() for answer in answers), lambda told: told >= 6)
            done = [answer.result(30) for answer in answers]
        refused = [answer for answer in done if answer.status_code != 201]
        assert refused
        for answer in refused:
            assert_come_again(answer)
        eventually(lambda: send(api, "later@example.com"), lambda answer: answer.status_code == 201)
        assert_whole(api, 2 + len(done) - len(refused))


def test_sends_that_wait_together_each_get_their_own_answer(api: Running) -> None:
    """One transaction for all of them: a key that is taken, a suppressed recipient and a mistake are one's own."""
    keyed = {"Idempotency-Key": "taken"}
    body = {"to": "key@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
    with api.key("other", "send") as other, ThreadPoolExecutor(12) as pool:
        with held(api):
            good = [pool.submit(send, api, f"{n}@example.com") for n in range(5)]
            bad = pool.submit(send, api, "nobody")
            first = pool.submit(other.post, "/api/v1/email/send", json=body, headers=keyed)
            mine = pool.submit(api.client.post, "/api/v1/email/send", json=body, headers=keyed)
            assert bad.result(30).status_code == 422
        assert {answer.result(30).status_code for answer in [*good, first, mine]} == {201}
    assert_whole(api, 1 + 5 + 2)


def test_send_that_the_database_refuses_does_not_fail_its_neighbours(api: Running) -> None:
    database = api.services.database
    database.write(
        lambda tx: tx.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON email_messages WHEN NEW.recipient_email = 'bad@example.com'"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    )
    with ThreadPoolExecutor(6) as pool:
        with held(api):
            ahead = pool.submit(send, api, "ahead@example.com")
            eventually(lambda: writes_waiting(api), lambda waiting: waiting == 1)
            bad = pool.submit(send, api, "bad@example.com")
            good = [pool.submit(send, api, f"{n}@example.com") for n in range(4)]
            eventually(lambda: api.services.sending.group_commit.waiting, lambda waiting: waiting == 5)
        assert ahead.result(30).status_code == 201
        assert {answer.result(30).status_code for answer in good} == {201}
        assert bad.result(30).status_code == 500
    assert_whole(api, 1 + 1 + 4)


def test_send_too_large_for_the_disk_does_not_fail_its_neighbours(api: Running) -> None:
    """A batch and single sends that share a transaction, on a disk with room for the latter only."""
    database = api.services.database
    mails = [{"to": f"b{n}@example.com", "variables": {**WELCOME, "reseller_name": f"R{n} " * 9}} for n in range(200)]
    body = {"template_key": "onboarding_welcome", "messages": mails}
    pages = database.write(lambda tx: tx.execute("PRAGMA page_count")[0]["page_count"])
    with ThreadPoolExecutor(6) as pool:
        with held(api, at_end=lambda tx: tx.execute(f"PRAGMA max_page_count = {pages + 60}")):
            ahead = pool.submit(send, api, "ahead@example.com")
            eventually(lambda: writes_waiting(api), lambda waiting: waiting == 1)
            good = [pool.submit(send, api, f"{n}@example.com") for n in range(3)]
            many = pool.submit(api.client.post, "/api/v1/email/send/batch", json=body, timeout=60)
            eventually(lambda: api.services.sending.group_commit.waiting, lambda waiting: waiting == 203)
        assert {answer.result(30).status_code for answer in (ahead, *good)} == {201}
        assert_come_again(many.result(60))
    assert_whole(api, 1 + 1 + 3)


def test_send_that_rendered_slowly_is_rendered_in_a_thread_the_next_time(api: Running) -> None:
    drafter = api.services.sending.acceptor.renderer
    order = SendRequest(to="a@example.com", template_key="onboarding_welcome", variables=WELCOME)
    assert drafter.is_quick(order, within_s=MAX_QUICK_S)
    drafter.render_times.note(api.services.catalogue.current.get("onboarding_welcome"), 10 * MAX_QUICK_S)
    assert not drafter.is_quick(order, within_s=MAX_QUICK_S)
    assert send(api, "b@example.com").status_code == 201
