"""Recording feedback: each event has its effect once, in any order, on both databases."""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.delivery import completer
from service.delivery.outcome import OutcomeKind
from service.feedback.apply import FeedbackApplier, SoftBounces
from service.feedback.event import FeedbackEvent, FeedbackKind, Notification
from service.feedback.record import FeedbackRecorder, Recorded
from service.mail import addresses
from service.models import Event, EventType, Message, Status, Stream
from service.monitoring.metrics import Metrics
from service.store import message_queries, suppressions, transitions
from service.store.database import Database
from tests.support import rows
from tests.support.rows import NOW, after
from tests.support.scripted import outcome

KEY = b"key-of-the-tests"
SES_ID = "010001890abcdef0-11111111-2222-3333-4444-555555555555-000000"


def consequences_of(now: datetime = NOW, *, count: int = 3, days: int = 7) -> FeedbackApplier:
    return FeedbackApplier(lambda: now, KEY, SoftBounces(count, days))


def recorder_of(database: Database, now: datetime = NOW) -> FeedbackRecorder:
    return FeedbackRecorder(database, consequences_of(now), lambda: now, Metrics())


def hash_of(address: str) -> str:
    return addresses.pseudonym(addresses.parse(address).normalised, key=KEY)


def store(database: Database, to: str = "person@example.org", **fields: Any) -> str:
    return rows.store_one(database, recipient=to, recipient_hash=hash_of(to), **fields)


def send(database: Database, message_id: str, *, provider_id: str = SES_ID, at: datetime = NOW) -> None:
    """A worker claims it, sends it and commits the provider's name for it, as `deliver` does."""
    assert message_id in rows.claim(database, now=at)
    commit(database, message_id, provider_id=provider_id, at=at)


def commit(database: Database, message_id: str, *, provider_id: str = SES_ID, at: datetime = NOW) -> None:
    came = outcome(
        OutcomeKind.SENT, provider_id=provider_id, reply="Ok", wire_sha256="0" * 64, transfer_encoding="8bit"
    )
    result = completer.AttemptResult(message_of(database, message_id), came, at, at)

    def work(tx: Any) -> None:
        completer.record_all(tx, [result], owner="worker", rng=random.Random(1))
        consequences_of().apply_pending(tx, [provider_id])

    database.write(work)


def message_of(database: Database, message_id: str) -> Message:
    found = message_queries.get(database, message_id, now=NOW)
    assert found is not None
    return found


def report(kind: FeedbackKind, at: datetime = NOW, **fields: Any) -> FeedbackEvent:
    if kind is FeedbackKind.BOUNCED:
        fields = {"bounce_type": "permanent", "bounce_subtype": "NoEmail", "suppresses": True, **fields}
    if kind is FeedbackKind.COMPLAINT:
        fields = {"suppresses": True, **fields}
    return FeedbackEvent(
        **{"source": "ses", "provider_id": SES_ID, "recipient": "Person@Example.org", **fields}, kind=kind, at=at
    )


def suppressed_in(database: Database) -> set[tuple[str | None, str]]:
    return {(one.address, one.scope) for one in suppressions.list_page(database, limit=50).items}


def state(database: Database, message_id: str) -> tuple[object, ...]:
    """All that may depend on what was said."""
    message = message_of(database, message_id)
    events = Counter((event.type, event.at, event.detail) for event in message_queries.events(database, message_id))
    noted = (message.sent_at, message.delivered_at, message.bounce_type, message.bounce_subtype)
    early = len(database.read("SELECT id FROM feedback_early"))
    return message.status, *noted, message.error_message, events, early, suppressed_in(database)


