"""Each row of the outcome table, against a scripted SMTP server."""

import hashlib
import socket
from dataclasses import replace

import pytest

from service.delivery.outcome import Outcome, OutcomeKind, Phase
from service.mail.mime import Wire, build
from tests.support.sample_mail import MAIL, Connect
from tests.support.smtp_peer import Act, Peer

SENDER, RECIPIENT = "noreply@rgz.bj", "reseller@techconnect.bj"
#: Where the answer never comes.
SHORT_S = 0.3


def both_ways(*, extensions: tuple[str, ...] = ("8BITMIME",)) -> list[tuple[str, ...]]:
    return [("PIPELINING", *extensions), extensions]


def send(connect: Connect, peer: Peer, wire: Wire, **changes: object) -> Outcome:
    return connect(peer, **changes).deliver(SENDER, RECIPIENT, wire)


@pytest.mark.parametrize("extensions", both_ways())
def test_mail_is_sent_when_the_end_of_data_is_answered_with_250(
    connect: Connect, wire: Wire, extensions: tuple[str, ...]
) -> None:
    with Peer(extensions=extensions) as peer:
        outcome = send(connect, peer, wire)
        assert (outcome.kind, outcome.answered, outcome.tried) == (OutcomeKind.SENT, True, True)
        assert (outcome.code, outcome.enhanced_code, outcome.provider_id) == (250, "2.0.0", "4XyZ12")
        assert outcome.reply == "250 2.0.0 Ok: queued as 4XyZ12"
        assert peer.messages == [wire.encode("8bit")]
        assert outcome.wire_sha256 == hashlib.sha256(peer.messages[0]).hexdigest()


@pytest.mark.parametrize(
    ("reply", "kind", "subtype"),
    [
        ("550 5.1.1 no such user", OutcomeKind.BOUNCED, "NoEmail"),
        ("550 no such user", OutcomeKind.BOUNCED, "NoEmail"),
        ("550 mailbox unavailable", OutcomeKind.BOUNCED, "General"),
        ("552 5.2.2 mailbox full", OutcomeKind.BOUNCED, "MailboxFull"),
        ("550 5.4.1 recipient address rejected", OutcomeKind.BOUNCED, "General"),
        ("552 5.3.4 message too big", OutcomeKind.FAILED, None),
        ("554 5.7.1 relay access denied", OutcomeKind.FAILED, None),
    ],
)
@pytest.mark.parametrize("extensions", both_ways())
def test_reply_5xx_at_rcpt_bounces_unless_it_is_size_or_policy(
    connect: Connect, wire: Wire, reply: str, kind: OutcomeKind, subtype: str | None, extensions: tuple[str, ...]
) -> None:
    with Peer({"RCPT": reply, "DATA": "554 5.5.1 no valid recipients"}, extensions=extensions) as peer:
        outcome = send(connect, peer, wire)
        assert (outcome.kind, outcome.phase, outcome.answered) == (kind, Phase.RCPT, True)
        assert outcome.bounce_subtype == subtype
        assert outcome.detail == f"Refused by 127.0.0.1 at RCPT: {reply}."
        assert outcome.wire_sha256 is None
        assert peer.messages == []


@pytest.mark.parametrize(
    ("reply", "greylisted"),
    [
        ("451 4.7.1 please come again", True),
        ("450 4.2.0 Greylisted, see postgrey", True),
        ("451 try again later", True),
        ("450 4.2.1 mailbox busy", False),
        ("452 4.2.2 over quota", False),
    ],
)
def test_reply_4xx_at_rcpt_defers_and_greylisting_waits_five_minutes(
    connect: Connect, wire: Wire, reply: str, greylisted: bool
) -> None:
    with Peer({"RCPT": reply, "DATA": "503 5.5.1 no recipients"}) as peer:
        outcome = send(connect, peer, wire)
        assert (outcome.kind, outcome.answered) == (OutcomeKind.DEFERRED, True)
        assert outcome.greylisted is greylisted
        assert outcome.retry_after_s == (300.0 if greylisted else None)


