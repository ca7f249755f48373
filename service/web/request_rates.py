"""Rates of requests: by key, and by client address for requests without one. Held in this process, not shared.

A rate of n a minute lets n requests through at once, and from then on one for each n-th of a minute (GCRA: what is
remembered of a caller is the time at which its allowance is full again).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from service.config.http_settings import RequestRate
from service.config.settings import Settings
from service.errors import TooManyRequests

#: Keys or addresses that are remembered; the one that was silent longest is forgotten for a new one.
MAX_REMEMBERED = 10_000


class RequestRates:
    """The rates of all callers. For one event loop; `clock` is in seconds and never goes back."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        api, address = settings.email_rate_limit_api, settings.email_rate_limit_address
        self._keys = _Allowances(api, clock)
        self._addresses = _Allowances(min(api, address, key=lambda rate: rate.per_second), clock)
        self._webhook = _Allowances(api, clock)

    def take_for_key(self, key_id: str) -> None:
        """Count a request of a key. Raises TooManyRequests."""
        self._keys.take(key_id)

    def take_for_address(self, address: str) -> None:
        """Count a request without a key. Raises TooManyRequests."""
        self._addresses.take(address)

    def take_for_webhook(self, address: str) -> None:
        """Count a notification: a provider posts all of them from a few addresses. Raises TooManyRequests."""
        self._webhook.take(address)


class _Allowances:
    """The allowance of each name at one rate."""

    def __init__(self, rate: RequestRate, clock: Callable[[], float]) -> None:
        self._period_s = rate.period_s
        self._count = rate.count
        self._clock = clock
        self._full_again: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> None:
        if self._count is None:
            return
        now, each_s = self._clock(), self._period_s / self._count
        full_again = max(self._full_again.get(name, now), now)
        wait_s = full_again - now - (self._period_s - each_s)
        if wait_s > 1e-6:  # less is an error of rounding
            raise TooManyRequests(
                f"There were more requests than {self._count:,} in {self._period_s:g} seconds.",
                retry_after_s=max(ceil(wait_s), 1),
            )
        self._full_again[name] = full_again + each_s
        self._full_again.move_to_end(name)
        if len(self._full_again) > MAX_REMEMBERED:
            self._full_again.popitem(last=False)
