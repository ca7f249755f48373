"""Files of the service are for its user alone, those of an earlier version too."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.bootstrap import build
from service.config.private_files import make_private
from service.store.database import open_database
from service.templates.authoring.publisher import Publisher
from tests.support.running import settings_for
from tests.support.scripted import ScriptedTransport


@pytest.fixture(autouse=True)
def open_mask() -> Iterator[None]:
    """The umask under which everything is open that is not closed on purpose."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(directory: Path) -> list[str]:
    found = [directory, *(path for path in directory.rglob("*") if not path.is_symlink())]
    return [str(path.relative_to(directory)) for path in found if path.stat().st_mode & 0o077]


def test_files_of_a_running_service_are_for_its_user_alone(tmp_path: Path) -> None:
    with closing(build(settings_for(tmp_path), transport=ScriptedTransport())) as services:
        services.monitoring.metrics_exporter.write_snapshot()
        publisher = services.templates.publisher
        assert isinstance(publisher, Publisher)
        with publisher.lock.acquire():
            names = {path.name for path in (tmp_path / "state").iterdir()}
            assert {"rgz-email.db", "rgz-email.db-wal", "queue.db", "publish.lock", "metrics", "secret-key"} <= names
            assert open_to_others(tmp_path / "state") == []


def test_files_of_an_earlier_version_are_closed_at_the_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name in ("compiled", "metrics"):
        (state / name).mkdir(parents=True)
        (state / name / "file").write_text("x")
    for name in ("rgz-email.db.lock", "backup.db", "old.db.bak", "secret-key", "admin-token", "publish.lock"):
        (state / name).write_text("x\n")
    with closing(sqlite3.connect(state / "rgz-email.db")) as left:
        left.execute("PRAGMA journal_mode=WAL")
        left.execute("CREATE TABLE x (y)")
        settings = settings_for(tmp_path, email_secret_key=None, email_admin_token=None)
        with closing(build(settings, transport=ScriptedTransport())):
            assert open_to_others(state) == []


def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    state = tmp_path / "state"
    (state / "compiled").mkdir(parents=True)
    elsewhere.write_text("x")
    (state / "linked.db").symlink_to(elsewhere)
    (state / "notes.txt").write_text("x")
    make_private(state)
    assert elsewhere.stat().st_mode & 0o777 == 0o666
    assert (state / "notes.txt").stat().st_mode & 0o777 == 0o666


def test_database_outside_of_the_directory_is_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "mail.db"
    for _ in range(2):  # created, and found open to all
        with closing(open_database(f"sqlite:///{file}")) as database:
            database.write(lambda tx: tx.execute("CREATE TABLE IF NOT EXISTS x (y TEXT)"))
            assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
                f"mail.db{end}": 0o600 for end in ("", "-wal", "-shm", ".lock")
            }
        file.chmod(0o666)
