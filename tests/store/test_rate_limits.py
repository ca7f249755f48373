"""Suppressions, slots, keys and notifications: each once, whatever races."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Literal

import pytest

from service.models import Scope, Stream
from service.store import api_keys, messages, seen, suppressions
from service.store.database import Database
from service.store.messages import IdempotencyTaken
from service.store.suppressions import Suppression
from tests.support import rows

_DAY = date(2026, 2, 21)


def _suppression(recipient_hash: str = "hash", scope: Literal["all", "marketing"] = "all") -> Suppression:
    n = rows.number()
    return Suppression(f"s{n:05}", "a@example.org", recipient_hash, scope, "bounce", "ses", rows.NOW, f"e{n}")


def test_suppressions_hold_for_their_scope_until_lifted(database: Database) -> None:
    everything, marketing = _suppression("h1"), _suppression("h2", "marketing")
    for suppression in (everything, marketing):
        assert database.write(partial(suppressions.add, suppression=suppression))
        assert not database.write(partial(suppressions.add, suppression=replace(suppression, id="again")))

    def found(stream: Stream) -> dict[str, Suppression]:
        return suppressions.find(database, ["h1", "h2", "h3"], stream)

    assert found(Stream.TRANSACTIONAL) == {"h1": everything}
    assert found(Stream.MARKETING) == {"h1": everything, "h2": marketing}
    assert suppressions.find(database, [], Stream.MARKETING) == {}

    def lift() -> bool:
        return database.write(lambda tx: suppressions.lift(tx, everything.id, by="admin", now=rows.after(5)))

    assert (lift(), lift()) == (True, False)
    assert found(Stream.TRANSACTIONAL) == {}
    again = replace(everything, id="once more")
    assert database.write(partial(suppressions.add, suppression=again))
    assert found(Stream.TRANSACTIONAL) == {"h1": again}


def test_find_names_the_wider_suppression_when_both_hold(database: Database) -> None:
    narrow, wide = _suppression("h", "marketing"), _suppression("h", "all")
    for suppression in (wide, narrow):
        database.write(partial(suppressions.add, suppression=suppression))
    assert suppressions.find(database, ["h"], Stream.MARKETING) == {"h": wide}


def test_list_page_walks_through_all_suppressions(database: Database) -> None:
    all_of_them = [replace(_suppression(f"h{n}"), since=rows.after(n // 3)) for n in range(8)]
    for suppression in all_of_them:
        database.write(partial(suppressions.add, suppression=suppression))
    database.write(lambda tx: suppressions.lift(tx, all_of_them[0].id, by="admin", now=rows.after(9)))

    seen_ids: list[str] = []
    cursor = None
    while True:
        page = suppressions.list_page(database, limit=3, cursor=cursor)
        assert page.total == 7
        seen_ids += [one.id for one in page.items]
        if (cursor := page.next) is None:
            break

    assert seen_ids == [one.id for one in reversed(all_of_them[1:])]
    lifted = suppressions.list_page(database, limit=50, recipient_hash="h0", lifted=True)
    assert [(one.id, one.lifted_by, one.lifted_at) for one in lifted.items] == [
        (all_of_them[0].id, "admin", rows.after(9))
    ]
    assert suppressions.list_page(database, limit=50, recipient_hash="h0").items == []
    with pytest.raises(ValueError, match="cursor"):
        suppressions.list_page(database, limit=1, cursor="odd")


@pytest.mark.parametrize("count", [1, 3])
def test_quota_of_a_day_is_won_by_exactly_as_many_claims_as_it_allows(database: Database, count: int) -> None:
    together = threading.Barrier(10)

    def claim(n: int) -> bool:
        together.wait(30)
        return database.write(lambda tx: suppressions.acquire_quota(tx, "hash", _DAY, count, f"m{n}"))

    with ThreadPoolExecutor(10) as pool:
        won = list(pool.map(claim, range(10)))

    assert sum(won) == count
    winners = {row["message_id"] for row in database.read("SELECT message_id FROM marketing_claims")}
    assert winners == {f"m{n}" for n in range(10) if won[n]}


def test_quota_is_counted_by_person_period_and_stream(database: Database) -> None:
    def claim(message_id: str, recipient: str = "hash", day: date = _DAY, stream: Stream = Stream.MARKETING) -> bool:
        return database.write(lambda tx: suppressions.acquire_quota(tx, recipient, day, 1, message_id, stream=stream))

    assert [claim("a"), claim("b"), claim("c", "other"), claim("d", day=_DAY + timedelta(days=1))] == [
        True,
        False,
        True,
        True,
    ]
    assert claim("e", stream=Stream.TRANSACTIONAL)
    assert not database.write(lambda tx: suppressions.acquire_quota(tx, "hash", _DAY, 0, "f"))


def test_quota_that_was_released_can_be_acquired_again(database: Database) -> None:
    def claim(message_id: str) -> bool:
        return database.write(lambda tx: suppressions.acquire_quota(tx, "hash", rows.NOW, 2, message_id))

    assert [claim("a"), claim("b"), claim("c")] == [True, True, False]
    assert database.write(lambda tx: suppressions.release_quota(tx, "a"))
    assert not database.write(lambda tx: suppressions.release_quota(tx, "a"))
    assert [claim("c"), claim("d")] == [True, False]


def test_quota_is_given_back_when_its_transaction_fails(database: Database) -> None:
    with pytest.raises(LookupError):
        database.write(lambda tx: (suppressions.acquire_quota(tx, "hash", _DAY, 1, "a"), {}["missing"]))
    assert database.write(lambda tx: suppressions.acquire_quota(tx, "hash", _DAY, 1, "b"))


def test_idempotency_key_stores_exactly_one_of_two_sends(database: Database) -> None:
    for n in range(5):
        together = threading.Barrier(2)

        def send(number: int, key: str = f"key-{n}", together: threading.Barrier = together) -> bool:
            new = rows.new_send(idempotency_key=key)
            together.wait(30)
            try:
                rows.store(database, rows.new_message(new), rows.new_message(new), send=new)
            except IdempotencyTaken:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(send, range(2))) == [False, True]
        found = messages.find_send(database, "billing", f"key-{n}", since=rows.NOW)
        assert found is not None
        assert len(found.messages) == 2
    assert database.read("SELECT COUNT(*) AS n FROM email_messages") == [{"n": 10}]


def test_api_keys_are_found_by_their_text_until_revoked(database: Database) -> None:
    key, text = database.write(lambda tx: api_keys.create(tx, "Facturation é", [Scope.READ, Scope.SEND], rows.NOW))
    other, _ = database.write(lambda tx: api_keys.create(tx, "Other", [Scope.ADMIN], rows.after(1)))

    assert text.startswith(f"rgz_{key.id}_")
    assert api_keys.find(database, text) == key
    assert key.scopes == {Scope.SEND, Scope.READ}
    wrong = [
        "",
        "rgz",
        "rgz_",
        f"rgz_{key.id}",
        f"rgz_{key.id}_",
        text[:-1],
        text + "x",
        text.upper(),
        "\x00",
        "\ud800",
    ]
    wrong += [text.replace("rgz_", "xyz_"), text.replace(key.id, other.id), text + "\x00"]
    assert [api_keys.find(database, one) for one in wrong] == [None] * len(wrong)
    assert api_keys.list_keys(database) == [key, other]

    def revoke() -> bool:
        return database.write(lambda tx: api_keys.revoke(tx, key.id, rows.after(9)))

    assert (revoke(), revoke()) == (True, False)
    assert api_keys.find(database, text) is None
    assert [one.revoked_at for one in api_keys.list_keys(database)] == [rows.after(9), None]


def test_api_key_is_stored_without_its_secret(database: Database) -> None:
    key, text = database.write(lambda tx: api_keys.create(tx, "name", [Scope.SEND], rows.NOW))
    secret = text.removeprefix(f"rgz_{key.id}_")
    assert len(secret) >= 43
    assert secret not in str(database.read("SELECT * FROM api_keys"))


def test_notification_is_new_once_for_each_source(database: Database) -> None:
    def first_time(source: str) -> bool:
        return bool(database.write(lambda tx: seen.mark_seen(tx, [("n1", source)], now=rows.NOW)))

    assert [first_time("sns"), first_time("sns"), first_time("inbox")] == [True, False, True]
