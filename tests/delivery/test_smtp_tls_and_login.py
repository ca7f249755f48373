"""TLS of SMTP is verified or not used, and a login never reveals its secrets."""

import base64
import hmac
import ssl
from pathlib import Path

import pytest
import trustme

from service.delivery.outcome import OutcomeKind, Phase
from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.errors import ConfigurationError
from service.mail.mime import Wire
from tests.support.sample_mail import Connect
from tests.support.smtp_peer import EXTENSIONS, Peer

SENDER, RECIPIENT = "noreply@rgz.bj", "reseller@techconnect.bj"
WITH_TLS = (*EXTENSIONS, "STARTTLS")
PASSWORD = "s3cret-Pa55word"


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_starttls_encrypts_before_the_mail(connect: Connect, wire: Wire, authority: trustme.CA, ca_file: Path) -> None:
    with Peer(extensions=WITH_TLS, context=server_context(authority)) as peer:
        outcome = connect(peer, tls_mode="starttls", ca_file=ca_file).deliver(SENDER, RECIPIENT, wire)
        assert outcome.kind is OutcomeKind.SENT
        assert peer.verbs() == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA"]
        assert peer.messages == [wire.encode("8bit")]


def test_implicit_tls_encrypts_from_the_first_byte(
    connect: Connect, wire: Wire, authority: trustme.CA, ca_file: Path
) -> None:
    with Peer(context=server_context(authority), implicit_tls=True) as peer:
        outcome = connect(peer, tls_mode="implicit", ca_file=ca_file).deliver(SENDER, RECIPIENT, wire)
        assert outcome.kind is OutcomeKind.SENT
        assert peer.messages == [wire.encode("8bit")]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_connection_is_reused_when_encrypted_too(
    connect: Connect, wire: Wire, authority: trustme.CA, ca_file: Path, mode: str
) -> None:
    context = server_context(authority)
    with Peer(extensions=WITH_TLS, context=context, implicit_tls=mode == "implicit") as peer:
        transport = connect(peer, tls_mode=mode, ca_file=ca_file)
        for _ in range(3):
            assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert peer.connections == 1


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_certificate_that_does_not_verify_pauses_and_nothing_is_sent(
    connect: Connect, wire: Wire, authority: trustme.CA, ca_file: Path, mode: str, wrong: str
) -> None:
    context = server_context(authority, "other.test") if wrong == "name" else server_context(trustme.CA())
    with Peer(extensions=WITH_TLS, context=context, implicit_tls=mode == "implicit") as peer:
        transport = connect(peer, tls_mode=mode, ca_file=ca_file, user="u", password=PASSWORD)
        outcome = transport.deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase, outcome.answered) == (OutcomeKind.PAUSED, Phase.TLS, False)
        assert "its certificate is not trusted" in outcome.detail
        assert peer.messages == []
        assert not {"AUTH", "MAIL"} & set(peer.verbs())
        assert transport.paused_for_s() > 0


def test_certificate_authority_of_our_own_is_not_trusted_unless_it_is_named(
    connect: Connect, wire: Wire, authority: trustme.CA
) -> None:
    with Peer(extensions=WITH_TLS, context=server_context(authority)) as peer:
        assert connect(peer, tls_mode="starttls").deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.PAUSED


def test_starttls_that_is_stripped_pauses_and_nothing_goes_in_clear(connect: Connect, wire: Wire) -> None:
    with Peer() as peer:
        outcome = connect(peer, tls_mode="starttls", user="u", password=PASSWORD).deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase) == (OutcomeKind.PAUSED, Phase.TLS)
        assert "does not offer STARTTLS" in outcome.detail
        assert peer.verbs() == ["EHLO"]


@pytest.mark.parametrize("reply", ["454 4.7.0 TLS not available", "500 what?"])
def test_starttls_that_is_refused_pauses(connect: Connect, wire: Wire, reply: str) -> None:
    with Peer({"STARTTLS": reply}, extensions=WITH_TLS) as peer:
        outcome = connect(peer, tls_mode="starttls").deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase) == (OutcomeKind.PAUSED, Phase.TLS)
        assert reply in outcome.detail
        assert peer.verbs() == ["EHLO", "STARTTLS"]


