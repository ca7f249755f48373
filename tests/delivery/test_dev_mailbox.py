"""The development mailbox, filled by the transport that delivers."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.delivery.dev_mailbox import DevMailbox
from service.delivery.outcome import OutcomeKind
from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.errors import ConfigurationError
from service.mail.mime import Wire, build
from service.models import Attachment
from tests.support.sample_mail import MAIL

NOW = datetime(2026, 2, 21, 14, 30, tzinfo=UTC)


@pytest.fixture
def mailbox() -> Iterator[DevMailbox]:
    box = DevMailbox(3, clock=lambda: NOW)
    yield box
    box.stop()


@pytest.fixture
def transport(mailbox: DevMailbox) -> Iterator[SmtpTransport]:
    transport = SmtpTransport(Server("127.0.0.1", mailbox.start(), "none"))
    yield transport
    transport.close()


def test_dev_mailbox_keeps_a_mail_byte_for_byte(mailbox: DevMailbox, transport: SmtpTransport, wire: Wire) -> None:
    outcome = transport.deliver("noreply@rgz.bj", "reseller@techconnect.bj", wire)
    (item,) = mailbox.list()
    assert (outcome.kind, outcome.transfer_encoding) == (OutcomeKind.SENT, "8bit")
    assert outcome.provider_id == f"mailbox-{item.id}"
    assert mailbox.raw(item.id) == wire.encode("8bit")
    assert (item.sender, item.to) == ("noreply@rgz.bj", ("reseller@techconnect.bj",))
    assert (item.subject, item.received_at) == (MAIL.subject, NOW)
    assert item.size_bytes == wire.size_bytes("8bit")


def test_dev_mailbox_takes_a_mail_of_ten_mebibytes(mailbox: DevMailbox, transport: SmtpTransport) -> None:
    big = build(replace(MAIL, attachments=(Attachment("a.pdf", "application/pdf", b"%PDF-" + b"x" * 10_485_755, ""),)))
    assert transport.deliver("a@rgz.bj", "b@rgz.bj", big).kind is OutcomeKind.SENT
    assert mailbox.raw(mailbox.list()[0].id) == big.encode("8bit")


def test_dev_mailbox_lists_the_newest_first_and_drops_the_oldest(
    mailbox: DevMailbox, transport: SmtpTransport, wire: Wire
) -> None:
    for n in range(5):
        transport.deliver("a@rgz.bj", f"r{n}@rgz.bj", wire)
    assert [item.to for item in mailbox.list()] == [("r4@rgz.bj",), ("r3@rgz.bj",), ("r2@rgz.bj",)]
    assert [item.to for item in mailbox.list(to="R3@rgz.bj")] == [("r3@rgz.bj",)]
    assert mailbox.raw("1") is None


def test_dev_mailbox_drops_the_oldest_when_all_together_are_too_large() -> None:
    box = DevMailbox(100, max_total_bytes=250)
    ids = [box.keep("a@rgz.bj", ["b@rgz.bj"], b"Subject: x\r\n\r\n" + b"x" * 86) for _ in range(4)]
    assert [item.id for item in box.list()] == [ids[3], ids[2]]
    box.clear()
    assert box.list() == []
    assert box.raw(ids[3]) is None


def test_dev_mailbox_keeps_a_single_mail_larger_than_its_limit_alone() -> None:
    box = DevMailbox(100, max_total_bytes=50)
    box.keep("a@rgz.bj", ["b@rgz.bj"], b"x" * 10)
    newest = box.keep("a@rgz.bj", ["b@rgz.bj"], b"x" * 100)
    assert [item.id for item in box.list()] == [newest]


def test_dev_mailbox_list_waits_for_a_mail_of_that_recipient(
    mailbox: DevMailbox, transport: SmtpTransport, wire: Wire
) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(mailbox.list(to="late@rgz.bj", wait_s=30))))
    thread.start()
    transport.deliver("a@rgz.bj", "early@rgz.bj", wire)
    transport.deliver("a@rgz.bj", "late@rgz.bj", wire)
    thread.join(30)
    assert found == [1]


def test_dev_mailbox_list_does_not_wait_longer_than_asked(mailbox: DevMailbox) -> None:
    mailbox.start()
    assert mailbox.list(wait_s=0.05) == []


def test_dev_mailbox_ends_waiting_lists_when_it_stops(mailbox: DevMailbox) -> None:
    mailbox.start()
    thread = threading.Thread(target=lambda: mailbox.list(wait_s=600))
    thread.start()
    mailbox.stop()
    thread.join(30)
    assert not thread.is_alive()
    mailbox.stop()


def test_dev_mailbox_says_so_when_its_port_is_taken(mailbox: DevMailbox) -> None:
    port = mailbox.start()
    with pytest.raises(ConfigurationError, match=str(port)):
        DevMailbox(1).start(port=port)


def test_dev_mailbox_decodes_subjects_and_keeps_a_broken_mail(mailbox: DevMailbox) -> None:
    mailbox.keep("a@rgz.bj", ["b@rgz.bj"], b"Subject: =?utf-8?q?f=C3=A9vrier?=\r\n\r\n")
    mailbox.keep("", ["b@rgz.bj"], b"\xff\xfe no header")
    assert [item.subject for item in mailbox.list()] == ["", "février"]
