"""SMTP connections: reuse, limits, pipelining, replacement, hooks, pauses and abort."""

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.delivery.outcome import OutcomeKind, Phase
from service.delivery.relay import Server
from service.delivery.smtp_connection import ConnectionBroken, SmtpConnection
from service.mail.mime import Wire
from tests.support.sample_mail import Connect
from tests.support.smtp_peer import EXTENSIONS, Act, Peer

SENDER, RECIPIENT = "noreply@rgz.bj", "reseller@techconnect.bj"


class Clock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_connection_is_reused_for_the_next_mail(connect: Connect, wire: Wire) -> None:
    with Peer() as peer:
        transport = connect(peer)
        for _ in range(3):
            assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.connections == 1
        assert peer.verbs() == ["EHLO"] + ["MAIL", "RCPT", "DATA"] * 3


def test_envelope_goes_in_one_write_where_pipelining_is_offered(connect: Connect, wire: Wire) -> None:
    with Peer() as peer:
        connect(peer).deliver(SENDER, RECIPIENT, wire)
        envelope = next(chunk for chunk in peer.chunks if chunk.startswith(b"MAIL"))
        assert envelope.endswith(b"\r\nDATA\r\n")
    with Peer(extensions=("8BITMIME",)) as peer:
        connect(peer).deliver(SENDER, RECIPIENT, wire)
        assert b"DATA\r\n" in peer.chunks


@pytest.mark.parametrize("extensions", [EXTENSIONS, ("8BITMIME",)])
def test_refusal_is_followed_by_rset_and_the_next_mail_on_the_same_connection(
    connect: Connect, wire: Wire, extensions: tuple[str, ...]
) -> None:
    script = {"RCPT": ["550 5.1.1 no", "250 ok"], "DATA": ["503 5.5.1 no recipients", "354 go"]}
    if "PIPELINING" not in extensions:
        del script["DATA"]
    with Peer(script, extensions=extensions) as peer:
        transport = connect(peer)
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.BOUNCED
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.connections == 1
        assert peer.verbs().count("RSET") == 1
        assert len(peer.messages) == 2


def test_relay_that_takes_data_without_a_recipient_never_gets_the_end_of_data(connect: Connect, wire: Wire) -> None:
    with Peer({"RCPT": ["550 5.1.1 no", "250 ok"]}) as peer:
        transport = connect(peer)
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.BOUNCED
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.connections == 2
        assert peer.messages == [wire.encode("8bit")]


@pytest.mark.parametrize("act", [Act.CLOSE, "421 4.7.0 too many messages on this connection"])
@pytest.mark.parametrize("extensions", [EXTENSIONS, ("8BITMIME",)])
def test_connection_reused_is_replaced_once_when_it_ends_before_mail_is_answered(
    connect: Connect, wire: Wire, act: Act | str, extensions: tuple[str, ...]
) -> None:
    with Peer({"MAIL": ["250 ok", act, "250 ok"]}, extensions=extensions) as peer:
        transport = connect(peer)
        first, second = (transport.deliver(SENDER, RECIPIENT, wire) for _ in range(2))
        assert (first.kind, second.kind) == (OutcomeKind.SENT, OutcomeKind.SENT)
        assert peer.connections == 2
        assert len(peer.messages) == 2
        assert transport.paused_for_s() == 0


def test_connection_that_ends_after_mail_is_not_retried_at_once(connect: Connect, wire: Wire) -> None:
    with Peer({"RCPT": ["250 ok", Act.CLOSE, "250 ok"]}, extensions=("8BITMIME",)) as peer:
        transport = connect(peer)
        kinds = [transport.deliver(SENDER, RECIPIENT, wire).kind for _ in range(2)]
        assert kinds == [OutcomeKind.SENT, OutcomeKind.PAUSED]
        assert peer.connections == 1


def test_connection_is_replaced_when_the_relay_spoke_unasked(connect: Connect, wire: Wire) -> None:
    with Peer({".": ["250 2.0.0 ok\r\n421 4.4.2 idle for too long", "250 2.0.0 ok"]}) as peer:
        transport = connect(peer)
        first, second = (transport.deliver(SENDER, RECIPIENT, wire) for _ in range(2))
        assert (first.kind, second.kind) == (OutcomeKind.SENT, OutcomeKind.SENT)
        assert peer.connections == 2
        assert len(peer.messages) == 2


