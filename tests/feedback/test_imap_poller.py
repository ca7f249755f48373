"""The IMAP poller on a real server: mails are read once, in order, and believed only with a signed return path."""

import hashlib
import imaplib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import InboxUnreachable, StoreBusy
from service.feedback.apply import FeedbackApplier, SoftBounces
from service.feedback.bounce.returned_mail import ReturnedMail, read_returned_mail
from service.feedback.event import FeedbackEvent, FeedbackKind
from service.feedback.imap import ImapAccount, ImapMailbox
from service.feedback.imap_poller import ImapPoller, MailResult
from service.feedback.record import FeedbackRecorder
from service.mail import return_path
from service.models import EventType, Status
from service.monitoring.metrics import Metrics
from service.store import feedback, message_queries
from service.store.database import Database
from tests.support import rows
from tests.support.dovecot import Dovecot
from tests.support.processes import Process
from tests.support.returned_mails import complaint, report
from tests.support.rows import NOW
from tests.support.running import data_directory

KEY = b"key-of-the-tests"
ID = "01932f6e-7b1c-7c3a-9f00-0123456789ab"
OTHER = "01932f6e-7b1c-7c3a-9f00-ffffffffffff"
GO_ON = threading.Event()


def path_of(message_id: str, *, key: bytes = KEY) -> str:
    return return_path.signed("bounces@mail.rgz.bj", message_id, key=key)


@pytest.fixture
def place(dovecot: Dovecot, request: pytest.FixtureRequest) -> ImapAccount:
    """An empty mailbox of this test's own."""
    user = f"box{abs(hash(request.node.nodeid))}@x.example"
    with dovecot.line(user):
        return ImapAccount(
            host="localhost",
            port=dovecot.tls_port,
            user=user,
            password=dovecot.password,
            tls="implicit",
            ca_file=dovecot.ca_file,
        )


class Reader:
    """A collector whose reports are kept in a list; `record` may be replaced."""

    def __init__(
        self,
        place: ImapAccount,
        database: Database,
        read: Callable[[bytes], ReturnedMail] = read_returned_mail,
        **options: Any,
    ) -> None:
        self.reports: list[FeedbackEvent] = []
        self.names: list[str] = []
        self.record: Callable[[str, str, Sequence[FeedbackEvent]], object] = self.keep
        self.collector = ImapPoller(
            ImapMailbox(place), database, lambda *said: self.record(*said), read, [KEY], lambda: NOW, **options
        )

    def keep(self, name: str, source: str, reports: Sequence[FeedbackEvent]) -> None:
        self.names.append(f"{source}:{name}")
        self.reports += reports

    def look(self) -> dict[MailResult, int]:
        return dict(self.collector.poll(GO_ON))


def recorder_of(database: Database) -> FeedbackRecorder:
    return FeedbackRecorder(database, FeedbackApplier(lambda: NOW, KEY, SoftBounces(1, 1)), lambda: NOW, Metrics())


def test_bounce_report_is_about_the_message_whose_return_path_it_came_to(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, report(path_of(ID), message_id="another@rgz.bj", recipient="else@there.example"))
    reader = Reader(place, database)
    assert reader.look() == {MailResult.REPORTED: 1}
    [said] = reader.reports
    assert (said.kind, said.message_id, said.rfc_message_id, said.provider_id) == (FeedbackKind.BOUNCED, ID, None, None)
    assert (said.bounce_type, said.bounce_subtype, said.status, said.smtp_code) == (
        "permanent",
        "NoEmail",
        "5.1.1",
        550,
    )
    assert said.suppresses
    assert said.diagnostic == "550 5.1.1 No such user here"
    assert said.at <= NOW


