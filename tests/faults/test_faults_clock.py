"""Clock changes while mail is under way: nothing is sent twice, nothing is lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.bootstrap import Services
from service.models import Status
from service.store import leases
from tests.support.faults.mails import accept, drain, draining, kinds, status
from tests.support.faults.worker import NewWorker, TwoClocks
from tests.support.scripted import ScriptedTransport

HOUR = 3_600.0


@contextmanager
def mid_conversation(services: Services, transport: ScriptedTransport) -> Iterator[None]:
    """Inside of the block the transport has everything of a mail but the server's answer."""
    reached, answers = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        assert answers.wait(60)

    transport.before_answer = hold
    with draining(services):
        assert reached.wait(60)
        try:
            yield
        finally:
            answers.set()


@pytest.mark.parametrize("idle_s", [0.5, 7.0])
def test_clock_set_forward_and_back_sends_nothing_twice(
    new_worker: NewWorker, clocks: TwoClocks, idle_s: float
) -> None:
    one, wire_of_one = new_worker()
    two, wire_of_two = new_worker()
    ids = accept(one, "a@example.com", "b@example.com")
    with mid_conversation(one, wire_of_one):
        drain(two)
        for set_by_s in (HOUR, HOUR, 0.0, -HOUR, 0.0):
            clocks.passes(idle_s)  # less, and more, than a worker lets pass between two looks at what lapsed
            wire_of_one.wait_for_a_turn()  # it lives: it renews its leases
            clocks.set(seconds=set_by_s)
            drain(two)
    assert wire_of_two.sent == []
    assert sorted(to for _, to, _ in wire_of_one.sent) == ["a@example.com", "b@example.com"]
    assert [kinds(one, id_) for id_ in ids] == [["accepted", "attempted", "sent"]] * 2


def test_clock_set_forward_expires_nothing_if_it_is_set_back_soon(new_worker: NewWorker, clocks: TwoClocks) -> None:
    one, wire = new_worker()
    drain(one)
    [message_id] = accept(one, "a@example.com")
    clocks.passes(7)
    clocks.set(days=30)
    drain(one)
    assert status(one, message_id) is Status.QUEUED
    clocks.set(days=0)
    drain(one)
    assert len(wire.sent) == 1


@pytest.mark.parametrize("set_by_s", [HOUR, -HOUR])
def test_lease_of_a_worker_that_died_before_the_clock_was_set_is_rescued(
    new_worker: NewWorker, clocks: TwoClocks, set_by_s: float
) -> None:
    one, _ = new_worker()
    two, wire = new_worker()
    [message_id] = accept(one, "a@example.com")
    drain_until = clocks()
    one.database.write(lambda tx: leases.claim(tx, owner="dead", now=drain_until, lease_s=30, limit=10))
    drain(two)
    clocks.set(seconds=set_by_s)
    drain(two)
    assert status(two, message_id) is Status.SENDING  # whoever holds it may live, and gets the time to say so
    for _ in range(14):
        clocks.passes(6)
        drain(two)
    if set_by_s < 0:  # it is due when it was due; the lease alone is what nobody waits an hour for
        assert status(two, message_id) is Status.QUEUED
        clocks.passes(HOUR)
        drain(two)
    assert status(two, message_id) is Status.SENT
    assert len(wire.sent) == 1