@pytest.mark.parametrize(
    ("step", "reply", "kind"),
    [
        ("MAIL", "451 4.3.0 try later", OutcomeKind.DEFERRED),
        ("MAIL", "452 4.3.1 no space", OutcomeKind.PAUSED),
        ("MAIL", "550 5.7.1 sender not allowed", OutcomeKind.FAILED),
        ("MAIL", "552 5.3.4 too big", OutcomeKind.FAILED),
        ("MAIL", "530 5.7.0 authentication required", OutcomeKind.PAUSED),
        ("DATA", "451 4.3.0 try later", OutcomeKind.DEFERRED),
        ("DATA", "554 5.7.1 no", OutcomeKind.FAILED),
        ("DATA", "250 what is this", OutcomeKind.PAUSED),
        (".", "451 4.3.0 try later", OutcomeKind.DEFERRED),
        (".", "552 5.3.4 too big", OutcomeKind.FAILED),
        (".", "552 too big", OutcomeKind.FAILED),
        (".", "550 5.7.1 content rejected", OutcomeKind.FAILED),
        (".", "550 5.1.1 no such user after all", OutcomeKind.BOUNCED),
        (".", "550 5.2.2 mailbox full", OutcomeKind.BOUNCED),
    ],
)
@pytest.mark.parametrize("extensions", both_ways())
def test_refusal_is_judged_by_its_step_and_code(
    connect: Connect, wire: Wire, step: str, reply: str, kind: OutcomeKind, extensions: tuple[str, ...]
) -> None:
    script = {"RCPT": "503 5.5.1 need MAIL", "DATA": "503 5.5.1 need RCPT"} if step == "MAIL" else {}
    with Peer({**script, step: reply}, extensions=extensions) as peer:
        outcome = send(connect, peer, wire)
        assert outcome.kind is kind
        assert reply in outcome.detail
        assert outcome.answered is (kind is not OutcomeKind.PAUSED)


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("extensions", both_ways())
def test_reply_421_anywhere_pauses_the_relay_and_costs_no_attempt(
    connect: Connect, wire: Wire, step: str, extensions: tuple[str, ...]
) -> None:
    with Peer({step: "421 4.3.2 closing down"}, extensions=extensions) as peer:
        transport = connect(peer)
        outcome = transport.deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.answered, outcome.code) == (OutcomeKind.PAUSED, False, 421)
        assert "421 4.3.2 closing down" in outcome.detail
        assert outcome.retry_after_s is not None
        assert transport.paused_for_s() > 0


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET])
@pytest.mark.parametrize("extensions", both_ways())
def test_disconnect_before_end_of_data_pauses(
    connect: Connect, wire: Wire, step: str, act: Act, extensions: tuple[str, ...]
) -> None:
    with Peer({step: act}, extensions=extensions) as peer:
        outcome = send(connect, peer, wire)
        assert (outcome.kind, outcome.answered) == (OutcomeKind.PAUSED, False)
        assert "closed the connection" in outcome.detail
        assert peer.messages == []


@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET])
def test_disconnect_after_end_of_data_is_ambiguous(connect: Connect, wire: Wire, act: Act) -> None:
    with Peer({".": act}) as peer:
        transport = connect(peer)
        outcome = transport.deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase, outcome.answered) == (OutcomeKind.AMBIGUOUS, Phase.END_OF_DATA, False)
        assert outcome.detail.startswith("Perhaps sent")
        assert outcome.transfer_encoding == "8bit"
        assert outcome.wire_sha256 == hashlib.sha256(peer.messages[0]).hexdigest()
        assert transport.paused_for_s() == 0


def test_reply_to_end_of_data_is_ambiguous_when_unreadable(connect: Connect, wire: Wire) -> None:
    with Peer({".": "HTTP/1.1 400 Bad Request"}) as peer:
        assert send(connect, peer, wire).kind is OutcomeKind.AMBIGUOUS


@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("act", [Act.SILENCE, Act.TRICKLE])
def test_relay_that_never_answers_or_trickles_is_paused(connect: Connect, wire: Wire, step: str, act: Act) -> None:
    with Peer({step: act}) as peer:
        outcome = send(connect, peer, wire, timeout_s=SHORT_S)
        assert (outcome.kind, outcome.answered) == (OutcomeKind.PAUSED, False)
        assert "no answer within 0.3 s" in outcome.detail


@pytest.mark.parametrize("act", [Act.SILENCE, Act.TRICKLE])
def test_reply_to_end_of_data_is_ambiguous_when_it_does_not_come_in_time(
    connect: Connect, wire: Wire, act: Act
) -> None:
    with Peer({".": act}) as peer:
        outcome = send(connect, peer, wire, end_of_data_timeout_s=SHORT_S)
        assert outcome.kind is OutcomeKind.AMBIGUOUS
        assert "no answer within 0.3 s" in outcome.detail


@pytest.mark.parametrize("reply", ["554 5.3.2 no service here", "220-hello", "SSH-2.0-OpenSSH"])
def test_greeting_that_is_none_pauses(connect: Connect, wire: Wire, reply: str) -> None:
    with Peer({"greeting": reply}) as peer:
        assert send(connect, peer, wire, timeout_s=SHORT_S).kind is OutcomeKind.PAUSED
        assert peer.messages == []


