"""Backoff of a message and the circuit breaker of a relay."""

from random import Random

import pytest

from service.delivery.backoff import CircuitBreaker, backoff_s


class Clock:
    """Moves only when told."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_backoff_doubles_with_jitter_up_to_an_hour() -> None:
    chance = Random(1)
    for attempt, middle in [(1, 30), (2, 60), (3, 120), (4, 240)]:
        pauses = [backoff_s(attempt, greylisted=False, random=chance) for _ in range(200)]
        assert middle * 0.8 <= min(pauses) < max(pauses) <= middle * 1.2
        assert len(set(pauses)) > 100
    for attempt in (20, 1_000, 10**9):
        assert 1_200 < backoff_s(attempt, greylisted=False, random=chance) <= 3_600


@pytest.mark.parametrize("attempt", [0, 1, 2, 3, 10, 1_000])
def test_backoff_after_greylisting_is_five_minutes_at_least(attempt: int) -> None:
    chance = Random(attempt)
    assert all(300 <= backoff_s(attempt, greylisted=True, random=chance) <= 3_600 for _ in range(200))


def test_circuit_breaker_lets_all_attempts_through_until_one_fails() -> None:
    circuit = CircuitBreaker(Clock())
    assert [circuit.acquire() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert circuit.paused_for_s() == 0
    assert circuit.reason == ""


def test_circuit_breaker_allows_one_probe_after_a_pause_that_doubles_up_to_a_minute() -> None:
    clock = Clock()
    circuit = CircuitBreaker(clock)
    circuit.acquire()
    pauses = []
    for n in range(9):
        pauses.append(circuit.failed(f"reason {n}"))
        assert circuit.reason == f"reason {n}"
        assert circuit.acquire() == circuit.paused_for_s() == pauses[-1]
        clock.now += pauses[-1]
        assert circuit.paused_for_s() == 0
        assert circuit.acquire() == 0.0
        assert circuit.acquire() > 0
        assert circuit.paused_for_s() > 0
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    circuit.succeeded()
    assert circuit.acquire() == circuit.acquire() == 0.0
    assert circuit.failed("anew") == 1.0


def test_circuit_breaker_counts_concurrent_failures_once() -> None:
    clock = Clock()
    circuit = CircuitBreaker(clock)
    for _ in range(5):
        circuit.acquire()
    assert [circuit.failed("down") for _ in range(5)] == [1.0] * 5


def test_circuit_breaker_gives_the_place_of_a_released_probe_to_the_next() -> None:
    clock = Clock()
    circuit = CircuitBreaker(clock)
    circuit.failed("down")
    clock.now += 1
    assert circuit.acquire() == 0.0
    circuit.released()
    assert circuit.acquire() == 0.0