def test_starttls_ignores_replies_injected_before_the_encryption(
    connect: Connect, wire: Wire, authority: trustme.CA, ca_file: Path
) -> None:
    """CVE-2021-38084 and its kind: an answer in clear that the client would read as if it were encrypted."""
    slipped = {"STARTTLS": b"250 forged\r\n"}
    script = {"STARTTLS": "220 go\r\n250 forged"}
    with Peer(script, extensions=WITH_TLS, context=server_context(authority), after_command=slipped) as peer:
        outcome = connect(peer, tls_mode="starttls", ca_file=ca_file).deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase) == (OutcomeKind.PAUSED, Phase.TLS)
        assert peer.messages == []


def test_login_is_made_once_a_connection(connect: Connect, wire: Wire) -> None:
    with Peer(extensions=(*EXTENSIONS, "AUTH PLAIN LOGIN")) as peer:
        transport = connect(peer, user="mailer", password=PASSWORD)
        for _ in range(2):
            assert transport.deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        told = base64.b64encode(f"\0mailer\0{PASSWORD}".encode()).decode()
        assert [command for command in peer.commands if command.startswith("AUTH")] == [f"AUTH PLAIN {told}"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_login_is_in_utf_8_by_every_mechanism(connect: Connect, wire: Wire, mechanism: str) -> None:
    user, password, challenge = "relais-été", "clé-œ", b"<1896.697170952@peer.test>"

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    script, wanted = {
        "PLAIN": ({}, [f"AUTH PLAIN {encoded(f'{chr(0)}{user}{chr(0)}{password}')}"]),
        "LOGIN": ({"AUTH": "334 UGFzc3dvcmQ6"}, [f"AUTH LOGIN {encoded(user)}", encoded(password)]),
        "CRAM-MD5": (
            {"AUTH": f"334 {base64.b64encode(challenge).decode()}"},
            ["AUTH CRAM-MD5", encoded(f"{user} {digest}")],
        ),
    }[mechanism]
    answers = {command.upper(): "235 2.7.0 welcome" for command in wanted[1:]}
    with Peer({**script, **answers}, extensions=(*EXTENSIONS, f"AUTH {mechanism}")) as peer:
        assert connect(peer, user=user, password=password).deliver(SENDER, RECIPIENT, wire).kind is OutcomeKind.SENT
        assert [command for command in peer.commands if command in wanted] == wanted


def test_login_that_is_refused_pauses_without_telling_the_password(connect: Connect, wire: Wire) -> None:
    told = base64.b64encode(f"\0mailer\0{PASSWORD}".encode()).decode()
    reply = f"535 5.7.8 bad credentials {PASSWORD} {told}"
    with Peer({"AUTH": reply}, extensions=(*EXTENSIONS, "AUTH PLAIN")) as peer:
        outcome = connect(peer, user="mailer", password=PASSWORD).deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase, outcome.answered) == (OutcomeKind.PAUSED, Phase.LOGIN, False)
        assert "535 5.7.8 bad credentials" in outcome.detail
        assert PASSWORD not in str(outcome)
        assert told not in str(outcome)
        assert "MAIL" not in peer.verbs()


@pytest.mark.parametrize("offered", [(), ("AUTH XOAUTH2",)])
def test_login_by_no_method_we_have_pauses(connect: Connect, wire: Wire, offered: tuple[str, ...]) -> None:
    with Peer(extensions=(*EXTENSIONS, *offered)) as peer:
        outcome = connect(peer, user="mailer", password=PASSWORD).deliver(SENDER, RECIPIENT, wire)
        assert (outcome.kind, outcome.phase) == (OutcomeKind.PAUSED, Phase.LOGIN)
        assert "MAIL" not in peer.verbs()


def test_password_that_cannot_be_sent_pauses_with_a_hint(connect: Connect, wire: Wire) -> None:
    with Peer(extensions=(*EXTENSIONS, "AUTH PLAIN")) as peer:
        outcome = connect(peer, user="mailer", password="secret\udce9").deliver(SENDER, RECIPIENT, wire)
        assert outcome.kind is OutcomeKind.PAUSED
        assert "no valid UTF-8" in outcome.detail
        assert "secr" not in outcome.detail


def test_certificate_authority_that_cannot_be_read_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    nonsense = tmp_path / "authority.pem"
    nonsense.write_text("no certificate")
    for path in (nonsense, tmp_path / "missing.pem"):
        with pytest.raises(ConfigurationError, match="SMTP_CA_FILE"):
            SmtpTransport(Server("127.0.0.1", 25, "starttls", ca_file=path))