@pytest.mark.parametrize(
    ("said", "status", "suppressed"),
    [
        ([FeedbackKind.DELIVERED], Status.DELIVERED, False),
        ([FeedbackKind.DELAYED], Status.SENT, False),
        ([FeedbackKind.FAILED], Status.FAILED, False),
        ([FeedbackKind.BOUNCED], Status.BOUNCED, True),
        ([FeedbackKind.DELIVERED, FeedbackKind.BOUNCED], Status.BOUNCED, True),
        ([FeedbackKind.BOUNCED, FeedbackKind.DELIVERED], Status.BOUNCED, True),
        ([FeedbackKind.DELIVERED, FeedbackKind.COMPLAINT], Status.COMPLAINT, True),
        ([FeedbackKind.COMPLAINT, FeedbackKind.BOUNCED, FeedbackKind.DELIVERED], Status.COMPLAINT, True),
        ([FeedbackKind.FAILED, FeedbackKind.DELIVERED], Status.DELIVERED, False),
    ],
)
def test_event_moves_its_message_as_the_table_says(
    database: Database, said: list[FeedbackKind], status: Status, suppressed: bool
) -> None:
    message_id = store(database)
    send(database, message_id)
    for n, kind in enumerate(said):
        assert recorder_of(database).record(f"n{n}", "sns", [report(kind, after(n))]) == Recorded(applied=1)
    assert message_of(database, message_id).status is status
    assert suppressed_in(database) == ({("person@example.org", "all")} if suppressed else set())
    assert rows.timeline(database, message_id)[3:] == [kind.value for kind in said]


