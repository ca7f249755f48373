"""A drain that goes on for long meets everything: workers that die beside it, a database that goes away amid it."""

from collections.abc import Callable, Collection
from typing import Any

import pytest
from fault_mails import accept, drain, kinds, status

from conftest import NewWorker, TwoClocks
from service import deliver
from service.errors import StoreBusy
from service.models import Status
from service.store import claims


def test_a_drain_that_never_ends_takes_back_what_died_beside_it(new_worker: NewWorker, clocks: TwoClocks) -> None:
    one, wire = new_worker()
    drain(one)
    [orphan] = accept(one, "orphan@example.com")
    one.database.write(lambda tx: claims.claim(tx, owner="dead", now=clocks(), lease_s=30, limit=10))
    backlog = [f"b{n}@example.com" for n in range(120)]
    accept(one, *backlog)
    wire.before_answer = lambda: clocks.passes(0.7)
    drain(one)
    order = [to for _, to, _ in wire.sent]
    assert sorted(order) == sorted(["orphan@example.com", *backlog])
    assert order.index("orphan@example.com") < 115, "it waited for the end of the backlog"
    assert status(one, orphan) is Status.SENT


def test_a_database_that_goes_away_between_claim_and_reading_costs_no_second_mail(
    new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, wire = new_worker()
    ids = accept(one, *[f"m{n}@example.com" for n in range(60)])
    load: Callable[..., list[Any]] = claims.load_claimed
    reads = 0

    def away_at_times(reader: Any, wanted: Collection[str], **more: Any) -> list[Any]:
        nonlocal reads
        reads += 1
        if reads % 2 == 0:
            raise StoreBusy("away")
        return load(reader, wanted, **more)

    monkeypatch.setattr(deliver.claims, "load_claimed", away_at_times)
    drain(one)
    assert reads > 1
    assert sorted(to for _, to, _ in wire.sent) == sorted(f"m{n}@example.com" for n in range(60))
    assert {tuple(kinds(one, id_)) for id_ in ids} == {("accepted", "attempted", "sent")}


def test_a_database_that_is_away_when_the_row_is_asked_for_costs_no_lapsed_lease(
    new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch, clocks: TwoClocks
) -> None:
    one, wire = new_worker()
    [message_id] = accept(one, "a@example.com")
    wire.before_conversation = lambda: clocks.passes(21)  # the row itself is asked
    renew: Callable[..., set[str]] = claims.renew
    asked = 0

    def away_once(tx: Any, wanted: Collection[str], **more: Any) -> set[str]:
        nonlocal asked
        if wanted:
            asked += 1
            if asked == 1:
                raise StoreBusy("away")
        return renew(tx, wanted, **more)

    monkeypatch.setattr(deliver.claims, "renew", away_once)
    drain(one)
    assert wire.sent == []
    drain(one)
    assert asked >= 1
    assert kinds(one, message_id) == ["accepted", "attempted", "sent"]
    assert len(wire.sent) == 1
