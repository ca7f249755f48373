"""Leases: claims and their order, renewal, release, and sweeps after a worker stops."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from service.models import Body, Claimed, EventType, Outgoing, Priority, Status, Stream
from service.store import leases, message_queries, rate_limits, retention, suppressions, transitions
from service.store.body_codec import Unpackers
from service.store.database import Database, Transaction
from service.store.suppressions import Suppression
from tests.support import rows


def _sweep(database: Database, now: float) -> int:
    return database.write(lambda tx: leases.sweep(tx, now=rows.after(now)))


def _load(database: Database, ids: Sequence[str], corrupt: list[str] | None = None) -> list[Claimed]:
    told = [] if corrupt is None else corrupt
    loaded = leases.load_claimed(
        database, ids, on_corrupt=lambda message_id, error: told.append(message_id), unpackers=Unpackers()
    )
    assert corrupt is not None or told == []
    return loaded


def test_claim_takes_the_most_urgent_first_and_the_oldest_within_one_priority(database: Database) -> None:
    wanted = {}
    for priority in (Priority.BULK, Priority.CRITICAL, Priority.NORMAL, Priority.HIGH):
        for age in (1, 3, 2):
            wanted[priority, age] = rows.store_one(database, priority=priority, next_attempt_at=rows.after(-age))

    claimed = rows.claim(database, limit=7) + rows.claim(database, limit=50)

    assert claimed == [wanted[priority, age] for priority in Priority for age in (3, 2, 1)]


def test_claim_follows_another_order_so_that_bulk_is_not_starved(database: Database) -> None:
    rows.store_one(database, priority=Priority.CRITICAL)
    bulk = rows.store_one(database, priority=Priority.BULK)
    order = (Priority.BULK, Priority.CRITICAL)
    claimed = database.write(lambda tx: leases.claim(tx, owner="w", now=rows.NOW, lease_s=30, limit=1, order=order))
    assert claimed == [bulk]


def test_claim_takes_new_mail_before_retries_except_those_that_may_go_first(database: Database) -> None:
    tried = [rows.store_one(database, next_attempt_at=rows.after(-10)) for _ in range(4)]
    database.write(lambda tx: tx.execute("UPDATE email_messages SET attempts = 1"))
    new = [rows.store_one(database) for _ in range(2)]
    urgent = rows.store_one(database, priority=Priority.CRITICAL)

    def claim(limit: int, tried_first: int) -> list[str]:
        return database.write(
            lambda tx: leases.claim(tx, owner="w", now=rows.NOW, lease_s=30, limit=limit, tried_first=tried_first)
        )

    assert claim(2, 0) == [urgent, new[0]]
    assert claim(2, 1) == [tried[0], new[1]]
    assert claim(9, 0) == tried[1:]


def test_claim_skips_messages_not_due_expired_or_leased(database: Database) -> None:
    rows.store_one(database, next_attempt_at=rows.after(1))
    rows.store_one(database, expires_at=rows.NOW)
    due = rows.store_one(database)
    assert rows.claim(database) == [due]
    assert rows.claim(database) == []
    assert rows.claim(database, limit=0) == []


def test_claim_never_gives_a_row_to_two_workers(database: Database) -> None:
    send = rows.new_send()
    ids = rows.store(database, *(rows.new_message(send) for _ in range(120)), send=send)

    def drain(worker: int) -> list[str]:
        mine: list[str] = []
        while claimed := rows.claim(database, owner=f"worker-{worker}", limit=7):
            mine += claimed
        return mine

    with ThreadPoolExecutor(8) as pool:
        claimed = [message_id for part in pool.map(drain, range(8)) for message_id in part]

    assert sorted(claimed) == sorted(ids)


def test_claim_suppresses_recipients_suppressed_since_accept(database: Database) -> None:
    ids = {
        (scope, stream): rows.store_one(database, recipient_hash=f"hash-{scope}", stream=stream)
        for scope in ("all", "marketing", "none")
        for stream in Stream
    }
    taken = ids["all", Stream.MARKETING]
    for scope in ("all", "marketing"):
        suppression = Suppression(f"s-{scope}", None, f"hash-{scope}", scope, "bounce", "ses", rows.NOW)
        database.write(partial(suppressions.add, suppression=suppression))
    database.write(lambda tx: rate_limits.acquire_quota(tx, "hash-all", rows.NOW.date(), 1, taken))

    claimed = rows.claim(database, limit=3)

    suppressed = {ids["all", stream] for stream in Stream} | {ids["marketing", Stream.MARKETING]}
    assert set(claimed) == set(ids.values()) - suppressed
    for message_id in suppressed:
        assert rows.status(database, message_id) is Status.SUPPRESSED
        assert rows.timeline(database, message_id) == ["accepted", "suppressed"]
    assert database.read("SELECT message_id FROM marketing_claims") == []


def test_load_claimed_has_all_that_a_mail_is_made_of_in_the_order_asked_for(database: Database) -> None:
    files = (rows.attachment(), rows.attachment(b"other", "other.pdf"))
    first = rows.store_one(database, attachments=files)
    second = rows.store_one(database, html="<p>2</p>", text="")
    rows.claim(database)

    loaded = _load(database, [second, "unknown", first])

    assert [one.message.id for one in loaded] == [second, first]
    assert [one.body for one in loaded] == [Body(b"<p>2</p>", b""), Body(rows.HTML.encode(), rows.TEXT.encode())]
    assert [one.attachments for one in loaded] == [(), files]
    stored = message_queries.get(database, second, now=rows.NOW)
    assert stored is not None
    assert loaded[0].message == tuple(getattr(stored, field) for field in Outgoing._fields)
    assert _load(database, []) == []


def test_load_claimed_reports_corrupt_bytes_and_loads_the_others(database: Database) -> None:
    bad_body, bad_file, good = (
        rows.store_one(database, attachments=(rows.attachment(str(n).encode()),)) for n in range(3)
    )
    rows.claim(database)
    database.write(
        lambda tx: tx.execute(
            "UPDATE email_bodies SET content = :junk WHERE message_id = :id", {"junk": b"junk", "id": bad_body}
        )
    )
    database.write(
        lambda tx: tx.execute(
            "UPDATE attachment_blobs SET data = :junk WHERE sha256 = :id",
            {"junk": b"junk", "id": rows.attachment(b"1").sha256},
        )
    )
    told: list[str] = []

    loaded = _load(database, [bad_body, bad_file, good], told)

    assert ([one.message.id for one in loaded], told) == ([good], [bad_body, bad_file])


def test_renew_prolongs_only_leases_still_held(database: Database) -> None:
    mine, others, queued = (rows.store_one(database, next_attempt_at=rows.after(-n)) for n in (3, 2, 1))
    rows.claim(database, owner="mine", limit=1)
    rows.claim(database, owner="other", limit=1)

    held = database.write(
        lambda tx: leases.renew(tx, [mine, others, queued, "unknown"], owner="mine", now=rows.after(20), lease_s=30)
    )

    assert held == {mine}
    assert _sweep(database, 40) == 1  # the other's
    assert _sweep(database, 51) == 1
    assert database.write(lambda tx: leases.renew(tx, [mine], owner="mine", now=rows.after(51), lease_s=30)) == set()
    assert database.write(lambda tx: leases.renew(tx, [], owner="mine", now=rows.NOW, lease_s=30)) == set()


def test_hand_back_leaves_no_trace(database: Database) -> None:
    message_id = rows.store_one(database)
    rows.claim(database)
    assert not database.write(lambda tx: leases.hand_back(tx, message_id, owner="other"))
    assert database.write(lambda tx: leases.hand_back(tx, message_id, owner="worker"))
    assert not database.write(lambda tx: leases.hand_back(tx, message_id, owner="worker"))

    assert leases.next_due_at(database) == rows.NOW
    assert rows.claim(database) == [message_id]
    assert rows.timeline(database, message_id) == ["accepted"]
    assert _load(database, [message_id])[0].lapsed_leases == 0


def test_sweep_requeues_the_leases_of_a_dead_worker_and_counts_them(database: Database) -> None:
    message_id = rows.store_one(database)
    rows.claim(database)
    assert _sweep(database, 30) == 0  # not yet over
    assert _sweep(database, 30.5) == 1
    assert _sweep(database, 30.5) == 0

    assert rows.timeline(database, message_id) == ["accepted", "deferred"]
    assert rows.claim(database, now=rows.after(31)) == [message_id]
    (again,) = _load(database, [message_id])
    assert (again.lapsed_leases, again.message.attempts) == (1, 0)


def test_sweep_fails_a_message_that_no_worker_survives(database: Database) -> None:
    message_id = rows.store_one(database)
    database.write(lambda tx: rate_limits.acquire_quota(tx, "hash", rows.NOW.date(), 1, message_id))
    for lapse in range(leases.LAPSES_MAX):
        assert rows.claim(database, now=rows.after(lapse * 60)) == [message_id]
        assert _sweep(database, lapse * 60 + 31) == 1

    stored = message_queries.get(database, message_id, now=rows.NOW)
    assert stored is not None
    assert (stored.status, stored.attempts) == (Status.FAILED, 0)
    assert stored.error_message is not None
    assert f"{leases.LAPSES_MAX} times" in stored.error_message
    assert rows.timeline(database, message_id) == ["accepted", *["deferred"] * (leases.LAPSES_MAX - 1), "failed"]
    assert database.read("SELECT message_id FROM marketing_claims") == []


@pytest.mark.parametrize("stream", list(Stream))
def test_sweep_never_repeats_marketing_that_may_have_been_sent(database: Database, stream: Stream) -> None:
    message_id = rows.store_one(database, stream=stream)
    rows.claim(database)
    started = rows.after(2)
    assert database.write(lambda tx: leases.note_data_started(tx, message_id, owner="worker", now=started))
    assert not database.write(lambda tx: leases.note_data_started(tx, message_id, owner="other", now=started))
    _sweep(database, 31)

    stored = message_queries.get(database, message_id, now=rows.NOW)
    assert stored is not None
    if stream is Stream.MARKETING:
        assert (stored.status, stored.sent_at) == (Status.SENT, started)
        assert rows.timeline(database, message_id) == ["accepted", "ambiguous"]
    else:
        assert stored.status is Status.QUEUED


def test_refusal_that_is_definite_forgets_that_data_had_been_started(database: Database) -> None:
    message_id = rows.store_one(database, stream=Stream.MARKETING)
    rows.claim(database)
    database.write(lambda tx: leases.note_data_started(tx, message_id, owner="worker", now=rows.NOW))
    database.write(
        lambda tx: transitions.transition(tx, message_id, Status.QUEUED, rows.event(EventType.DEFERRED), owner="worker")
    )
    rows.claim(database)
    _sweep(database, 31)
    assert rows.status(database, message_id) is Status.QUEUED


def test_sweeps_in_parallel_rescue_each_lease_once(database: Database) -> None:
    send = rows.new_send()
    ids = rows.store(database, *(rows.new_message(send) for _ in range(40)), send=send)
    rows.claim(database)
    together = threading.Barrier(4)

    def sweep(_: int) -> int:
        together.wait(30)
        return _sweep(database, 31)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sweep, range(4))) == 40
    assert all(rows.timeline(database, message_id) == ["accepted", "deferred"] for message_id in ids)


def test_expire_fails_what_could_not_be_delivered_in_time(database: Database) -> None:
    ends = rows.NOW + timedelta(hours=1)
    message_id = rows.store_one(database, expires_at=ends)
    database.write(lambda tx: rate_limits.acquire_quota(tx, "hash", rows.NOW.date(), 1, message_id))
    held = rows.store_one(database, expires_at=ends, next_attempt_at=rows.after(-1))
    rows.claim(database, limit=1)

    assert database.write(lambda tx: leases.expire(tx, ends - timedelta(seconds=1))) == 0
    assert database.write(lambda tx: leases.expire(tx, ends)) == 1

    assert rows.status(database, message_id) is Status.FAILED
    assert rows.timeline(database, message_id) == ["accepted", "failed"]
    assert database.read("SELECT message_id FROM marketing_claims") == []
    assert rows.status(database, held) is Status.SENDING


def test_next_due_at_is_the_soonest_of_all_priorities(database: Database) -> None:
    assert leases.next_due_at(database) is None
    rows.store_one(database, priority=Priority.CRITICAL, next_attempt_at=rows.after(9))
    rows.store_one(database, priority=Priority.BULK, next_attempt_at=rows.after(-9))
    assert leases.next_due_at(database) == rows.after(-9)
    rows.claim(database)
    assert leases.next_due_at(database) == rows.after(9)


def test_events_of_many_threads_each_get_a_row(database: Database) -> None:
    message_id = rows.store_one(database)

    def add(tx: Transaction, n: int) -> None:
        transitions.add_event(tx, message_id, rows.event(EventType.DELAYED, rows.after(n)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: database.write(partial(add, n=n)), range(40)))

    times = [one.at for one in message_queries.events(database, message_id)[1:]]
    assert sorted(times) == [rows.after(n) for n in range(40)]


def test_transitions_that_race_let_exactly_one_happen(database: Database) -> None:
    for _ in range(10):
        message_id = rows.store_one(database)
        together = threading.Barrier(2)

        def move(to: Status, message_id: str = message_id, together: threading.Barrier = together) -> bool:
            together.wait(30)
            told = rows.event(EventType(to.value))
            return database.write(lambda tx: transitions.transition(tx, message_id, to, told))

        with ThreadPoolExecutor(2) as pool:
            happened = list(pool.map(move, (Status.CANCELLED, Status.SUPPRESSED)))
        assert sorted(happened) == [False, True]
        assert len(rows.timeline(database, message_id)) == 2


def test_rule_of_the_environment_holds_back_and_redirects_what_is_claimed(database: Database) -> None:
    held, free, moved, again = (
        rows.store_one(database, recipient=f"{name}@example.org", redirected_to=to)
        for name, to in (("held", None), ("free", None), ("moved", None), ("again", "old@example.org"))
    )
    goes_to = {"free": "free@example.org", "moved": "team@example.org", "again": "team@example.org"}

    def work(tx: Transaction) -> list[str]:
        ids = leases.claim(tx, owner="w", now=rows.NOW, lease_s=30, limit=9)
        return leases.apply_rule(
            tx, ids, lambda to, _: goes_to.get(to.split("@")[0]), held_back="Held back.", owner="w", now=rows.NOW
        )

    assert database.write(work) == [free, moved, again]
    found = {one: message_queries.get(database, one, now=rows.NOW) for one in (held, free, moved, again)}
    assert [one and one.redirected_to for one in found.values()] == [None, None, "team@example.org", "team@example.org"]
    message = found[held]
    assert message is not None
    assert (message.status, message.suppressed_reason) == (Status.SUPPRESSED, "environment")
    assert rows.timeline(database, held) == ["accepted", "suppressed"]
    query = message_queries.MessageQuery(suppressed_reason="environment")
    assert [one.id for one in message_queries.search(database, query, limit=9, now=rows.NOW).items] == [held]
    database.write(
        lambda tx: suppressions.suppress_recipient_of(tx, moved, reason="bounce", source="worker", now=rows.NOW)
    )
    assert suppressions.list_page(database, limit=9).total == 0
    assert database.write(lambda tx: retention.forget_redirections(tx, "team@example.org")) == 2
