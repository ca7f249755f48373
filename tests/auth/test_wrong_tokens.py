"""Wrong tokens are answered ever later, by address, and remembered within bounds."""

import pytest

from service.auth.wrong_tokens import FORGOTTEN_AFTER, FREE_ATTEMPTS, MAX_ADDRESSES, WrongTokens
from service.errors import NotAuthenticated, TooManyAttempts
from tests.support.scripted import Clock


def waits(wrong_tokens: WrongTokens, client: str, count: int) -> list[int]:
    """How long each of so many wrong tokens is told to wait, in seconds."""
    errors = [wrong_tokens.refusal(client, "Unknown.") for _ in range(count)]
    return [error.retry_after_s if isinstance(error, TooManyAttempts) else 0 for error in errors]


def test_wrong_tokens_wait_longer_each_time_after_the_first_ten(clock: Clock) -> None:
    wrong_tokens = WrongTokens(clock)
    assert waits(wrong_tokens, "1.2.3.4", FREE_ATTEMPTS) == [0] * FREE_ATTEMPTS
    assert waits(wrong_tokens, "1.2.3.4", 12) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert waits(wrong_tokens, "1.2.3.4", 10_000)[-1] == 300


def test_wrong_tokens_of_one_address_slow_no_other(clock: Clock) -> None:
    wrong_tokens = WrongTokens(clock)
    waits(wrong_tokens, "1.2.3.4", 100)
    assert waits(wrong_tokens, "5.6.7.8", 1) == [0]


def test_wrong_tokens_are_forgotten_after_a_pause(clock: Clock) -> None:
    wrong_tokens = WrongTokens(clock)
    waits(wrong_tokens, "1.2.3.4", 100)
    clock.forward(seconds=FORGOTTEN_AFTER.total_seconds() - 1)
    assert waits(wrong_tokens, "1.2.3.4", 1) == [300]
    clock.forward(seconds=FORGOTTEN_AFTER.total_seconds())
    assert waits(wrong_tokens, "1.2.3.4", 1) == [0]


def test_wrong_tokens_of_many_addresses_are_remembered_up_to_a_bound(clock: Clock) -> None:
    wrong_tokens = WrongTokens(clock)
    waits(wrong_tokens, "first", FREE_ATTEMPTS)
    waits(wrong_tokens, "second", FREE_ATTEMPTS)
    for number in range(MAX_ADDRESSES - 2):
        wrong_tokens.refusal(f"other-{number}", "Unknown.")
    assert waits(wrong_tokens, "second", 1) == [1]
    wrong_tokens.refusal("one more", "Unknown.")  # for which the one that was silent longest is forgotten
    assert waits(wrong_tokens, "first", 1) == [0]


@pytest.mark.parametrize("count", [1, FREE_ATTEMPTS + 1])
def test_wrong_token_is_told_why_it_is_refused(clock: Clock, count: int) -> None:
    wrong_tokens = WrongTokens(clock)
    errors = [wrong_tokens.refusal("1.2.3.4", "This key is unknown.") for _ in range(count)]
    assert isinstance(errors[0], NotAuthenticated)
    assert all(str(error).startswith("This key is unknown.") for error in errors)
