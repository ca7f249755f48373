"""Retry delay of a message after a failed attempt, and the circuit breaker for a relay that can't be reached."""

import threading
import time
from collections.abc import Callable
from random import Random

from service.delivery.outcome import GREYLIST_PAUSE_S

#: RFC 5321, 4.5.4.1 suggests 30 minutes between attempts; we begin sooner, because a template's attempts are few.
_FIRST_BACKOFF_S = 30.0
_MAX_BACKOFF_S = 3_600.0

#: Pauses of a relay that is unavailable: doubled after each failure, up to the second.
_FIRST_PAUSE_S = 1.0
_MAX_PAUSE_S = 60.0
#: Seconds after which a thread may ask again while another one's probe is under way.
_PROBE_S = 1.0


def backoff_s(attempt: int, *, greylisted: bool, random: Random) -> float:
    """Seconds from a message's attempt number `attempt` (from 1) to its next: doubling, +-20 %, at most an hour.

    After greylisting at least five minutes.
    """
    doubled = min(_FIRST_BACKOFF_S * 2.0 ** min(max(attempt, 1) - 1, 30), _MAX_BACKOFF_S / 1.2)
    pause = doubled * random.uniform(0.8, 1.2)
    return max(pause, GREYLIST_PAUSE_S * random.uniform(1.0, 1.1)) if greylisted else pause


class CircuitBreaker:
    """Circuit breaker of one relay. Thread-safe.

    After a failure no attempt is allowed for a pause; then one probe, and all again once the probe was answered. Each
    failed probe doubles the pause, up to a minute. `clock` is monotonic, seconds.
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
        """Seconds until an attempt is allowed.

        0.0 allows one, which must be closed by succeeded(), failed() or released().
        """
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
        """Close the circuit: the server answered an attempt."""
        with self._lock:
            self._failures, self._until, self._reason, self._probe_began = 0, 0.0, "", None

    def failed(self, reason: str) -> float:
        """Open the circuit; returns the seconds to the next probe. Failures of concurrent attempts count once."""
        with self._lock:
            now = self._clock()
            if self._probe_began is not None or not self._failures:
                self._failures += 1
                self._probe_began = None
                self._until = now + min(_FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 30), _MAX_PAUSE_S)
                self._reason = reason
            return max(self._until - now, 0.0)

    def released(self) -> None:
        """Give back an allowed attempt that never asked the server: the next one may probe."""
        with self._lock:
            self._probe_began = None

    def paused_for_s(self) -> float:
        """Seconds until `acquire` would allow an attempt; 0.0 when it would now. Allows none itself."""
        with self._lock:
            if not self._failures:
                return 0.0
            if self._probe_began is not None:
                return _PROBE_S
            return max(self._until - self._clock(), 0.0)
