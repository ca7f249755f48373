"""Words of the server that refused, from whatever field of a report has them."""

import pytest

from service.feedback.bounce.dsn import read_fields

_REPORT = "Final-Recipient: rfc822; jean@example.net\nAction: failed\nStatus: 5.0.0\nX-Supplementary-Info: {}\n"


@pytest.mark.parametrize(
    ("words", "suppresses"),
    [
        ('<192.0.2.32 #5.0.0 smtp; 550 "Unknown User">', True),
        (
            "<mx.example.net #5.0.0 smtp;\n 550 5.1.10 [jean@example.net]: Recipient not found by SMTP address lookup>",
            True,
        ),
        ("<mx.example.net #5.0.0 smtp; 550 5.1.0 <us@rgz.bj>: Sender address rejected: User unknown>", False),
        ("<mx.example.net #5.0.0 smtp; 552 5.2.2 mailbox full>", False),
    ],
)
def test_dsn_is_judged_by_the_words_in_a_supplementary_field(words: str, suppresses: bool) -> None:
    [said] = read_fields(_REPORT.format(words))
    assert said.diagnostic is not None
    assert (said.bounce_type, said.suppresses) == ("permanent", suppresses)


def test_dsn_prefers_the_diagnostic_code_of_the_standard() -> None:
    standard = "Diagnostic-Code: smtp; 552 5.2.2 mailbox full\n"
    [said] = read_fields(standard + _REPORT.format("<mx #5.0.0 smtp; 550 Unknown User>"))
    assert said.diagnostic == "552 5.2.2 mailbox full"