def test_connection_is_not_reused_after_twenty_seconds_idle(connect: Connect, wire: Wire) -> None:
    clock = Clock()
    with Peer() as peer:
        transport = connect(peer, clock=clock)
        transport.deliver(SENDER, RECIPIENT, wire)
        clock.now += 21
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.connections == 2
        assert "QUIT" in peer.verbs()


def test_connection_dropped_at_quit_changes_nothing(connect: Connect, wire: Wire) -> None:
    with Peer({"QUIT": Act.CLOSE}) as peer:
        transport = connect(peer)
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        transport.close()
        assert transport.paused_for_s() == 0


def test_connections_are_never_more_than_allowed(connect: Connect, wire: Wire) -> None:
    with Peer() as peer:
        transport = connect(peer, max_connections=3)
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda _: transport.deliver(SENDER, RECIPIENT, wire), range(40)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}
        assert len(peer.messages) == 40
        assert peer.connections <= 3


def test_before_mail_is_called_after_connecting_and_before_mail_is_sent(connect: Connect, wire: Wire) -> None:
    said: list[list[str]] = []
    with Peer() as peer:

        def before_mail() -> bool:
            said.append(peer.verbs())
            return True

        outcome = connect(peer).deliver(SENDER, RECIPIENT, wire, before_mail=before_mail)
        assert outcome.kind is OutcomeKind.SENT
        assert said == [["EHLO"]]


def test_lease_that_is_lost_abandons_the_attempt_and_keeps_the_connection(connect: Connect, wire: Wire) -> None:
    with Peer() as peer:
        transport = connect(peer)
        outcome = transport.deliver(SENDER, RECIPIENT, wire, before_mail=lambda: False)
        assert (outcome.kind, outcome.phase, outcome.answered, outcome.tried) == (
            OutcomeKind.PAUSED,
            Phase.LEASE,
            False,
            False,
        )
        assert "lease" in outcome.detail
        assert transport.paused_for_s() == 0
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.connections == 1
        assert len(peer.messages) == 1


def test_before_end_of_data_is_called_when_only_the_final_dot_is_missing(connect: Connect, wire: Wire) -> None:
    calls: list[int] = []
    with Peer() as peer:
        outcome = connect(peer).deliver(
            SENDER, RECIPIENT, wire, before_end_of_data=lambda: calls.append(len(peer.messages))
        )
        assert outcome.kind is OutcomeKind.SENT
        assert calls == [0]
        assert peer.messages == [wire.encode("8bit")]


def test_before_end_of_data_passes_on_its_error_and_nothing_is_sent(connect: Connect, wire: Wire) -> None:
    def fail() -> None:
        raise LookupError("the row is gone")

    with Peer() as peer:
        transport = connect(peer)
        with pytest.raises(LookupError):
            transport.deliver(SENDER, RECIPIENT, wire, before_end_of_data=fail)
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.messages == [wire.encode("8bit")]
        assert peer.connections == 2


def test_relay_that_is_paused_gets_one_probe_and_not_a_thousand_attempts(connect: Connect, wire: Wire) -> None:
    clock = Clock()
    with Peer({"greeting": ["421 4.3.2 busy", "421 4.3.2 busy", "220 hello"]}) as peer:
        transport = connect(peer, clock=clock)
        first = transport.deliver(SENDER, RECIPIENT, wire)
        assert (first.tried, first.retry_after_s) == (True, 1.0)
        for _ in range(1000):
            outcome = transport.deliver(SENDER, RECIPIENT, wire)
            assert (outcome.kind, outcome.tried, outcome.phase) == (OutcomeKind.PAUSED, False, Phase.PAUSE)
        assert "421 4.3.2 busy" in outcome.detail
        assert peer.connections == 1
        clock.now += 1.1
        assert transport.deliver(SENDER, RECIPIENT, wire).retry_after_s == 2.0
        clock.now += 1.1
        assert not transport.deliver(SENDER, RECIPIENT, wire).tried
        clock.now += 1.0
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert transport.paused_for_s() == 0
        assert peer.connections == 3


