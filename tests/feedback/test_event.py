"""The stored form of feedback events, which rows of earlier versions hold too."""

import json
from datetime import UTC, datetime

from service.feedback.event import FeedbackEvent, FeedbackKind

AT = datetime(2026, 2, 21, 14, 30, tzinfo=UTC)
EVENT = FeedbackEvent(
    FeedbackKind.BOUNCED, AT, "ses", recipient="a@example.com", rfc_message_id="x@rgz.bj", message_id="row"
)


def test_event_keeps_its_stored_names_when_fields_are_renamed() -> None:
    stored = json.loads(EVENT.as_json())
    assert (stored["message_id"], stored["our_id"]) == ("x@rgz.bj", "row")
    assert set(stored) == {
        "kind", "at", "source", "recipient", "provider_id", "message_id", "our_id", "bounce_type", "bounce_subtype",
        "smtp_code", "status", "diagnostic", "suppresses",
    }  # fmt: skip


def test_event_is_read_back_when_an_earlier_version_stored_it() -> None:
    text = (
        '{"kind":"bounced","at":"2026-02-21T14:30:00Z","source":"ses","recipient":"a@example.com","provider_id":null,'
        '"message_id":"x@rgz.bj","our_id":"row","bounce_type":null,"bounce_subtype":null,"smtp_code":null,'
        '"status":null,"diagnostic":null,"suppresses":false}'
    )
    assert FeedbackEvent.from_json(text) == EVENT
    assert FeedbackEvent.from_json(EVENT.as_json()) == EVENT


def test_event_is_stored_in_ascii_when_its_text_holds_half_a_surrogate_pair() -> None:
    assert FeedbackEvent(FeedbackKind.DELAYED, AT, "inbox", diagnostic="\ud83d").as_json().isascii()
