"""Fairness of claims: which claims take bulk mail or retries first, so that urgent and new mail do not starve them."""

from collections.abc import Sequence

from service.models import Priority

#: Every 10th claim takes bulk mail first, so that it is not starved by urgent mail.
FAIR_EVERY = 10
#: Such a claim takes at most this many messages: urgent mail waits behind them.
FAIR_CLAIM = 20
#: Every 4th claim takes up to FAIR_CLAIM retries first, so that they are not starved by new mail.
TRIED_EVERY = 4


def is_fair_turn(turn: int) -> bool:
    """True for every 10th claim, which takes bulk mail first so that it is not starved."""
    return turn % FAIR_EVERY == FAIR_EVERY - 1


def claim_order(turn: int) -> Sequence[Priority]:
    """Priorities in the order in which this claim takes them: urgent first, but bulk first in every 10th claim."""
    return tuple(reversed(Priority)) if is_fair_turn(turn) else tuple(Priority)


def tried_first_of(turn: int) -> int:
    """How many retries this claim may take before new messages: 20 in every 4th claim, else none."""
    return FAIR_CLAIM if turn % TRIED_EVERY == TRIED_EVERY - 2 else 0
