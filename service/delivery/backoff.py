"""How long to wait: for a message between its tries, for a server that can't be reached."""

import threading
import time
from collections.abc import Callable
from random import Random

from service.delivery.outcome import GREYLIST_PAUSE_S

#: RFC 5321, 4.5.4.1 has 30 minutes between tries in mind; we begin sooner, because a template's attempts are few.
_FIRST_BACKOFF_S = 30.0
_MAX_BACKOFF_S = 3_600.0

#: A server that is away: soon again at first, then once a minute.
_FIRST_PAUSE_S = 1.0
_MAX_PAUSE_S = 60.0
#: How soon somebody may ask again while another one's probe is under way.
_PROBE_S = 1.0


def backoff_s(attempt: int, *, greylisted: bool, random: Random) -> float:
    """Seconds from a message's try number `attempt` (from 1) to its next: doubling, +-20 %, at most an hour.

    After greylisting at least five minutes.
    """
    doubled = min(_FIRST_BACKOFF_S * 2.0 ** min(max(attempt, 1) - 1, 30), _MAX_BACKOFF_S / 1.2)
    pause = doubled * random.uniform(0.8, 1.2)
    return max(pause, GREYLIST_PAUSE_S * random.uniform(1.0, 1.1)) if greylisted else pause


class CircuitBreaker:
    """Whether a server may be tried. Thread-safe.

    After a failure nobody may for a while; then one, and all again once that one had an answer. Each failed probe
    doubles the pause, up to a minute. `clock` is monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._reason = ""
        self._probe_began: float | None = None

    @property
    def reason(self) -> str:
        """Why the server is paused; "" while it is not."""
        return self._reason

    def acquire(self) -> float:
        """0.0: try, and report with `worked`, `broke` or `abandoned`. Otherwise the seconds to wait."""
        with self._lock:
            if not self._failures:
                return 0.0
            now = self._clock()
            if now < self._until:
                return self._until - now
            if self._probe_began is not None:
                return _PROBE_S
            self._probe_began = now
            return 0.0

    def succeeded(self) -> None:
        """The server answered a try."""
        with self._lock:
            self._failures, self._until, self._reason, self._probe_began = 0, 0.0, "", None

    def failed(self, reason: str) -> float:
        """A try failed for the server's sake; the seconds to the next probe. Failures side by side count once."""
        with self._lock:
            now = self._clock()
            if self._probe_began is not None or not self._failures:
                self._failures += 1
                self._probe_began = None
                self._until = now + min(_FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 30), _MAX_PAUSE_S)
                self._reason = reason
            return max(self._until - now, 0.0)

    def released(self) -> None:
        """An admitted try ended without asking the server: the next one may probe."""
        with self._lock:
            self._probe_began = None

    def paused_for_s(self) -> float:
        """Seconds until a try is admitted; 0.0 when one would be now. Takes no place in the queue."""
        with self._lock:
            if not self._failures:
                return 0.0
            if self._probe_began is not None:
                return _PROBE_S
            return max(self._until - self._clock(), 0.0)