def test_relay_that_is_paused_is_probed_by_only_one_of_many_threads(connect: Connect, wire: Wire) -> None:
    clock = Clock()
    probing, go = threading.Event(), threading.Event()

    def hold() -> bool:
        probing.set()
        return go.wait(10)

    with Peer({"greeting": ["421 busy", "220 hello"]}) as peer, ThreadPoolExecutor(1) as pool:
        transport = connect(peer, clock=clock)
        transport.deliver(SENDER, RECIPIENT, wire)
        clock.now += 2
        probe = pool.submit(transport.deliver, SENDER, RECIPIENT, wire, before_mail=hold)
        assert probing.wait(10)
        assert not transport.deliver(SENDER, RECIPIENT, wire).tried
        go.set()
        assert probe.result().kind is OutcomeKind.SENT
        assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("greeting", OutcomeKind.PAUSED),
        ("EHLO", OutcomeKind.PAUSED),
        ("RCPT", OutcomeKind.PAUSED),
        (".", OutcomeKind.AMBIGUOUS),
    ],
)
def test_abort_ends_what_is_under_way_and_says_what_is_known(
    connect: Connect, wire: Wire, step: str, kind: OutcomeKind
) -> None:
    with Peer({step: Act.SILENCE}) as peer, ThreadPoolExecutor(1) as pool:
        transport = connect(peer, timeout_s=60.0)
        conversation = pool.submit(transport.deliver, SENDER, RECIPIENT, wire)
        assert peer.was_silent.wait(10)
        transport.abort()
        outcome = conversation.result(10)
        assert (outcome.kind, outcome.answered) == (kind, False)
        assert "stopping" in outcome.detail
        later = transport.deliver(SENDER, RECIPIENT, wire)
        assert (later.kind, later.tried) == (OutcomeKind.PAUSED, False)
        assert peer.connections == 1


def test_abort_reaches_a_handshake_too(connect: Connect, wire: Wire) -> None:
    with Peer({"greeting": Act.SILENCE}) as peer, ThreadPoolExecutor(1) as pool:
        transport = connect(peer, timeout_s=60.0, tls_mode="implicit")
        conversation = pool.submit(transport.deliver, SENDER, RECIPIENT, wire)
        assert peer.was_silent.wait(10)
        transport.abort()
        assert conversation.result(10).kind is OutcomeKind.PAUSED


def test_abort_while_changing_to_tls_begins_no_handshake() -> None:
    """The socket is a new one then, and whoever breaks off holds the old one."""

    class Meanwhile(ssl.SSLContext):
        def wrap_socket(self, sock: socket.socket, *arguments: Any, **named: Any) -> ssl.SSLSocket:
            wrapped = super().wrap_socket(sock, *arguments, **named)
            line.abort()
            return wrapped

    with Peer({"greeting": Act.SILENCE}) as peer, ThreadPoolExecutor(1) as pool:
        context = Meanwhile(ssl.PROTOCOL_TLS_CLIENT)
        line = SmtpConnection(Server("127.0.0.1", peer.port, "implicit", timeout_s=60.0), context)
        opening = pool.submit(line.open)
        with pytest.raises(ConnectionBroken, match="this worker is stopping"):
            opening.result(5)


def test_abort_before_connecting_opens_no_connection() -> None:
    with Peer() as peer:
        line = SmtpConnection(Server("127.0.0.1", peer.port, "none", timeout_s=60.0), ssl.create_default_context())
        line.abort()
        with pytest.raises(ConnectionBroken, match="this worker is stopping"):
            line.open()
        assert peer.connections == 0


def test_refusal_of_a_message_does_not_pause_the_relay(connect: Connect, wire: Wire) -> None:
    with Peer({".": "554 5.6.0 no"}) as peer:
        transport = connect(peer)
        transport.deliver(SENDER, RECIPIENT, wire)
        assert transport.paused_for_s() == 0
