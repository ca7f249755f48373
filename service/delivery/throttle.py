"""How fast mail leaves: what to claim ahead, and how many connections that line wants.

Stands below the verbs. It measures and decides; it claims and connects nothing.
"""

import math
import threading
from collections import deque

#: Claimed ahead: what this long will send. An urgent mail that comes now goes before it, so it may be generous; a
#: worker that dies takes it along until the leases lapse, so it must not be.
AHEAD_S = 0.25
_AHEAD_MIN, _AHEAD_MAX = 10, 500
#: Claimed and read at once: whoever does that sees no ring meanwhile, and 500 would take a busy machine 150 ms.
_CLAIM_MAX = 64
#: A connection more than this fills one core with Python: on a fast line two or four are as fast as twenty.
_BUSY_S_A_MESSAGE = 0.001
_CONNECTIONS_MIN = 2
#: Of so many messages the quickest tells how far away the server is; the others also waited for this machine.
_WINDOW = 16
#: How much the newest measurement counts.
_WEIGHT = 0.2


class Throttle:
    """Thread-safe. Times are seconds of one clock that never steps."""

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
        """How many messages to have at hand."""
        per_second = self._per_second or 0.0
        return int(min(max(per_second * AHEAD_S, _AHEAD_MIN), _AHEAD_MAX))

    @property
    def connections(self) -> int:
        """As many as keep this machine busy while each waits for its server; never more than the settings allow."""
        with self._lock:
            wanted = math.ceil(min(self._message_s, default=0.0) / _BUSY_S_A_MESSAGE)
        return min(max(wanted, _CONNECTIONS_MIN), self._connections_max)

    def room(self, at_hand: int, now_s: float, *, is_urgent: bool = False) -> int:
        """How many to claim now; at most what SMTP_MAX_PER_SECOND allows, which this counts as used.

        None while a quarter would not be new, as a claim costs much the same for one and for many; `is_urgent`:
        something new may be due, and is not to wait until there is room.
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
        """One message on an open connection took so long."""
        with self._lock:
            self._message_s.append(seconds)

    def observe_commit(self, count: int, now_s: float) -> None:
        """So many were through by now."""
        with self._lock:
            since, self._committed_at_s = self._committed_at_s, now_s
            if since is None or now_s <= since or now_s - since > 1.0:
                return
            per_second, known = count / (now_s - since), self._per_second
            self._per_second = per_second if known is None else known + _WEIGHT * (per_second - known)
