"""How long something takes, on a machine that others use too.

One round of one thing is a median over batches; the rounds of all things take turns, so that a busy moment meets all of
them; what counts is the best round of each.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Long enough that reading the clock costs nothing, short enough that an interruption spoils one sample, not all.
_BATCH_S = 0.002


@dataclass(frozen=True)
class Contest:
    """How long a round of one thing takes, and how many there are."""

    rounds: int = 7
    round_s: float = 0.4

    def best(self, things: Mapping[str, Callable[[float], float]]) -> dict[str, float]:
        """Name -> seconds once. Each thing takes the seconds of a round and returns the median of it."""
        medians: dict[str, list[float]] = {name: [] for name in things}
        for _ in range(self.rounds):
            for name, measured in things.items():
                medians[name].append(measured(self.round_s))
        return {name: min(found) for name, found in medians.items()}


def timed(function: Callable[[], object]) -> Callable[[float], float]:
    """What measures `function` for a while: the median of batches, in seconds once. The first calls warm it up."""

    def measure(seconds: float) -> float:
        for _ in range(3):
            function()
        times = max(1, round(_BATCH_S / max(_batch(function, 3), 1e-9)))
        samples: list[float] = []
        until = time.perf_counter() + seconds
        while not samples or time.perf_counter() < until:
            samples.append(_batch(function, times))
        return statistics.median(samples)

    return measure


def _batch(function: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times
