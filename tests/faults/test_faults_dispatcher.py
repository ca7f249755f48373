"""A dispatcher that runs long, while workers die beside it and the database goes away."""

import threading
from collections.abc import Callable, Collection
from typing import Any

import pytest

from service.delivery.outcome import OutcomeKind
from service.errors import StoreBusy
from service.models import Status
from service.store import leases
from tests.support.faults.mails import accept, drain, kinds, status
from tests.support.faults.worker import NewWorker, TwoClocks
from tests.support.scripted import outcome


def test_dispatcher_that_never_ends_rescues_the_leases_of_a_dead_one(new_worker: NewWorker, clocks: TwoClocks) -> None:
    one, wire = new_worker()
    drain(one)
    [orphan] = accept(one, "orphan@example.com")
    one.database.write(lambda tx: leases.claim(tx, owner="dead", now=clocks(), lease_s=30, limit=10))
    backlog = [f"b{n}@example.com" for n in range(120)]
    accept(one, *backlog)
    wire.before_answer = lambda: clocks.passes(0.7)
    drain(one)
    order = [to for _, to, _ in wire.sent]
    assert sorted(order) == sorted(["orphan@example.com", *backlog])
    assert order.index("orphan@example.com") < 115, "it waited for the end of the backlog"
    assert status(one, orphan) is Status.SENT


def test_database_that_goes_away_between_claim_and_load_costs_no_second_mail(
    new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, wire = new_worker()
    ids = accept(one, *[f"m{n}@example.com" for n in range(60)])
    load: Callable[..., list[Any]] = leases.load_claimed
    reads = 0

    def away_at_times(reader: Any, wanted: Collection[str], **more: Any) -> list[Any]:
        nonlocal reads
        reads += 1
        if reads % 2 == 0:
            raise StoreBusy("away")
        return load(reader, wanted, **more)

    monkeypatch.setattr(leases, "load_claimed", away_at_times)
    while drain(one):  # what was handed back last waits for the next drain
        pass
    assert reads > 1
    assert sorted(to for _, to, _ in wire.sent) == sorted(f"m{n}@example.com" for n in range(60))
    assert {tuple(kinds(one, id_)) for id_ in ids} == {("accepted", "attempted", "sent")}


def test_database_that_is_away_at_the_load_costs_no_lapsed_lease(
    new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch, clocks: TwoClocks
) -> None:
    one, wire = new_worker()
    [message_id] = accept(one, "a@example.com")
    wire.before_conversation = lambda: clocks.passes(21)  # the row itself is asked
    renew: Callable[..., set[str]] = leases.renew
    asked = 0

    def away_once(tx: Any, wanted: Collection[str], **more: Any) -> set[str]:
        nonlocal asked
        if wanted:
            asked += 1
            if asked == 1:
                raise StoreBusy("away")
        return renew(tx, wanted, **more)

    monkeypatch.setattr(leases, "renew", away_once)
    drain(one)
    assert wire.sent == []
    drain(one)
    assert asked >= 1
    assert kinds(one, message_id) == ["accepted", "attempted", "sent"]
    assert len(wire.sent) == 1


@pytest.mark.parametrize("kind", [OutcomeKind.SENT, OutcomeKind.DEFERRED, OutcomeKind.BOUNCED])
def test_commit_that_was_not_confirmed_is_not_written_twice(
    new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch, kind: OutcomeKind
) -> None:
    one, wire = new_worker()
    wire.outcomes = [outcome(kind, code=250, reply="2.0.0 Ok", wire_sha256="0" * 64, transfer_encoding="8bit")]
    [message_id] = accept(one, "a@example.com")
    write = one.database.write
    broken = 0

    def breaks_amid_the_commit(work: Callable[[Any], Any]) -> Any:
        nonlocal broken
        done = write(work)
        if wire.sent and not broken:
            broken += 1
            raise StoreBusy("the line broke")
        return done

    monkeypatch.setattr(one.database, "write", breaks_amid_the_commit)
    drain(one)
    assert broken == 1
    assert kinds(one, message_id) == ["accepted", "attempted", kind.value]


def test_lease_that_may_have_been_released_is_renewed_before_its_mail_is_sent(
    new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, wire_of_one = new_worker()
    two, wire_of_two = new_worker()
    accept(one, *[f"m{n}@example.com" for n in range(10)])
    stop, taken = threading.Event(), threading.Event()
    write = one.database.write

    def breaks_amid_the_commit(work: Callable[[Any], Any]) -> Any:
        done = write(work)
        if stop.is_set() and not taken.is_set():
            drain(two)  # it takes what was handed back
            taken.set()
            raise StoreBusy("the line broke")
        return done

    def tell_to_stop() -> None:
        stop.set()
        taken.wait(5)

    wire_of_one.before_answer = tell_to_stop
    monkeypatch.setattr(one.database, "write", breaks_amid_the_commit)
    one.delivery.deliverer.drain(stop)
    drain(two)
    sent = [to for _, to, _ in wire_of_one.sent + wire_of_two.sent]
    assert wire_of_two.sent
    assert sorted(sent) == sorted(f"m{n}@example.com" for n in range(10))