@pytest.mark.parametrize(
    ("status", "words", "action", "kind", "suppresses"),
    [
        ("5.1.1", "550 no such user", "failed", FeedbackKind.BOUNCED, True),
        ("5.0.0", "550 no such user", "failed", FeedbackKind.BOUNCED, True),
        ("5.0.0", "550 no", "failed", FeedbackKind.BOUNCED, False),
        ("5.1.0", "550 5.1.0 Sender address rejected: User unknown", "failed", FeedbackKind.BOUNCED, False),
        ("5.2.2", "552 mailbox full", "failed", FeedbackKind.BOUNCED, False),
        ("5.7.1", "554 looks like spam", "failed", FeedbackKind.BOUNCED, False),
        ("5.3.4", "552 message too large", "failed", FeedbackKind.BOUNCED, False),
        ("4.2.2", "452 mailbox full", "failed", FeedbackKind.BOUNCED, False),
        ("4.4.1", "no answer", "delayed", FeedbackKind.DELAYED, False),
        ("2.0.0", "250 taken", "delivered", FeedbackKind.DELIVERED, False),
        ("2.0.0", "250 taken", "relayed", FeedbackKind.DELIVERED, False),
    ],
)
def test_bounce_report_decides_whether_its_address_is_suppressed(
    place: ImapAccount,
    database: Database,
    dovecot: Dovecot,
    status: str,
    words: str,
    action: str,
    kind: FeedbackKind,
    suppresses: bool,
) -> None:
    dovecot.put(place.user, report(path_of(ID), status=status, words=words, action=action))
    reader = Reader(place, database)
    reader.look()
    assert [(said.kind, said.suppresses) for said in reader.reports] == [(kind, suppresses)]


def test_complaint_without_its_recipient_is_known_by_the_return_path_in_it(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, complaint("abuse@rgz.bj", returned_path=path_of(ID)))
    dovecot.put(place.user, complaint("abuse@rgz.bj", returned_path=path_of(OTHER), feedback="not-spam"))
    reader = Reader(place, database)
    assert reader.look() == {MailResult.REPORTED: 1, MailResult.IGNORED: 1}
    assert [(said.kind, said.message_id, said.recipient) for said in reader.reports] == [
        (FeedbackKind.COMPLAINT, ID, None)
    ]


