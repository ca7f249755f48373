"""Reading a server's words: codes, names, subtypes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.outcome import (
    MAX_REPLY_LENGTH,
    OutcomeKind,
    Phase,
    Reply,
    bounce_subtype,
    clean,
    judge,
    provider_id,
)

STEPS = [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.END_OF_DATA]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.0.0 Ok: queued as 4XyZ12abc", "4XyZ12abc"),
        ("Ok 0100018f2a3b4c5d-1a2b3c4d-000000", "0100018f2a3b4c5d-1a2b3c4d-000000"),
        ("OK id=1rZabc-0003Df-2K", "1rZabc-0003Df-2K"),
        ("2.0.0 41LEUWxx012345 Message accepted for delivery", "41LEUWxx012345"),
        ("2.0.0 OK  1708525830 d2e1a72fcca58-6e4 - gsmtp", "d2e1a72fcca58-6e4"),
        ("2.0.0 Ok", None),
        ("OK", None),
        ("Great success", None),
        ("", None),
    ],
)
def test_provider_id_is_found_in_the_reply_of_the_relay(text: str, expected: str | None) -> None:
    assert provider_id(Reply(250, text)) == expected


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "5.1.1 no such user", "5.1.1"),
        (550, "5.1.10 no such user", "5.1.10"),
        (550, "5.1.1", "5.1.1"),
        (550, "4.1.1 another class", None),
        (550, "5.1.1.1 an address", None),
        (550, "no such user 5.1.1", None),
        (250, "2.0.0 ok", "2.0.0"),
    ],
)
def test_enhanced_code_is_one_of_the_replys_own_class(code: int, text: str, expected: str | None) -> None:
    assert Reply(code, text).enhanced_code == expected


@pytest.mark.parametrize(
    ("text", "subtype"),
    [
        ("5.1.1 x", "NoEmail"),
        ("5.1.10 x", "NoEmail"),
        ("5.2.1 x", "NoEmail"),
        ("5.2.2 x", "MailboxFull"),
        ("x", "General"),
        ("No such user here", "NoEmail"),
        ("<a@b.example>: Recipient address rejected: User unknown in local recipient table", "NoEmail"),
        ("sorry, no mailbox here by that name", "NoEmail"),
        ("mailbox unavailable", "General"),
        ("Message rejected: your address is on a block list", "General"),
        ("5.7.1 unknown user", "General"),
    ],
)
def test_bounce_subtype_follows_the_enhanced_code(text: str, subtype: str) -> None:
    assert bounce_subtype(Reply(550, text)) == subtype


@given(code=st.integers(0, 999), text=st.text(max_size=60), phase=st.sampled_from(STEPS))
def test_reply_of_any_kind_has_an_outcome_that_fits_its_class(code: int, text: str, phase: Phase) -> None:
    outcome = judge(phase, Reply(code, clean(text)), "mail.example")
    final = {OutcomeKind.BOUNCED, OutcomeKind.FAILED}
    assert (outcome.kind is OutcomeKind.SENT) == (200 <= code < 300 and phase is Phase.END_OF_DATA)
    if outcome.kind in final:
        assert 500 <= code < 600
    if 400 <= code < 500 and code != 421:
        assert outcome.kind is OutcomeKind.DEFERRED
    assert (outcome.bounce_subtype is not None) == (outcome.kind is OutcomeKind.BOUNCED)
    assert outcome.answered == (outcome.kind in final | {OutcomeKind.SENT, OutcomeKind.DEFERRED})
    assert "mail.example" in outcome.detail


@given(text=st.text(max_size=2_000))
def test_reply_text_is_cleaned_to_one_bounded_line(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= MAX_REPLY_LENGTH
    assert clean(cleaned) == cleaned
