"""Measuring durations on a shared machine.

A round of one subject is a median over batches. The rounds of all subjects take turns, so that a busy moment slows all
of them, and the best round of each counts.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Long enough that reading the clock does not matter, short enough that an interruption spoils one sample alone.
_BATCH_S = 0.002


@dataclass(frozen=True)
class Contest:
    """Subjects measured in turns: the number of rounds, and the duration of one round of one subject."""

    rounds: int = 7
    round_s: float = 0.4

    def best(self, subjects: Mapping[str, Callable[[float], float]]) -> dict[str, float]:
        """Seconds of one call, by name. A subject takes the seconds of a round and returns its median (see `timed`)."""
        medians_s: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(self.rounds):
            for name, measure in subjects.items():
                medians_s[name].append(measure(self.round_s))
        return {name: min(of_one) for name, of_one in medians_s.items()}


def timed(function: Callable[[], object]) -> Callable[[float], float]:
    """A function that measures `function` for some seconds: median of batches, in seconds a call, after a warm-up."""

    def measure(seconds: float) -> float:
        for _ in range(3):
            function()
        times = max(1, round(_BATCH_S / max(_batch(function, 3), 1e-9)))
        samples: list[float] = []
        end_s = time.perf_counter() + seconds
        while not samples or time.perf_counter() < end_s:
            samples.append(_batch(function, times))
        return statistics.median(samples)

    return measure


def _batch(function: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times
