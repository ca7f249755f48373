"""The outcome of each SMTP reply."""

from hypothesis import given
from hypothesis import strategies as st

from service.delivery.outcome import OutcomeKind, Phase, judge
from service.mail.smtp_status import Reply, clean

STEPS = [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.END_OF_DATA]


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
