"""Events of Amazon SES in both of their forms."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.feedback.event import FeedbackEvent, FeedbackKind
from service.feedback.sns import ses_event
from tests.support import ses_events
from tests.support.ses_events import AT, SES_ID, TO, bounce, complaint, delay, delivery, event

OTHERWISE = datetime(2026, 1, 1, tzinfo=UTC)


def reports(said: dict[str, Any]) -> list[FeedbackEvent]:
    return list(ses_event.parse(json.dumps(said), at=OTHERWISE).events)


@pytest.mark.parametrize(
    ("kind", "subtype", "bounce_type", "told", "suppresses"),
    [
        ("Permanent", "General", "permanent", "General", True),
        ("Permanent", "NoEmail", "permanent", "NoEmail", True),
        ("Permanent", "Suppressed", "permanent", "Suppressed", True),
        ("Permanent", "OnAccountSuppressionList", "permanent", "OnAccountSuppressionList", True),
        ("Transient", "General", "temporary", "General", False),
        ("Transient", "MailboxFull", "temporary", "MailboxFull", False),
        ("Transient", "MessageTooLarge", "temporary", "MessageTooLarge", False),
        ("Transient", "ContentRejected", "temporary", "ContentRejected", False),
        ("Transient", "AttachmentRejected", "temporary", "AttachmentRejected", False),
        ("Undetermined", "Undetermined", "temporary", "Undetermined", False),
        ("Undetermined", "General", "temporary", "Undetermined", False),
        ("Something new", "x", "temporary", "x", False),
    ],
)
def test_bounce_event_has_its_class_and_the_subtype_of_ses(
    kind: str, subtype: str, bounce_type: Literal["permanent", "temporary"], told: str, suppresses: bool
) -> None:
    (one,) = reports(bounce(kind, subtype))
    assert one == FeedbackEvent(
        kind=FeedbackKind.BOUNCED,
        at=AT,
        source="ses",
        recipient=TO,
        provider_id=SES_ID,
        bounce_type=bounce_type,
        bounce_subtype=told,
        smtp_code=550,
        status="5.1.1",
        diagnostic="smtp; 550 5.1.1 user unknown",
        suppresses=suppresses,
    )


@pytest.mark.parametrize(
    ("kind", "words", "subtype"),
    [
        ("Permanent", "smtp; 550 5.1.0 <noreply@rgz.bj>: Sender address rejected: User unknown", "General"),
        ("Permanent", "smtp; 550 5.7.1 Client host [192.0.2.9] blocked using zen.spamhaus.org", "General"),
        ("Transient", "smtp; 450 4.7.1 too many messages from your IP", "Undetermined"),
    ],
)
def test_bounce_event_whose_words_refuse_us_does_not_suppress_the_recipient(
    kind: str, words: str, subtype: str
) -> None:
    refused = {"emailAddress": TO, "action": "failed", "diagnosticCode": words}
    (one,) = reports(bounce(kind, "General", bouncedRecipients=[refused]))
    assert (one.bounce_subtype, one.suppresses) == (subtype, False)


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "dmarc", "Auth-Failure"])
def test_complaint_event_of_a_type_that_is_no_complaint_does_not_suppress(kind: str) -> None:
    (one,) = reports(complaint(kind))
    assert one.suppresses is False


@pytest.mark.parametrize(
    ("said", "kind", "fields"),
    [
        (complaint(), FeedbackKind.COMPLAINT, {"diagnostic": "abuse", "suppresses": True}),
        (complaint("not-spam"), FeedbackKind.COMPLAINT, {"suppresses": False}),
        (complaint("Not-Spam"), FeedbackKind.COMPLAINT, {"suppresses": False}),
        (complaint(None), FeedbackKind.COMPLAINT, {"suppresses": True}),
        (delivery(), FeedbackKind.DELIVERED, {"smtp_code": 250, "diagnostic": "250 2.6.0 Message received"}),
        (delay(), FeedbackKind.DELAYED, {"bounce_subtype": "MailboxFull", "status": "4.2.2", "smtp_code": 452}),
        (event("Reject", reject={"reason": "Bad content"}), FeedbackKind.FAILED, {"diagnostic": "Bad content"}),
        (event("Reject"), FeedbackKind.FAILED, {"bounce_subtype": "Reject"}),
        (
            event("Rendering Failure", failure={"errorMessage": "no such variable", "templateName": "t"}),
            FeedbackKind.FAILED,
            {"diagnostic": "no such variable", "bounce_subtype": "RenderingFailure"},
        ),
    ],
)
def test_ses_event_of_each_other_type_is_read_as_its_kind(
    said: dict[str, Any], kind: FeedbackKind, fields: dict[str, Any]
) -> None:
    (one,) = reports(said)
    assert (one.kind, one.at, one.recipient, one.provider_id) == (kind, AT, TO, SES_ID)
    assert {name: getattr(one, name) for name in fields} == fields


@pytest.mark.parametrize("kind", ["Send", "Open", "Click", "Subscription"])
def test_open_and_click_events_change_nothing(kind: str) -> None:
    part: dict[str, Any] = {kind.lower(): {"ipAddress": "192.0.2.1", "link": "https://rgz.bj"}}
    found = ses_event.parse(json.dumps(event(kind, **part)), at=OTHERWISE)
    assert (found.kind, list(found.events)) == (kind, [])


@pytest.mark.parametrize("said", [bounce(), complaint(), delivery()])
def test_identity_notifications_are_read_like_event_publishing(said: dict[str, Any]) -> None:
    other = {"notificationType" if name == "eventType" else name: value for name, value in said.items()}
    assert reports(other) == reports(said)


def test_ses_event_gives_each_named_recipient_an_event() -> None:
    people = ["a@example.org", "b@example.org", "Cé <c@example.org>"]
    assert [one.recipient for one in reports(complaint(people=people))] == [*people[:2], "c@example.org"]


@pytest.mark.parametrize("named", [None, []])
def test_ses_event_without_recipients_is_about_all_of_the_mail(named: object) -> None:
    assert [one.recipient for one in reports(bounce(bouncedRecipients=named))] == [TO]


@pytest.mark.parametrize(
    "headers",
    [
        {"headers": [{"name": "From", "value": "x"}, {"name": "Message-ID", "value": "<1@rgz.bj>"}]},
        {"headers": [{"name": "message-id", "value": "1@rgz.bj"}], "commonHeaders": {"messageId": "<2@rgz.bj>"}},
        {"commonHeaders": {"messageId": "<1@rgz.bj>", "subject": "x"}},
        {"headers": [{"name": None, "value": 1}], "commonHeaders": {"messageId": "<1@rgz.bj>"}},
    ],
)
def test_message_id_of_ours_is_read_where_ses_gives_headers(headers: dict[str, Any]) -> None:
    said = delivery() | {"mail": ses_events.mail(**headers)}
    assert [one.rfc_message_id for one in reports(said)] == ["1@rgz.bj"]


@pytest.mark.parametrize("stamp", [None, 1, "", "yesterday", "2026-02-21T14:30:00", "9999-12-31T23:59:59-23:00"])
def test_time_that_cannot_be_read_is_that_of_the_notification(stamp: object) -> None:
    assert [one.at for one in reports(bounce(timestamp=stamp))] == [OTHERWISE]


def test_time_with_an_offset_is_converted_to_utc() -> None:
    assert [one.at for one in reports(bounce(timestamp="2026-02-21T15:31:00.123+01:00"))] == [AT]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "null",
        "[]",
        "{}",
        '{"eventType": "Bounce"}',
        '{"eventType": "Bounce", "mail": {}}',
        '{"eventType": "Bounce", "mail": {"messageId": "x"}}',
        '{"eventType": "Bounce", "mail": {"messageId": "x"}, "bounce": []}',
        '{"eventType": "Bounce", "mail": {"messageId": "x"}, "bounce": {"bounceType": 1}}',
        '{"eventType": "Other", "mail": {"messageId": "x"}}',
        '{"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "x"}',
        '{"mail": {"messageId": "x"}}',
        "[" * 100_000,
        '{"mail":' * 100_000,
        '{"eventType": "\\ud800"}',
    ],
    ids=lambda message: message[:40],
)
def test_notification_that_is_no_ses_event_is_told_so(message: str) -> None:
    with pytest.raises(ses_event.NotAnEvent):
        ses_event.parse(message, at=OTHERWISE)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(
    part=st.sampled_from(["bounce", "mail", "eventType"]), name=st.sampled_from(sorted(bounce()["bounce"])), wild=_JSON
)
def test_ses_event_of_any_shape_is_read_or_refused(part: str, name: str, wild: Any) -> None:
    said = bounce()
    said[part] = {**said[part], name: wild} if part == "bounce" else wild
    try:
        found = reports(said)
    except ses_event.NotAnEvent:
        return
    assert all(isinstance(one.at, datetime) and one.at.utcoffset() == timedelta(0) for one in found)
