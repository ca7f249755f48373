"""What an IMAP server may send: literals, lines and answers beyond their bounds are not read."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from service.errors import InboxUnreachable
from service.feedback.bounce.returned_mail import read_returned_mail
from service.feedback.imap import ImapAccount, ImapMailbox
from service.feedback.imap_connection import MAX_ANSWER_BYTES
from service.feedback.imap_poller import ImapPoller, MailResult
from service.mail import return_path
from service.store.database import Database
from tests.support.returned_mails import report
from tests.support.rows import NOW

KEY = b"key-of-the-tests"
MAIL = report(return_path.signed("bounces@rgz.bj", "01932f6e-7b1c-7c3a-9f00-0123456789ab", key=KEY))
MIB = 1024 * 1024
Answer = Callable[[bytes], Iterator[bytes]]


class Server:
    """A server of one folder whose answers to some commands are a test's; counts the octets that left it."""

    def __init__(self, answers: dict[bytes, Answer]) -> None:
        self.sent_bytes = 0
        self.port = 0
        self._answers: dict[bytes, Answer] = {
            b"CAPABILITY": lambda _: iter([b"* CAPABILITY IMAP4REV1\r\n"]),
            b"EXAMINE": lambda _: iter([b"* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 3] ok\r\n"]),
            b"SEARCH": lambda _: iter([b"* SEARCH 1 2\r\n"]),
            b"FETCH": lambda line: fetched(line, MAIL),
            **answers,
        }

    def serve(self, line: socket.socket) -> None:
        line.sendall(b"* OK here\r\n")
        for command in line.makefile("rb"):
            tag = command.split()[0]
            name = next((name for name in self._answers if name in command), None)
            for piece in self._answers[name](command) if name else ():
                line.sendall(piece)
                self.sent_bytes += len(piece)
            line.sendall(tag + b" OK done\r\n")


def fetched(command: bytes, mail: bytes, *, announced: int | None = None) -> Iterator[bytes]:
    """The answer to a FETCH, with another length than its mail's where one is announced."""
    found = re.search(rb"UID FETCH (\d+)", command)
    assert found
    size = len(mail) if announced is None else announced
    yield b'* 1 FETCH (UID %s INTERNALDATE "19-Feb-2026 09:00:00 +0000" BODY[]<0> {%d}\r\n' % (found[1], size)
    yield mail
    yield b")\r\n"


def endless(command: bytes, piece: bytes, *, announced: int) -> Iterator[bytes]:
    """A mail that is `announced` octets long, whatever was asked for."""
    yield from (part for part in list(fetched(command, b"", announced=announced))[:1])
    for _ in range(announced // len(piece)):
        yield piece


@contextmanager
def serving(answers: dict[bytes, Answer]) -> Iterator[Server]:
    server = Server(answers)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                with line, suppress(OSError):  # the other side has closed
                    server.serve(line)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def mailbox_of(server: Server) -> ImapMailbox:
    return ImapMailbox(ImapAccount("127.0.0.1", server.port, "bounces", "secret", "none", timeout_s=10))


def test_literal_of_400_mb_is_refused_unread_and_its_mail_left_behind_after_two_tries(database: Database) -> None:
    told: list[MailResult] = []

    def answer(command: bytes) -> Iterator[bytes]:
        if b"FETCH 1 " in command:
            return endless(command, b"A1 OK\r\n* BYE\r\n" * 4_096, announced=400 * MIB)
        return fetched(command, MAIL)

    with serving({b"FETCH": answer}) as server:
        poller = ImapPoller(mailbox_of(server), database, lambda *_: None, read_returned_mail, [KEY], lambda: NOW)
        with pytest.raises(Exception, match="more than"):
            poller.poll(threading.Event(), told.append)
        # The rest of that answer must not be read as answers: the connection ends, and the next one goes on.
        with pytest.raises(InboxUnreachable):
            poller.poll(threading.Event(), told.append)
        assert told == [MailResult.LEFT_BEHIND]
        assert poller.poll(threading.Event()) == {MailResult.REPORTED: 1}
        # Of each try a few buffers of the operating system, and nothing that we asked for.
        assert server.sent_bytes < 64 * MIB


@pytest.mark.parametrize(
    "answers",
    [
        {b"SEARCH": lambda _: iter([b"* SEARCH " + b"1 " * MIB, b"\r\n"])},
        {b"SEARCH": lambda _: (b"* SEARCH 1\r\n" * 1_000 for _ in range(10_000))},
        {b"SEARCH": lambda _: iter([b"* SEARCH " + b"9" * 5_000 + b"\r\n"])},
        {b"EXAMINE": lambda _: (b"* OK [ALERT] " + b"x" * 60_000 + b"\r\n" for _ in range(1_000))},
        {b"EXAMINE": lambda _: iter([b"* OK [UIDVALIDITY " + b"9" * 30 + b"] ok\r\n"])},
        {b"CAPABILITY": lambda _: iter([b"* CAPABILITY {%d}\r\n" % (400 * MIB)])},
    ],
    ids=["long line", "many lines", "long number", "many alerts", "long validity", "literal before login"],
)
def test_answer_beyond_its_bounds_is_an_unreachable_mailbox(answers: dict[bytes, Answer]) -> None:
    with serving(answers) as server, pytest.raises(InboxUnreachable), mailbox_of(server).open() as session:
        session.uids_after(0, limit=10)
    assert server.sent_bytes < 3 * MAX_ANSWER_BYTES


@pytest.mark.parametrize(("said", "uids"), [(b"1 4294967296 99999999999999999999 2", [1, 2]), (b"0 2", [2]), (b"", [])])
def test_uids_that_are_no_numbers_of_rfc_3501_are_left_out(said: bytes, uids: list[int]) -> None:
    with (
        serving({b"SEARCH": lambda _: iter([b"* SEARCH " + said + b"\r\n"])}) as server,
        mailbox_of(server).open() as session,
    ):
        assert session.uids_after(0, limit=10) == uids
