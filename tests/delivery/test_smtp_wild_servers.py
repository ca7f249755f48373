"""Whatever a relay answers at any step, the outcome says whether it has the mail (property test)."""

from hypothesis import given
from hypothesis import strategies as st

from service.delivery.outcome import OutcomeKind
from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.mail.mime import build
from tests.support.sample_mail import MAIL
from tests.support.smtp_peer import Act, Peer, Step

STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", ".", "RSET")
steps: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from(
        [
            "250 ok",
            "220 ok",
            "354 go",
            "251 will forward",
            "421 4.3.2 bye",
            "450 4.2.0 greylisted",
            "500 what?",
            "550 5.1.1 no",
            "552 5.3.4 big",
            "299",
            "999 x",
            "25",
            "",
            "250-a\r\n250 b",
            "250 ok\r\n250 unasked",
            Act.CLOSE,
            Act.RESET,
        ]
    ),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30),
)


@given(
    script=st.dictionaries(st.sampled_from(STEPS), steps, max_size=4),
    extensions=st.sets(st.sampled_from(["PIPELINING", "8BITMIME", "SIZE 100000", "SIZE x", "SMTPUTF8"])),
)
def test_outcome_is_sent_only_after_acceptance_and_paused_only_without_it_for_wild_relays(
    script: dict[str, Step], extensions: set[str]
) -> None:
    wire = build(MAIL)
    with Peer(script, extensions=sorted(extensions)) as peer:
        transport = SmtpTransport(Server("127.0.0.1", peer.port, "none", timeout_s=2.0, end_of_data_timeout_s=2.0))
        outcome = transport.deliver("noreply@rgz.bj", "reseller@techconnect.bj", wire)
        transport.close()
    answer = script.get(".", "250 ok")
    taken = bool(peer.messages) and isinstance(answer, str) and answer[:1] == "2" and answer[:3].isdecimal()
    assert len(peer.messages) <= 1
    if outcome.kind is OutcomeKind.SENT:
        assert taken
    if taken:
        assert outcome.kind in (OutcomeKind.SENT, OutcomeKind.AMBIGUOUS)
    if peer.messages:
        assert outcome.transfer_encoding is not None
        assert peer.messages == [wire.encode(outcome.transfer_encoding)]
    assert outcome.answered == (
        outcome.kind in (OutcomeKind.SENT, OutcomeKind.BOUNCED, OutcomeKind.FAILED, OutcomeKind.DEFERRED)
    )
    assert outcome.detail.isprintable()
