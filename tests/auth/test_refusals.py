"""Refusals are counted, so that a stranger can't fill the record of admin actions."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from service.auth.refusals import MAX_APART, MAX_ROWS_A_DAY, Refusals
from service.bootstrap import Services
from service.errors import StoreBusy
from service.models import ActionKind, AdminAction, Scope
from service.store.database import open_database
from tests.support.samples import ADMIN
from tests.support.scripted import Clock


def rows(services: Services) -> list[AdminAction]:
    return list(services.admin_actions.search(limit=1_000).items)


def test_refusals_of_one_client_are_one_row_with_their_count(services: Services, clock: Clock) -> None:
    began = clock.now
    for _ in range(1_000):
        services.refusals.token("203.0.113.9", "nonsense")
        clock.forward(seconds=0.01)
    [row] = rows(services)
    assert (row.kind, row.count, row.created_at, row.subject) == (ActionKind.KEY_REFUSED, 1_000, began, None)
    assert row.client is not None
    assert "203.0.113.9" not in str(row)


def test_refusals_of_many_clients_and_keys_are_bounded_and_lose_no_count(services: Services) -> None:
    for number in range(500):
        services.refusals.token(f"2001:db8:{number:x}::/64", f"rgz_{number:016x}_secret")
        services.refusals.scope(f"2001:db8:{number:x}::/64", ADMIN, f"scope-{number}")
    found = rows(services)
    assert len(found) <= MAX_APART + 2
    assert Counter({ActionKind.KEY_REFUSED: 500, ActionKind.SCOPE_REFUSED: 500}) == sum(
        (Counter({row.kind: row.count}) for row in found), Counter()
    )


def test_refusals_of_one_client_with_many_keys_are_two_rows_at_most(services: Services) -> None:
    for number in range(500):
        services.refusals.token("203.0.113.9", f"rgz_{number:016x}_secret")
    assert sum(row.count for row in rows(services)) == 500
    assert len(rows(services)) <= 2


def test_refusal_names_a_key_that_there_was_and_no_text_of_a_stranger(services: Services, clock: Clock) -> None:
    made, text = services.api_keys.create("billing", [Scope.SEND], clock())
    services.api_keys.revoke(made.id, clock())
    services.refusals.token("203.0.113.9", text)
    services.refusals.token("198.51.100.1", "rgz_ada0example0c0m1_secret")
    services.refusals.token("198.51.100.2", "rgz_0123456789abcdef_secret")
    found = [row for row in rows(services) if row.kind is ActionKind.KEY_REFUSED]
    assert {row.subject for row in found} == {made.id, None}


def test_refusals_are_not_told_apart_any_more_when_a_day_had_too_many(services: Services, clock: Clock) -> None:
    columns = ("id", "created_at", "kind", "via", "count")
    filling = [(f"{number:05}", clock.now, "key_refused", "api", 1) for number in range(MAX_ROWS_A_DAY)]
    services.database.write(lambda tx: tx.insert("admin_actions", columns, filling))
    clock.forward(minutes=1)
    for number in range(MAX_APART):
        services.refusals.token(f"client-{number}", "nonsense")
    newest, next_one = rows(services)[:2]
    assert (newest.count, newest.client) == (MAX_APART, None)
    assert next_one.created_at < newest.created_at
    clock.forward(days=1)
    services.refusals.token("client", "nonsense")
    assert rows(services)[0].client is not None


def test_refusals_are_stored_by_themselves_after_a_while(services: Services, clock: Clock) -> None:
    refusals = Refusals(services.database, b"key", clock, flush_after_s=0.0)
    refusals.token("203.0.113.9", "nonsense")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(20)
    assert len(services.database.read("SELECT id FROM admin_actions")) == 1


def test_refusals_stay_counted_while_the_database_takes_nothing(
    tmp_path: Path, services: Services, clock: Clock
) -> None:
    class Busy:
        """The database of the service, which is locked for a while."""

        is_locked = True

        def write(self, work: object) -> object:
            if self.is_locked:
                raise StoreBusy("The database is locked.")
            return services.database.write(work)  # type: ignore[arg-type]

    busy = Busy()
    refusals = Refusals(busy, b"key", clock)  # type: ignore[arg-type]
    refusals.token("203.0.113.9", "nonsense")
    refusals.flush()
    refusals.token("203.0.113.9", "nonsense")
    busy.is_locked = False
    refusals.close()
    assert services.database.read("SELECT count FROM admin_actions") == [{"count": 2}]


def test_refusals_are_stored_when_the_service_ends(services: Services) -> None:
    services.refusals.token("203.0.113.9", "nonsense")
    services.close()
    database = open_database(f"sqlite:///{services.settings.email_data_dir.resolve() / 'rgz-email.db'}")
    try:
        assert database.read("SELECT kind FROM admin_actions") == [{"kind": "key_refused"}]
    finally:
        database.close()


@pytest.mark.parametrize("word", ["UPDATE", "DELETE FROM"])
def test_admin_actions_are_only_added_but_for_retention(word: str) -> None:
    root = Path(__file__).parents[2] / "service"
    found = [file.name for file in root.rglob("*.py") if f"{word} admin_actions" in file.read_text(encoding="utf-8")]
    assert found == (["retention.py"] if word == "DELETE FROM" else [])
