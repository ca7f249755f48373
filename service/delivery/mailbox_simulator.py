"""Simulated refusals of the development mailbox, chosen by the recipient's address, for testing one's own code.

address (any domain)     the mailbox answers                            the message becomes
bounce@, bounce+x@       550 5.1.1, there is no such user               bounced
full@, full+x@           552 5.2.2, the mailbox is full                 bounced (MailboxFull)
refuse@, refuse+x@       554 5.7.1, refused by policy                   failed
delay@, delay+x@         450 4.2.1 once, then it is taken               sent, after one more try
"""

import threading
from collections.abc import Mapping

_TAKEN = "250 2.1.5 Ok"
_LATER = "450 4.2.1 The mailbox is busy on purpose; try again later"
#: RFC 3463 has the codes.
_REFUSALS: Mapping[str, str] = {
    "bounce": "550 5.1.1 There is no such user, on purpose",
    "full": "552 5.2.2 The mailbox is full, on purpose",
    "refuse": "554 5.7.1 Refused by policy, on purpose",
}
#: Deferred addresses that are remembered; the oldest are forgotten, and deferred once more.
_MAX_DEFERRED = 10_000


class MailboxSimulator:
    """Answers RCPT of the development mailbox. Thread-safe."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._deferred: dict[str, None] = {}

    def answer(self, address: str) -> str:
        """Return the reply to RCPT TO this address."""
        name = address.partition("@")[0].partition("+")[0].lower()
        if name != "delay":
            return _REFUSALS.get(name, _TAKEN)
        with self._gate:
            if address in self._deferred:
                del self._deferred[address]
                return _TAKEN
            self._deferred[address] = None
            if len(self._deferred) > _MAX_DEFERRED:
                del self._deferred[next(iter(self._deferred))]
            return _LATER
