"""What the development mailbox refuses on purpose, by the address: to try one's own code against servers that say no.

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
#: Addresses that were put off; beyond that the oldest are forgotten, and put off once more.
_MAX_PUT_OFF = 10_000


class MailboxSimulator:
    """Answers to RCPT. Thread-safe."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._put_off: dict[str, None] = {}

    def answer(self, address: str) -> str:
        """The reply to RCPT TO this address."""
        name = address.partition("@")[0].partition("+")[0].lower()
        if name != "delay":
            return _REFUSALS.get(name, _TAKEN)
        with self._gate:
            if address in self._put_off:
                del self._put_off[address]
                return _TAKEN
            self._put_off[address] = None
            if len(self._put_off) > _MAX_PUT_OFF:
                del self._put_off[next(iter(self._put_off))]
            return _LATER
