"""Slowing of wrong tokens by client address. A right token is never slowed, whatever came from its address before.

Every token is looked up first; only what is answered to a wrong one grows. A token has at least 128 random bits, so
this protects logs and patience, and needs no lock that a stranger could close for others.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.errors import NotAuthenticated, TooManyAttempts

#: Wrong tokens in a row that an address may send before they are answered 429.
FREE_ATTEMPTS = 10
#: An address without wrong tokens for this long begins anew, and is the longest Retry-After.
FORGOTTEN_AFTER = timedelta(minutes=5)
#: Addresses that are remembered; the one that was silent longest is forgotten for a new one.
MAX_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class WrongTokens:
    """Counts wrong tokens by address, in this process only. Thread-safe."""

    clock: Callable[[], datetime]
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _counts: "OrderedDict[str, tuple[int, datetime]]" = field(default_factory=OrderedDict)

    def refusal(self, client: str, message: str) -> NotAuthenticated | TooManyAttempts:
        """Count a wrong token from this address, and return the error to raise, with `message` in it.

        After `FREE_ATTEMPTS` in a row it says to wait: a second, then twice as long for each further one.
        """
        now = self.clock()
        with self._gate:
            count, last = self._counts.get(client, (0, now))
            count = 1 if now - last >= FORGOTTEN_AFTER else count + 1
            self._counts[client] = count, now
            self._counts.move_to_end(client)
            if len(self._counts) > MAX_ADDRESSES:
                self._counts.popitem(last=False)
        if count <= FREE_ATTEMPTS:
            return NotAuthenticated(message)
        longest_s = int(FORGOTTEN_AFTER.total_seconds())
        wait_s = min(1 << min(count - FREE_ATTEMPTS - 1, longest_s.bit_length()), longest_s)
        return TooManyAttempts(f"{message} There were too many wrong ones from here.", retry_after_s=wait_s)
