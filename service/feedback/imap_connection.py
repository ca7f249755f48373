"""Connections of the standard library's IMAP client that bound what a server may send.

The library reads a literal of any size that the server announces (RFC 3501, 4.3), and keeps any number of answers until
the command is done.
"""

import imaplib

from typing_extensions import override

from service.mail.parser import MAX_READ_BYTES

#: Octets of all answers to one command: the beginning of a mail, and a megabyte of UIDs and of other lines.
MAX_ANSWER_BYTES = MAX_READ_BYTES + 2 * 1024 * 1024


class AnswerTooLarge(Exception):
    """The server sends more than we asked for; the connection is of no further use."""


class BoundedImap4(imaplib.IMAP4):
    """Connection without TLS, or with STARTTLS. Raises AnswerTooLarge before it reads beyond the bound."""

    _left = MAX_ANSWER_BYTES

    @property
    def is_overrun(self) -> bool:
        """Whether AnswerTooLarge was raised: the rest of that answer is still to come."""
        return self._left < 0

    def begin_step(self) -> None:
        """Allow the bytes of one more command's answers. Raises IMAP4.abort after an overrun.

        What is left of that answer is a mail's text, which must not be read as answers.
        """
        if self.is_overrun:
            raise self.abort("the answer before was too large")
        self._left = MAX_ANSWER_BYTES

    @override
    def read(self, size: int) -> bytes:
        self._take(size)
        return super().read(size)

    @override
    def readline(self) -> bytes:
        line = super().readline()
        self._take(len(line))
        return line

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise AnswerTooLarge(f"the server sends more than {MAX_ANSWER_BYTES} octets")


class BoundedImap4Ssl(imaplib.IMAP4_SSL, BoundedImap4):
    """Connection with TLS from its first octet."""
