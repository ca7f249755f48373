"""Random histories of messages (Hypothesis), whose rows are compared with a model of the state table."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.delivery import completer
from service.delivery.outcome import OutcomeKind, Phase
from service.models import Event, EventType, Priority, Status, Stream
from service.store import leases, message_queries, suppressions, transitions
from service.store.database import Database, Transaction, listed
from service.store.suppressions import Suppression
from tests.support.faults.model import FEEDBACK, OVERTAKEN, Model, reachable
from tests.support.faults.rows import NOW, add_messages
from tests.support.scripted import outcome

_LEASE_S = 30
#: Lapsed leases that each message begins with, so that a history soon reaches the last one.
_LAPSES = leases.LAPSES_MAX - 3
_EXPIRES = timedelta(minutes=20)
_MOST = 6
_OWNERS = ("one", "two")


class Histories(RuleBasedStateMachine):
    """Two workers with their relays, a provider that sends feedback, callers, and a clock."""

    new_database: Callable[[], Database]

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).new_database()
        self.now = NOW
        self.models: dict[str, Model] = {}
        self.suppressed: set[str] = set()
        self.seen: dict[str, Status] = {}
        #: The leases that each worker believes to hold; they may have lapsed.
        self.hands: dict[str, set[str]] = {owner: set() for owner in _OWNERS}

    def teardown(self) -> None:
        self.database.close()

    def write(self, work: Callable[[Transaction], Any]) -> Any:
        return self.database.write(work)

    def pick(self, data: st.DataObject, among: Any = None) -> tuple[str, Model]:
        id_ = data.draw(st.sampled_from(sorted(self.models if among is None else among)))
        return id_, self.models[id_]

    def message(self, id_: str) -> Any:
        found = message_queries.get(self.database, id_, now=self.now)
        assert found is not None
        return found

    @precondition(lambda self: len(self.models) < _MOST)
    @rule(
        count=st.integers(1, 3),
        stream=st.sampled_from(Stream),
        priority=st.sampled_from(Priority),
        later_s=st.sampled_from([0, 0, 45, 600]),
        attempts_max=st.integers(1, 3),
    )
    def accept(self, count: int, stream: Stream, priority: Priority, later_s: int, attempts_max: int) -> None:
        due_at = self.now + timedelta(seconds=later_s)
        times = {"created_at": self.now, "next_attempt_at": due_at, "expires_at": due_at + _EXPIRES}
        ids = add_messages(self.database, count, stream=stream, priority=priority, attempts_max=attempts_max, **times)
        names, params = listed("id", ids)
        lapsed = f"UPDATE email_messages SET lapsed_leases = {_LAPSES} WHERE id IN ({names})"
        self.write(lambda tx: tx.execute(lapsed, params))
        for id_ in ids:
            hash_ = self.message(id_).recipient_hash
            self.models[id_] = Model(
                stream, hash_, Status.QUEUED, due_at, due_at + _EXPIRES, attempts_max, lapses=_LAPSES
            )

    @rule(owner=st.sampled_from(_OWNERS), limit=st.integers(1, _MOST))
    def claim(self, owner: str, limit: int) -> None:
        got = self.write(lambda tx: leases.claim(tx, owner=owner, now=self.now, lease_s=_LEASE_S, limit=limit))
        assert len(got) == len(set(got)) <= limit
        due = {id_ for id_, model in self.models.items() if self.is_due(model)}
        wanted = {id_ for id_ in due if self.models[id_].hash not in self.suppressed}
        assert set(got) <= wanted, "not due, suppressed, or somebody else's"
        assert len(got) == min(limit, len(wanted))
        for id_ in due - wanted:  # found on the way, or not reached
            if self.message(id_).status is Status.SUPPRESSED:
                self.models[id_].to(Status.SUPPRESSED)
        for id_ in got:
            model = self.models[id_]
            model.status, model.owner = Status.SENDING, owner
            model.lease_until = self.now + timedelta(seconds=_LEASE_S)
        self.hands[owner] |= set(got)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data(), kind=st.sampled_from(OutcomeKind), tried=st.booleans(), greylisted=st.booleans())
    def end_a_try(self, data: st.DataObject, kind: OutcomeKind, tried: bool, greylisted: bool) -> None:
        owner = data.draw(st.sampled_from([owner for owner in _OWNERS if self.hands[owner]]))
        self.end(owner, self.pick(data, self.hands[owner])[0], kind, tried=tried, greylisted=greylisted)

    def end(self, owner: str, id_: str, kind: OutcomeKind, *, tried: bool = True, greylisted: bool = False) -> None:
        model = self.models[id_]
        self.hands[owner].discard(id_)
        tried = tried or kind is not OutcomeKind.PAUSED
        more: dict[str, Any] = {}
        if kind is OutcomeKind.DEFERRED and greylisted:
            more = {"greylisted": greylisted, "retry_after_s": 300.0}
        if kind is OutcomeKind.SENT:
            more = {"wire_sha256": "0" * 64, "transfer_encoding": "8bit"}
        came = outcome(kind, phase=Phase.END_OF_DATA, tried=tried, **more)
        result = completer.AttemptResult(self.message(id_), came, self.now, self.now)
        before = len(self.events(id_))
        self.write(lambda tx: completer.record_all(tx, [result], owner=owner, rng=random.Random(1)))
        if model.owner != owner:  # a worker that woke up too late
            was_taken = kind is OutcomeKind.SENT or (kind is OutcomeKind.AMBIGUOUS and model.stream is Stream.MARKETING)
            if model.status in OVERTAKEN and was_taken:
                model.was_sent = True
            assert self.message(id_).status is model.status
            model.events = len(self.events(id_))
            assert model.events - before <= 3
            return
        if not tried:
            model.status, model.owner = Status.QUEUED, None
            return
        sent = kind is OutcomeKind.SENT or (kind is OutcomeKind.AMBIGUOUS and model.stream is Stream.MARKETING)
        counts = kind is not OutcomeKind.PAUSED
        model.attempts += counts
        model.events += kind is OutcomeKind.AMBIGUOUS
        most = max(model.attempts_max, 2) if greylisted and kind is OutcomeKind.DEFERRED else model.attempts_max
        if sent:
            model.to(Status.SENT, events=2)
            model.was_sent = True
        elif kind is OutcomeKind.BOUNCED:
            model.to(Status.BOUNCED, events=2)
        elif kind is OutcomeKind.FAILED or (counts and model.attempts >= most):
            model.to(Status.FAILED, events=2)
        else:
            model.to(Status.QUEUED, events=2)
            due_at = self.message(id_).next_attempt_at
            assert due_at > self.now
            model.due_at = due_at

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from([owner for owner in _OWNERS if self.hands[owner]]))
        hand = self.hands[owner]
        kept = self.write(lambda tx: leases.renew(tx, hand, owner=owner, now=self.now, lease_s=_LEASE_S))
        assert kept == {id_ for id_ in hand if self.models[id_].owner == owner}
        for id_ in kept:
            self.models[id_].lease_until = self.now + timedelta(seconds=_LEASE_S)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data())
    def come_to_the_dot(self, data: st.DataObject) -> None:
        owner = data.draw(st.sampled_from([owner for owner in _OWNERS if self.hands[owner]]))
        id_, model = self.pick(data, self.hands[owner])
        noted = self.write(lambda tx: leases.note_data_started(tx, id_, owner=owner, now=self.now))
        assert noted == (model.owner == owner)
        model.data_started = model.data_started or noted

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data())
    def stand_still(self, data: st.DataObject) -> None:
        """Pause a worker until its leases lapse; it then continues as if nothing had happened."""
        owner = data.draw(st.sampled_from([owner for owner in _OWNERS if self.hands[owner]]))
        self.now += timedelta(seconds=_LEASE_S + 1)
        self.sweep()
        self.claim(next(other for other in _OWNERS if other != owner), _MOST)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=st.data(), says=st.sampled_from(sorted(FEEDBACK)))
    def overtake(self, data: st.DataObject, says: Status) -> None:
        """Feedback arrives before any worker has committed that it sent the message."""
        owner = data.draw(st.sampled_from([owner for owner in _OWNERS if self.hands[owner]]))
        id_, _ = self.pick(data, self.hands[owner])
        self.hear(id_, says)
        for holder in _OWNERS:
            if id_ in self.hands[holder]:
                self.end(holder, id_, OutcomeKind.SENT)

    @rule(owner=st.sampled_from(_OWNERS))
    def commit_a_batch(self, owner: str) -> None:
        """Send all messages that a worker believes to hold, and commit them in one batch."""
        came = outcome(OutcomeKind.SENT, wire_sha256="0" * 64, transfer_encoding="8bit")
        hand, self.hands[owner] = sorted(self.hands[owner]), set()
        results = [completer.AttemptResult(self.message(id_), came, self.now, self.now) for id_ in hand]
        self.write(lambda tx: completer.record_all(tx, results, owner=owner, rng=random.Random(1)))
        for model in (self.models[id_] for id_ in hand):
            if model.owner == owner:
                model.attempts += 1
                model.to(Status.SENT, events=2)
                model.was_sent = True
            else:
                overtaken = model.status in OVERTAKEN and not model.was_sent
                model.was_sent = model.was_sent or overtaken
                model.events += 1 + overtaken  # it was tried, whoever holds it now

    @rule(owner=st.sampled_from(_OWNERS))
    def reach_for_what_is_late(self, owner: str) -> None:
        self.now += _EXPIRES
        self.claim(owner, _MOST)

    @rule(owner=st.sampled_from(_OWNERS))
    def die(self, owner: str) -> None:
        self.hands[owner].clear()

    @rule()
    def sweep(self) -> None:
        lapsed = {
            id_: model
            for id_, model in self.models.items()
            if model.status is Status.SENDING and model.lease_until < self.now
        }
        assert self.write(lambda tx: leases.sweep(tx, now=self.now)) == len(lapsed)
        for model in lapsed.values():
            if model.stream is Stream.MARKETING and model.data_started:
                model.to(Status.SENT)
                model.was_sent = True
                continue
            model.lapses += 1
            model.to(Status.FAILED if model.lapses >= leases.LAPSES_MAX else Status.QUEUED)

    @rule()
    def expire(self) -> None:
        late = [one for one in self.models.values() if one.status is Status.QUEUED and one.expires_at <= self.now]
        assert self.write(lambda tx: leases.expire(tx, self.now)) == len(late)
        for model in late:
            model.to(Status.FAILED)

    @precondition(lambda self: bool(self.models))
    @rule(data=st.data(), says=st.sampled_from(sorted(FEEDBACK)))
    def hear_from_the_provider(self, data: st.DataObject, says: Status) -> None:
        self.hear(self.pick(data)[0], says)

    def hear(self, id_: str, says: Status) -> None:
        model = self.models[id_]
        event = Event(FEEDBACK[says], self.now, "ses")
        happened = self.write(lambda tx: transitions.transition(tx, id_, says, event))
        assert happened == model.may(says)
        if happened:
            model.to(says)

    @precondition(lambda self: bool(self.models))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id_, model = self.pick(data)
        event = Event(EventType.CANCELLED, self.now, "admin")
        happened = self.write(lambda tx: transitions.transition(tx, id_, Status.CANCELLED, event))
        assert happened == (model.status is Status.QUEUED)
        if happened:
            model.to(Status.CANCELLED)

    @precondition(lambda self: bool(self.models))
    @rule(data=st.data())
    def suppress(self, data: st.DataObject) -> None:
        _, model = self.pick(data)
        entry = Suppression(f"s-{model.hash}", None, model.hash, "all", "hard bounce", "test", self.now)
        assert self.write(lambda tx: suppressions.add(tx, entry)) == (model.hash not in self.suppressed)
        self.suppressed.add(model.hash)

    @rule(seconds=st.sampled_from([1, 29, 31, 310, 1_250]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def is_due(self, model: Model) -> bool:
        return model.status is Status.QUEUED and model.due_at <= self.now < model.expires_at

    def events(self, id_: str) -> list[str]:
        return [event.type.value for event in message_queries.events(self.database, id_)]

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        rows = self.database.read(
            "SELECT id, status, lease_owner, next_attempt_at, attempts, lapsed_leases, sent_at FROM email_messages"
        )
        counts = {
            row["message_id"]: (row["n"], row["least"], row["most"])
            for row in self.database.read(
                "SELECT message_id, COUNT(*) AS n, MIN(seq) AS least, MAX(seq) AS most"
                " FROM email_events GROUP BY message_id"
            )
        }
        assert {row["id"] for row in rows} == self.models.keys()
        for row in rows:
            id_, model, status = row["id"], self.models[row["id"]], Status(row["status"])
            assert (status, row["lease_owner"]) == (model.status, model.owner), id_
            assert (row["sent_at"] is not None) == model.was_sent
            assert row["lapsed_leases"] == model.lapses
            assert counts[id_] == (model.events, 0, model.events - 1), self.events(id_)
            before = self.seen.get(id_, status)
            assert before is status or status in reachable(before), f"{before} became {status}"
            self.seen[id_] = status
            if status not in (Status.QUEUED, Status.SENDING):
                assert row["next_attempt_at"] is None, "what is not queued is never due"

    @invariant()
    def each_end_is_told_once(self) -> None:
        once = "'accepted', 'sent', 'failed', 'cancelled', 'suppressed', 'complaint'"
        assert not self.database.read(
            f"SELECT message_id FROM email_events WHERE type IN ({once}) GROUP BY message_id, type HAVING COUNT(*) > 1"
        )