def test_connection_refused_pauses(connect: Connect, wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Peer() as peer:
        outcome = send(connect, peer, wire, port=port)
    assert (outcome.kind, outcome.answered) == (OutcomeKind.PAUSED, False)
    assert outcome.detail == "Not sent: 127.0.0.1 failed at connect: it refused the connection."


def test_host_that_does_not_exist_pauses(connect: Connect, wire: Wire) -> None:
    with Peer() as peer:
        outcome = send(connect, peer, wire, host="mail\u0300..invalid")
    assert outcome.kind is OutcomeKind.PAUSED


def test_mail_above_the_size_of_the_relay_fails_before_mail_is_sent(connect: Connect, wire: Wire) -> None:
    size_bytes = wire.size_bytes("8bit")
    with Peer(extensions=("8BITMIME", f"SIZE {size_bytes - 1}")) as peer:
        outcome = send(connect, peer, wire)
        assert (outcome.kind, outcome.answered) == (OutcomeKind.FAILED, True)
        assert f"takes at most {size_bytes - 1:,}" in outcome.detail
        assert peer.verbs() == ["EHLO"]


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0"])
def test_size_without_a_limit_refuses_nothing(connect: Connect, wire: Wire, size: str) -> None:
    with Peer(extensions=("8BITMIME", size)) as peer:
        assert send(connect, peer, wire).kind is OutcomeKind.SENT
        assert peer.commands[1].endswith(f"SIZE={wire.size_bytes('8bit')} BODY=8BITMIME")


def test_quoted_printable_goes_where_8bitmime_is_not_offered(connect: Connect, wire: Wire) -> None:
    with Peer(extensions=()) as peer:
        outcome = send(connect, peer, wire)
        assert outcome.transfer_encoding == "quoted-printable"
        assert peer.messages == [wire.encode("quoted-printable")]
        assert peer.commands[1] == "MAIL FROM:<noreply@rgz.bj>"


def test_relay_without_ehlo_is_greeted_with_helo(connect: Connect, wire: Wire) -> None:
    with Peer({"EHLO": "502 5.5.1 not implemented"}) as peer:
        assert send(connect, peer, wire).kind is OutcomeKind.SENT
        assert peer.messages == [wire.encode("quoted-printable")]


def test_local_part_beyond_ascii_needs_smtputf8(connect: Connect, wire: Wire) -> None:
    with Peer(extensions=("8BITMIME",)) as peer:
        outcome = connect(peer).deliver(SENDER, "é@techconnect.bj", wire)
        assert (outcome.kind, peer.verbs()) == (OutcomeKind.FAILED, ["EHLO"])
        assert "SMTPUTF8" in outcome.detail
    with Peer() as peer:
        assert connect(peer).deliver(SENDER, "é@exämple.test", wire).kind is OutcomeKind.SENT
        assert peer.commands[1].endswith(" SMTPUTF8")
        assert peer.commands[2] == "RCPT TO:<é@xn--exmple-cua.test>"


@pytest.mark.parametrize("recipient", ["a@b.test>\r\nRCPT TO:<c@d.test", "no-address", "a b@c.test", ""])
def test_address_that_is_none_never_reaches_the_relay(connect: Connect, wire: Wire, recipient: str) -> None:
    with Peer() as peer:
        outcome = connect(peer).deliver(SENDER, recipient, wire)
        assert outcome.kind is OutcomeKind.FAILED
        assert peer.connections == 0


def test_relay_that_hangs_up_in_the_middle_of_the_data_is_heard(connect: Connect) -> None:
    """RFC 5321 wants it to read on; some say what they have to say and go."""
    big = build(replace(MAIL, text="x" * 70 + "\n", html=("x" * 70 + "\n") * 200_000))
    with Peer(extensions=("8BITMIME",), amid_data="552 5.3.4 that is enough") as peer:
        outcome = send(connect, peer, big)
        assert (outcome.kind, outcome.code, outcome.answered) == (OutcomeKind.FAILED, 552, True)


def test_reply_text_of_the_relay_is_cleaned_and_bounded(connect: Connect, wire: Wire) -> None:
    with Peer({"RCPT": "550 5.1.1 \x1b[31mred\x07\x00 " + "x" * 5000, "DATA": "503 no"}) as peer:
        outcome = send(connect, peer, wire)
        assert outcome.reply is not None
        assert outcome.reply.isprintable()
        assert len(outcome.detail) < 700


def test_reply_of_many_lines_is_read_whole(connect: Connect, wire: Wire) -> None:
    with Peer({"RCPT": "550-5.1.1 no such\r\n550 5.1.1 user here", "DATA": "503 no"}) as peer:
        assert send(connect, peer, wire).reply == "550 5.1.1 no such user here"
