"""Retention leaves none of a thousand planted canaries in any byte on the disk."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from service.bootstrap import Services, build
from tests.support.canaries import Canaries, contents, found_in, let_pass, plant, slices, transport_of, write_templates
from tests.support.running import settings_for
from tests.support.scripted import Clock
from tests.support.servers import Postgresql

PLANTED = 1_000


def service(directory: Path, clock: Clock, canaries: Canaries, **changes: object) -> Services:
    templates = write_templates(directory / "templates")
    settings = settings_for(directory, email_templates_dir=templates, **changes)
    return build(settings, transport=transport_of(canaries), clock=clock, boottime=clock.boottime)


def files_of(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


def test_retention_leaves_nothing_of_a_person_in_any_file(
    tmp_path: Path,
    clock: Clock,
    canaries: Canaries,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = tmp_path / "state"
    with closing(service(tmp_path, clock, canaries)) as services:
        plant(services, clock, canaries, mails=72)
        assert len(canaries.words) >= PLANTED
        before = found_in(files_of(state), canaries.words)
        assert len(before) >= 0.9 * len(canaries.words)  # the search does find what is there
        packed = slices(row["content"] for row in services.database.read("SELECT content FROM email_bodies"))
        written = b"".join(contents(files_of(state)))
        assert packed and any(piece in written for piece in packed)

        let_pass(services, clock, canaries)
        done = services.recipients.retention_purge.purge()
        assert (done.is_finished, done.is_scrubbed) == (True, True)
        assert done.messages_anonymised == 144
        assert found_in(files_of(state), canaries.words) == set()
        left = b"".join(contents(files_of(state)))
        assert [piece for piece in packed if piece in left] == []
    assert found_in(files_of(state), canaries.words) == set()
    told = "".join(capfd.readouterr()) + caplog.text
    assert [word for word in canaries.words if word in told] == []


def test_retention_leaves_nothing_of_a_person_in_the_files_of_postgresql(
    tmp_path: Path, clock: Clock, canaries: Canaries
) -> None:
    with tempfile.TemporaryDirectory(prefix="rgz-pg-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        server = Postgresql(home)
        server.start()
        try:
            with closing(service(tmp_path, clock, canaries, database_url=server.url)) as services:
                plant(services, clock, canaries, mails=72)
                assert len(canaries.words) >= PLANTED
                run(server, "ANALYZE", "CHECKPOINT")
                before = found_in(files_of(home / "data"), canaries.words)
                assert len(before) >= 0.9 * len(canaries.words)

                let_pass(services, clock, canaries)
                done = services.recipients.retention_purge.purge()
                assert (done.messages_anonymised, done.is_scrubbed) == (144, True)
            # What the log of changes holds goes when its files do; a recycled one would keep its bytes for a while.
            run(server, "ALTER SYSTEM SET wal_recycle = off", "SELECT pg_reload_conf()")
            run(server, "SELECT pg_switch_wal()", "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
        finally:
            server.stop()
        assert found_in(files_of(home), canaries.words) == set()
        assert found_in(files_of(tmp_path / "state"), canaries.words) == set()


def run(server: Postgresql, *statements: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())