def test_return_path_without_a_signature_changes_nothing(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    mine = rows.store_one(database, id=ID, rfc_message_id="mine@rgz.bj", recipient="person@there.example")
    signed = path_of(ID)
    changed = signed.replace("+", "+b", 1)[: len(signed)]
    paths = [
        "bounces@mail.rgz.bj",
        f"bounces+{ID}@mail.rgz.bj",
        path_of(ID, key=b"theirs"),
        signed[:20] + ("a" if signed[20] != "a" else "b") + signed[21:],
        changed,
        "",
        # Signed, but for a message that is gone: then it is about no other one, whatever it quotes.
        path_of(OTHER),
    ]
    dovecot.put(place.user, *[report(path, message_id="mine@rgz.bj", name=str(n)) for n, path in enumerate(paths)])
    reader = Reader(place, database)
    reader.record = recorder_of(database).record
    assert reader.look() == {MailResult.IGNORED: len(paths) - 1, MailResult.REPORTED: 1}
    found = message_queries.get(database, mine, now=NOW)
    assert found is not None
    assert (found.status, found.bounce_type) == (Status.QUEUED, None)
    assert database.read("SELECT id FROM suppressions") == []


def test_automatic_replies_receipts_and_ordinary_mail_change_nothing(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    head = f"From: Person <person@there.example>\r\nTo: {path_of(ID)}\r\n"
    receipt = (
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n"
        "--b\r\n\r\nread\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        "Final-Recipient: rfc822; person@there.example\r\nDisposition: manual-action; displayed\r\n--b--\r\n"
    )
    mails = [
        f"{head}Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday. 550 5.1.1 gone\r\n",
        f"{head}Subject: Read: Facture\r\n{receipt}",
        f"{head}Subject: Re: Facture\r\n\r\nMerci. Mon ancien serveur disait 550 5.1.1 <a@b.example> unknown user.\r\n",
    ]
    dovecot.put(place.user, *[mail.encode() for mail in mails])
    reader = Reader(place, database)
    assert reader.look() == {MailResult.IGNORED: 3}
    assert reader.reports == []


def test_poller_reads_each_mail_once_over_restarts_and_touches_nothing_in_the_mailbox(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, *[report(path_of(ID), name=str(n)) for n in range(120)])
    before = dovecot.flags(place.user)
    first = Reader(place, database)
    assert first.look() == {MailResult.REPORTED: 120}
    assert first.look() == {}
    second = Reader(place, database)
    assert second.look() == {}
    dovecot.put(place.user, report(path_of(OTHER)))
    assert second.look() == {MailResult.REPORTED: 1}
    assert len(set(first.names)) == 120
    strip = [flags.replace("\\Recent", "").replace("( ", "(") for flags in (*before, *dovecot.flags(place.user))]
    assert {flags.partition(" ")[2] for flags in strip} == {"(FLAGS ())"}


def test_poller_reads_a_mailbox_that_was_made_anew_from_its_beginning(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    place = replace(place, folder="Retours de mail")
    dovecot.put(place.user, report(path_of(ID)), report(path_of(ID), name="2"), folder='"Retours de mail"')
    reader = Reader(place, database)
    assert reader.look() == {MailResult.REPORTED: 2}
    with dovecot.line(place.user) as line:
        line.delete('"Retours de mail"')
    threading.Event().wait(1.1)  # UIDVALIDITY is the second in which a folder was made
    dovecot.put(place.user, report(path_of(OTHER)), folder='"Retours de mail"')
    assert reader.look() == {MailResult.REPORTED: 1}
    assert reader.reports[-1].message_id == OTHER


def test_poller_finds_mails_behind_a_gap_of_numbers(dovecot: Dovecot, place: ImapAccount, database: Database) -> None:
    reader = Reader(place, database)
    for next_uid in (900, 1_003, 50_000, 2_000_000):
        dovecot.put(place.user, report(path_of(ID), name=str(next_uid)))
        dovecot.skip_numbers(place.user, next_uid)
    dovecot.put(place.user, report(path_of(OTHER)))
    assert reader.look() == {MailResult.REPORTED: 5}
    assert feedback.last_uid(database, place.name, uid_validity_of(place)) == 2_000_000
    assert reader.look() == {}


def uid_validity_of(place: ImapAccount) -> int:
    with ImapMailbox(place).open() as line:
        return line.uid_validity


def test_poller_deletes_mails_only_when_asked_and_only_those_it_read(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, report(path_of(ID)), b"Subject: marked by a person\r\n\r\nkeep me\r\n")
    Reader(place, database).look()
    with dovecot.line(place.user) as line:
        line.select()
        line.store("2", "+FLAGS", "(\\Deleted)")
    assert len(dovecot.flags(place.user)) == 2
    dovecot.put(place.user, report(path_of(OTHER)))
    reader = Reader(place, database, deletes=True)
    assert reader.look() == {MailResult.REPORTED: 1}
    assert len(dovecot.flags(place.user)) == 2


def test_poller_loses_no_mail_while_the_database_is_away(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, *[report(path_of(ID), name=str(n)) for n in range(3)])
    reader = Reader(place, database, deletes=True)

    def away(name: str, source: str, reports: Sequence[FeedbackEvent]) -> None:
        if len(reader.reports) == 1:
            raise StoreBusy("The database is away.")
        reader.keep(name, source, reports)

    reader.record = away
    for _ in range(5):
        with pytest.raises(StoreBusy):
            reader.look()
    assert len(dovecot.flags(place.user)) == 2
    reader.record = reader.keep
    assert reader.look() == {MailResult.REPORTED: 2}
    assert len(set(reader.names)) == len(reader.names) == 3


def test_mail_whose_position_was_lost_has_its_effect_once(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    """As if a process died between the two commits, or somebody emptied the table."""
    mine = rows.store_one(database, id=ID, recipient="person@there.example")
    dovecot.put(place.user, report(path_of(ID)))
    reader = Reader(place, database)
    reader.record = recorder_of(database).record
    for _ in range(3):
        assert reader.look() == {MailResult.REPORTED: 1}
        database.write(lambda tx: tx.execute("DELETE FROM inbox_positions"))
    found = message_queries.get(database, mine, now=NOW)
    assert found is not None
    assert found.status is Status.BOUNCED
    assert [event.type for event in message_queries.events(database, mine)].count(EventType.BOUNCED) == 1
    assert len(database.read("SELECT id FROM suppressions")) == 1


def test_mail_that_fails_to_apply_is_left_behind_after_two_polls(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    mails = [report(path_of(ID), name=str(n)) for n in range(3)]
    dovecot.put(place.user, *mails)
    reader = Reader(place, database, deletes=True)

    def record(name: str, source: str, reports: Sequence[FeedbackEvent]) -> None:
        if name == hashlib.sha256(mails[1]).hexdigest():
            raise ValueError("a lone surrogate")
        reader.keep(name, source, reports)

    reader.record = record
    with pytest.raises(ValueError, match="surrogate"):
        reader.look()
    assert reader.look() == {MailResult.LEFT_BEHIND: 1, MailResult.REPORTED: 1}
    assert reader.look() == {}
    assert len(reader.reports) == 2
    # A person can still look at the one that was left behind.
    assert len(dovecot.flags(place.user)) == 1


class Killed(BaseException):
    """The process ended here: nothing catches it, as nothing catches SIGKILL."""


def test_mail_that_ends_the_process_is_left_behind_after_two_tries_over_restarts(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    mails = [report(path_of(ID), name=str(n)) for n in range(5)]
    dovecot.put(place.user, *mails)
    tried, validity = list[int](), uid_validity_of(place)

    def dies(raw: bytes) -> ReturnedMail:
        tried.append(mails.index(raw))
        # A process that ends leaves only what is committed by now.
        assert feedback.last_uid(database, place.name, validity) == tried[-1]
        if raw == mails[3]:
            raise Killed
        return read_returned_mail(raw)

    for _ in range(2):
        with pytest.raises(Killed):
            Reader(place, database, read=dies).look()
    assert tried == [0, 1, 2, 3, 3]
    last = Reader(place, database)
    assert last.look() == {MailResult.LEFT_BEHIND: 1, MailResult.REPORTED: 1}
    assert last.look() == {}


def test_mail_is_not_left_behind_when_the_server_or_the_database_is_the_reason(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, report(path_of(ID)))
    reader = Reader(place, database)
    for error in [StoreBusy("The database is away."), InboxUnreachable("it hung up")] * 2:

        def fails(*_said: object, error: Exception = error) -> None:
            raise error

        reader.record = fails
        with pytest.raises(type(error)):
            reader.look()
    reader.record = reader.keep
    assert reader.look() == {MailResult.REPORTED: 1}


def test_mail_is_not_left_behind_when_two_processes_read_one_mailbox(
    dovecot: Dovecot, place: ImapAccount, database: Database
) -> None:
    dovecot.put(place.user, *[report(path_of(ID), name=str(n)) for n in range(4)])
    slow, quick = Reader(place, database), Reader(place, database)

    def overtaken(name: str, source: str, reports: Sequence[FeedbackEvent]) -> None:
        if not slow.reports:
            assert quick.look() == {MailResult.REPORTED: 4}
        slow.keep(name, source, reports)

    slow.record = overtaken
    assert slow.look() == {MailResult.REPORTED: 1, MailResult.IGNORED: 3}
    assert len(quick.reports) == 4


def test_poller_skips_huge_and_broken_mails(dovecot: Dovecot, place: ImapAccount, database: Database) -> None:
    parts = f"To: {path_of(OTHER)}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 10_000
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(2_000))
    dovecot.put(
        place.user,
        report(path_of(ID), rest="x" * 76 + "\r\n" + ("y" * 76 + "\r\n") * (50 * 1024 * 1024 // 78)),
        parts.encode(),
        f"To: {path_of(OTHER)}\r\n{deep}".encode(),
        b"\xff\xfe\r\n" * 10,
        report(path_of(ID), name="last"),
    )
    reader = Reader(replace(place, timeout_s=60), database)
    assert reader.look() == {MailResult.REPORTED: 2, MailResult.IGNORED: 3}
    assert [said.message_id for said in reader.reports] == [ID, ID]


@pytest.mark.parametrize("tls", ["implicit", "starttls", "none"])
def test_tls_of_every_mode_leads_to_the_mailbox(
    dovecot: Dovecot, place: ImapAccount, database: Database, tls: Any
) -> None:
    port = dovecot.tls_port if tls == "implicit" else dovecot.plain_port
    assert Reader(replace(place, tls=tls, port=port), database).look() == {}


def test_certificate_that_is_not_trusted_is_refused(dovecot: Dovecot, place: ImapAccount, database: Database) -> None:
    for other in (replace(place, ca_file=None), replace(place, host="127.0.0.1")):
        with pytest.raises(InboxUnreachable, match="TLS failed"):
            Reader(other, database).look()


def test_login_that_is_refused_is_told_without_a_name(dovecot: Dovecot, place: ImapAccount, database: Database) -> None:
    with pytest.raises(InboxUnreachable) as told:
        Reader(replace(place, password="wrong"), database).look()
    assert place.user not in str(told.value)
    assert "refuses" in str(told.value)


@contextmanager
def silent_server(greeting: bytes = b"") -> Iterator[tuple[int, threading.Event]]:
    """A server that takes connections, says its greeting and then nothing; its port, and when somebody came."""
    came, lines = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                lines.append(line)
                with suppress(OSError):  # the test has ended, or the other side has
                    if greeting:
                        line.sendall(greeting)
                        line.recv(1_000)
                came.set()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for line in lines:
                line.close()
            thread.join(5)


def test_imap_server_that_hangs_is_given_up_after_its_timeout(place: ImapAccount, database: Database) -> None:
    with silent_server() as (port, _), pytest.raises(InboxUnreachable):
        Reader(replace(place, tls="none", port=port, host="127.0.0.1", timeout_s=0.2), database).look()


def test_poll_that_is_aborted_while_it_connects_closes_its_connection(
    place: ImapAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, lines = ImapMailbox(place), []
    connect = imaplib.IMAP4_SSL.open

    def told_to_end_meanwhile(line: imaplib.IMAP4_SSL, *where: Any, **how: Any) -> None:
        connect(line, *where, **how)
        lines.append(line)
        inbox.abort()

    monkeypatch.setattr(imaplib.IMAP4_SSL, "open", told_to_end_meanwhile)
    with pytest.raises(InboxUnreachable), inbox.open():
        pass
    assert lines[0].sock.fileno() == -1
    with pytest.raises(InboxUnreachable), inbox.open():
        pass
    assert len(lines) == 1


@pytest.mark.parametrize("said", [b"\0\xff\r\n", b"* BYE full\r\n", b"+OK POP3\r\n", b"* OK \r\n* {999999999}\r\n"])
def test_imap_server_that_speaks_another_protocol_is_told_apart_from_our_own_errors(
    place: ImapAccount, database: Database, said: bytes
) -> None:
    with silent_server(said) as (port, _), pytest.raises(InboxUnreachable):
        Reader(replace(place, tls="none", port=port, host="127.0.0.1", timeout_s=0.5), database).look()


@pytest.mark.parametrize(("tls", "greeting"), [("none", b"* OK here\r\n"), ("implicit", b"")])
def test_worker_ends_within_10_s_while_the_imap_server_hangs(tmp_path: Path, tls: str, greeting: bytes) -> None:
    with silent_server(greeting) as (port, came):
        environment = {
            "EMAIL_DATA_DIR": str(data_directory(tmp_path)),
            "EMAIL_BOUNCE_ADDRESS": "bounces@mail.rgz.bj",
            "EMAIL_INBOX_HOST": "127.0.0.1",
            "EMAIL_INBOX_PORT": str(port),
            "EMAIL_INBOX_USER": "bounces",
            "EMAIL_INBOX_PASSWORD": "secret",
            "EMAIL_INBOX_TLS": tls,
            "EMAIL_INBOX_TIMEOUT_SECONDS": "600",
        }
        worker = Process("worker", environment=environment)
        try:
            worker.said("The worker is up")
            assert came.wait(30)
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.wait(10) == 0
        finally:
            worker.kill()
        assert "Traceback" not in worker.log