def test_notification_that_is_repeated_has_no_second_effect(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    recorder, bounced = recorder_of(database), [report(FeedbackKind.BOUNCED)]
    assert recorder.record("n1", "sns", bounced) == Recorded(applied=1)
    assert recorder.record("n1", "sns", bounced) == Recorded(repeated=True)
    # Two topics of one provider tell the same under two names.
    assert recorder.record("n2", "sns", bounced) == Recorded(known=1)
    assert rows.timeline(database, message_id).count("bounced") == 1


def test_notification_that_comes_twenty_times_at_once_counts_once(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    recorder, bounced = recorder_of(database), [report(FeedbackKind.BOUNCED)]
    with ThreadPoolExecutor(20) as threads:
        done = list(threads.map(lambda _: recorder.record("n1", "sns", bounced), range(20)))
    assert sorted(one.applied for one in done) == [0] * 19 + [1]
    assert rows.timeline(database, message_id).count("bounced") == 1


def test_events_about_one_message_at_once_all_count(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    recorder = recorder_of(database)
    reports = [report(FeedbackKind.DELAYED, after(n)) for n in range(10)]
    reports += [report(FeedbackKind.DELIVERED, after(20)), report(FeedbackKind.COMPLAINT, after(30))]
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda n: recorder.record(f"n{n}", "sns", [reports[n]]), range(12)))
    assert Counter(rows.timeline(database, message_id))["delayed"] == 10
    assert message_of(database, message_id).status is Status.COMPLAINT


def test_event_before_our_own_commit_waits_for_it(database: Database) -> None:
    message_id = store(database)
    rows.claim(database)
    assert recorder_of(database).record("n1", "sns", [report(FeedbackKind.BOUNCED, after(-1))]) == Recorded(pending=1)
    assert message_of(database, message_id).status is Status.SENDING
    commit(database, message_id)
    told = message_of(database, message_id)
    assert (told.status, told.sent_at, told.bounce_subtype) == (Status.BOUNCED, NOW, "NoEmail")
    assert rows.timeline(database, message_id) == ["accepted", "attempted", "sent", "bounced"]
    assert database.read("SELECT id FROM feedback_early") == []


def test_event_that_names_our_message_id_does_not_wait(database: Database) -> None:
    message_id = store(database, rfc_message_id="1@rgz.bj")
    rows.claim(database)
    recorder_of(database).record("n1", "sns", [report(FeedbackKind.DELIVERED, after(-1), rfc_message_id="1@rgz.bj")])
    assert message_of(database, message_id).status is Status.DELIVERED
    commit(database, message_id)
    told = message_of(database, message_id)
    assert (told.status, told.sent_at) == (Status.DELIVERED, NOW)
    assert Counter(rows.timeline(database, message_id)) == Counter(["accepted", "attempted", "sent", "delivered"])


def test_event_that_passed_our_commit_unseen_is_found_by_the_sweep(database: Database) -> None:
    message_id = store(database)
    rows.claim(database)
    recorder_of(database).record("n1", "sns", [report(FeedbackKind.COMPLAINT)])
    # As on PostgreSQL, where each of the two transactions may not see the other.
    came = outcome(OutcomeKind.SENT, provider_id=SES_ID, wire_sha256="0" * 64, transfer_encoding="8bit")
    result = completer.AttemptResult(message_of(database, message_id), came, NOW, NOW)
    database.write(lambda tx: completer.record_all(tx, [result], owner="worker", rng=random.Random(1)))
    assert database.write(lambda tx: consequences_of().sweep(tx, since=after(1))) == 0
    assert database.write(lambda tx: consequences_of().sweep(tx, since=after(-600))) == 1
    assert message_of(database, message_id).status is Status.COMPLAINT


def test_event_that_matches_no_message_is_deleted_after_a_day(database: Database) -> None:
    recorder_of(database).record("n1", "sns", [report(FeedbackKind.DELIVERED)])
    database.write(lambda tx: consequences_of(after(86_000)).sweep(tx))
    assert len(database.read("SELECT id FROM feedback_early")) == 1
    database.write(lambda tx: consequences_of(after(86_500)).sweep(tx))
    assert database.read("SELECT id FROM feedback_early") == []


@pytest.mark.parametrize(
    ("kind", "fields", "scopes"),
    [
        (FeedbackKind.BOUNCED, {}, {"all"}),
        (FeedbackKind.BOUNCED, {"bounce_type": "temporary", "bounce_subtype": "MailboxFull"}, set()),
        (FeedbackKind.BOUNCED, {"bounce_type": "temporary", "bounce_subtype": "Undetermined"}, set()),
        (FeedbackKind.BOUNCED, {"suppresses": False}, set()),
        (FeedbackKind.COMPLAINT, {}, {"all"}),
        (FeedbackKind.COMPLAINT, {"suppresses": False}, set()),
    ],
)
def test_suppression_depends_on_the_kind_of_event(
    database: Database, kind: FeedbackKind, fields: dict[str, Any], scopes: set[str]
) -> None:
    send(database, store(database))
    recorder_of(database).record("n1", "sns", [report(kind, **fields)])
    assert {scope for _, scope in suppressed_in(database)} == scopes


def test_complaint_about_marketing_leaves_other_mail_alone(database: Database) -> None:
    send(database, store(database, stream=Stream.MARKETING))
    recorder_of(database).record("n1", "sns", [report(FeedbackKind.COMPLAINT)])
    assert suppressed_in(database) == {("person@example.org", "marketing")}


def test_complaint_that_lists_a_whole_domain_suppresses_only_our_recipients(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    people = ["colleague@example.org", "person@example.org", "boss@example.org", "not an address"]
    complaints = [report(FeedbackKind.COMPLAINT, recipient=one) for one in people]
    assert recorder_of(database).record("n1", "sns", complaints) == Recorded(applied=1, ignored=3)
    assert suppressed_in(database) == {("person@example.org", "all")}
    assert database.read("SELECT id FROM feedback_early") == []


def test_signed_return_path_counts_even_when_the_mail_was_forwarded(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    bounced = report(FeedbackKind.BOUNCED, message_id=message_id, provider_id=None, recipient="forwarded@example.net")
    assert recorder_of(database).record("n1", "inbox", [bounced]) == Recorded(applied=1)
    assert suppressed_in(database) == {("person@example.org", "all")}


def test_report_of_no_spam_is_no_complaint(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    recorder_of(database).record("n1", "sns", [report(FeedbackKind.COMPLAINT, suppresses=False)])
    assert message_of(database, message_id).status is Status.SENT


def test_suppression_that_was_lifted_does_not_come_back_by_a_repeat(database: Database) -> None:
    send(database, store(database))
    bounced = [report(FeedbackKind.BOUNCED)]
    recorder_of(database).record("n1", "sns", bounced)
    (suppression,) = suppressions.list_page(database, limit=5).items
    database.write(lambda tx: suppressions.lift(tx, suppression.id, by="admin", now=NOW))
    recorder_of(database).record("n1", "sns", bounced)
    recorder_of(database).record("n2", "sns", bounced)
    assert suppressed_in(database) == set()


@pytest.mark.parametrize(("days", "suppressed"), [([0, 2, 4], True), ([4, 0, 2], True), ([0, 3, 8], False)])
def test_temporary_bounces_suppress_once_there_are_too_many_in_a_span(
    database: Database, days: list[int], suppressed: bool
) -> None:
    for n, day in enumerate(days):
        name = f"{n}-{SES_ID}"
        send(database, store(database), provider_id=name)
        fields = {"bounce_type": "temporary", "bounce_subtype": "MailboxFull", "suppresses": False}
        bounced = report(FeedbackKind.BOUNCED, NOW + timedelta(days=day), provider_id=name, **fields)
        assert suppressed_in(database) == set()
        for again in range(3):  # one mail counts once, however often it is told
            recorder_of(database).record(f"n{n}-{again}", "sns", [replace(bounced, diagnostic=f"try {again}")])
    assert bool(suppressed_in(database)) is suppressed


@pytest.mark.parametrize("subtype", ["Undetermined", "ContentRejected", "AttachmentRejected", "MessageTooLarge"])
def test_temporary_bounces_that_say_nothing_of_the_recipient_suppress_nobody(database: Database, subtype: str) -> None:
    for n in range(4):
        name = f"{n}-{SES_ID}"
        send(database, store(database), provider_id=name)
        bounced = report(FeedbackKind.BOUNCED, provider_id=name, bounce_type="temporary", suppresses=False)
        recorder_of(database).record(f"n{n}", "sns", [replace(bounced, bounce_subtype=subtype)])
    assert suppressed_in(database) == set()


def test_event_about_no_message_of_ours_changes_nothing(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    before = state(database, message_id)
    nobody = [
        report(FeedbackKind.BOUNCED, provider_id=None, rfc_message_id="forged@rgz.bj"),
        report(FeedbackKind.BOUNCED, provider_id=None, message_id="no such"),
        report(FeedbackKind.BOUNCED, provider_id=None),
    ]
    assert recorder_of(database).record("n1", "inbox", nobody) == Recorded(ignored=3)
    assert state(database, message_id) == before


def test_event_text_that_cannot_be_stored_is_taken_in(database: Database) -> None:
    message_id = store(database)
    send(database, message_id)
    wild = report(FeedbackKind.BOUNCED, diagnostic="a\x00b\ud800\r\n" * 400, bounce_subtype="x\x00", status="5.1.1")
    assert recorder_of(database).record("n1", "sns", [wild]) == Recorded(applied=1)
    assert recorder_of(database).record("n2", "sns", [wild]) == Recorded(known=1)
    unknown = report(FeedbackKind.DELIVERED, provider_id="x\x00\ud800", diagnostic="\ud800")
    assert recorder_of(database).record("n3", "sns", [unknown]) == Recorded(pending=1)


_TIMES = st.sampled_from([after(n) for n in range(3)])
_REPORTS = st.one_of(
    st.builds(report, st.sampled_from([FeedbackKind.DELIVERED, FeedbackKind.DELAYED, FeedbackKind.FAILED]), _TIMES),
    st.builds(report, st.just(FeedbackKind.COMPLAINT), _TIMES, suppresses=st.booleans()),
    st.builds(
        report,
        st.just(FeedbackKind.BOUNCED),
        _TIMES,
        bounce_type=st.sampled_from(["permanent", "temporary"]),
        bounce_subtype=st.sampled_from(["General", "NoEmail", "MailboxFull", "Undetermined"]),
        diagnostic=st.sampled_from([None, "550 no", "452 full"]),
    ),
)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from service.store.database import open_database
    from service.store.migrations import migrate

    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('property') / 'store.db'}")
    migrate(opened)
    yield opened
    opened.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=st.lists(_REPORTS, min_size=1, max_size=5), data=st.data())
def test_events_in_any_order_with_repeats_end_in_the_same_state(
    local: Database, reports: list[FeedbackEvent], data: st.DataObject
) -> None:
    """Our own commit is one of the things that may come at any place."""
    names = list(range(len(reports)))
    repeats = data.draw(st.lists(st.sampled_from(names), max_size=4))
    ways = [[-1, *names]]
    ways += [data.draw(st.permutations([-1, *names, *repeats])) for _ in range(2)]
    ends = [_play(local, f"{rows.number()}-{n}", reports, way, together=n == 2) for n, way in enumerate(ways)]
    assert ends[1] == ends[0]
    assert ends[2] == ends[0]


def _play(
    database: Database, name: str, reports: Sequence[FeedbackEvent], way: Sequence[int], *, together: bool
) -> tuple[object, ...]:
    """The reports in this order (-1 is our own commit), each about a message and a person of its own.

    Those between two commits come together, or one by one.
    """
    to = f"person{name}@example.org"
    provider_id = f"{name}-{SES_ID}"
    message_id = store(database, to)
    database.write(lambda tx: tx.execute("UPDATE email_messages SET status = 'cancelled' WHERE status = 'queued'"))
    database.write(
        lambda tx: tx.execute("UPDATE email_messages SET status = 'queued' WHERE id = :id", {"id": message_id})
    )
    assert rows.claim(database) == [message_id]
    recorder, waiting = recorder_of(database), list[Notification]()
    for number in way:
        if number < 0:
            recorder.record_all(waiting)
            waiting.clear()
            commit(database, message_id, provider_id=provider_id)
            continue
        told = replace(reports[number], provider_id=provider_id, recipient=to)
        waiting.append(Notification(f"{name}:{number}", "sns", [told]))
        if not together:
            recorder.record_all(waiting)
            waiting.clear()
    recorder.record_all(waiting)
    ended = state(database, message_id)
    mine = {scope for address, scope in suppressed_in(database) if address == to}
    return *ended[:-1], mine


def test_events_that_come_together_each_have_their_effect_once(database: Database) -> None:
    names = [f"{n:03}-{SES_ID}" for n in range(150)]
    people = [f"person{n}@example.org" for n in range(150)]
    ids = [store(database, to) for to in people]
    rows.claim(database, limit=150)
    for message_id, name in zip(ids[:140], names, strict=False):
        commit(database, message_id, provider_id=name)
    told = [
        Notification(name, "sns", [report(FeedbackKind.DELIVERED, after(n), provider_id=name, recipient=to)])
        for n, (name, to) in enumerate(zip(names, people, strict=True))
    ]
    told[3] = replace(told[3], events=[replace(told[3].events[0], recipient="stranger@example.org")])
    told[5] = replace(told[5], events=[*told[5].events, replace(told[5].events[0], kind=FeedbackKind.DELAYED)])
    told[7] = replace(told[7], events=[])
    done = recorder_of(database).record_all([*told, *told[:20], replace(told[0], source="other")])
    counts = Counter(done)
    assert counts == {
        Recorded(applied=1): 137,
        Recorded(applied=2): 1,
        Recorded(ignored=1): 1,
        Recorded(): 1,
        Recorded(pending=1): 10,  # not yet sent
        Recorded(repeated=True): 20,
        Recorded(known=1): 1,
    }
    states = Counter(message_of(database, message_id).status for message_id in ids)
    assert states == {Status.DELIVERED: 138, Status.SENT: 2, Status.SENDING: 10}
    events = database.read("SELECT message_id FROM email_events WHERE type = 'delivered'")
    assert len(events) == len({row["message_id"] for row in events}) == 138
    assert recorder_of(database).record_all(told) == [Recorded(repeated=True)] * 150
    assert recorder_of(database).record_all([]) == []


def test_message_that_the_worker_gave_up_may_still_have_been_delivered(database: Database) -> None:
    message_id = store(database, rfc_message_id="1@rgz.bj")
    failed = Event(EventType.FAILED, NOW, "worker", "No answer.")
    database.write(
        lambda tx: transitions.transition(
            tx, message_id, Status.FAILED, failed, changes={"error_message": "No answer."}
        )
    )
    recorder_of(database).record("n1", "sns", [report(FeedbackKind.DELIVERED, after(9), rfc_message_id="1@rgz.bj")])
    told = message_of(database, message_id)
    assert (told.status, told.delivered_at, told.error_message) == (Status.DELIVERED, after(9), None)
