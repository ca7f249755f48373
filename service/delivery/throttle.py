"""Throttle: how many messages to claim ahead and how many SMTP connections to use, from measured send times.

It measures and decides; it claims nothing and connects to nothing.
"""

import math
import threading
from collections import deque

#: Claimed ahead: the messages of this many seconds. Urgent mail goes before them, so it may be generous; the
#: messages of a worker that dies wait until their leases lapse, so it must not be more.
AHEAD_S = 0.25
_AHEAD_MIN, _AHEAD_MAX = 10, 500
#: Claimed and loaded at once: meanwhile no notification is seen, and 500 would take a busy machine 150 ms.
_CLAIM_MAX = 64
#: Python needs about this long for a message: where the server is fast, two or four connections fill the core.
_BUSY_S_A_MESSAGE = 0.001
_CONNECTIONS_MIN = 2
#: The quickest of this many messages tells the server's response time; the others also waited for this machine.
_WINDOW = 16
#: Weight of the newest measurement in the moving average.
_WEIGHT = 0.2


class Throttle:
    """Limits how much is claimed and sent at once. Thread-safe. Times are seconds of one clock that never steps."""

    def __init__(self, *, connections_max: int, per_second_max: float | None) -> None:
        self._lock = threading.Lock()
        self._connections_max = connections_max
        self._per_second_max = per_second_max
        self._message_s: deque[float] = deque(maxlen=_WINDOW)
        self._per_second: float | None = None
        self._committed_at_s: float | None = None
        self._allowance = per_second_max or 0.0
        self._allowed_at_s: float | None = None

    @property
    def ahead(self) -> int:
        """How many messages to have claimed and unsent."""
        per_second = self._per_second or 0.0
        return int(min(max(per_second * AHEAD_S, _AHEAD_MIN), _AHEAD_MAX))

    @property
    def connections(self) -> int:
        """Connections that keep this machine busy while each waits for the server, up to SMTP_MAX_CONNECTIONS."""
        with self._lock:
            wanted = math.ceil(min(self._message_s, default=0.0) / _BUSY_S_A_MESSAGE)
        return min(max(wanted, _CONNECTIONS_MIN), self._connections_max)

    def room(self, at_hand: int, now_s: float, *, is_urgent: bool = False) -> int:
        """How many messages to claim now, at most what SMTP_MAX_PER_SECOND allows, which this counts as used.

        0 while less than a quarter of `ahead` is free, as a claim costs much the same for one and for many. With
        `is_urgent` (something new may be due) at least ten are claimed without waiting for that.
        """
        ahead = self.ahead
        wanted = max(ahead - at_hand, self.connections - at_hand, _AHEAD_MIN if is_urgent else 0, 0)
        wanted = min(wanted, _CLAIM_MAX)
        if not is_urgent and wanted < min(ahead // 4, _CLAIM_MAX):
            return 0
        if self._per_second_max is None:
            return wanted
        with self._lock:
            if self._allowed_at_s is not None:
                earned = (now_s - self._allowed_at_s) * self._per_second_max
                self._allowance = min(self._allowance + earned, max(self._per_second_max, 1.0))
            self._allowed_at_s = now_s
            allowed = min(wanted, int(self._allowance))
            self._allowance -= allowed
            return allowed

    def observe_send(self, seconds: float) -> None:
        """Record how long one message took on an open connection."""
        with self._lock:
            self._message_s.append(seconds)

    def observe_commit(self, count: int, now_s: float) -> None:
        """Record that `count` outcomes were committed at `now_s`."""
        with self._lock:
            since, self._committed_at_s = self._committed_at_s, now_s
            if since is None or now_s <= since or now_s - since > 1.0:
                return
            per_second, known = count / (now_s - since), self._per_second
            self._per_second = per_second if known is None else known + _WEIGHT * (per_second - known)
