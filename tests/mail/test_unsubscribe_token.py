"""Unsubscribe tokens: signed by the newest key, verified by each that is accepted."""

import pytest

from service.mail import unsubscribe_token
from service.mail.unsubscribe_token import TokenForged, Unsubscription

ANN = Unsubscription(
    "c8c71cf45378581e9799cbbd713ffc92d55edb6f34cba57d80690835f730723c", "0199c2ab-7c00-7000-8000-0000000000aa"
)
#: Made by v0.1.
V01_KEY = b"a v0.1 secret, undivided"
V01_TOKEN = "dTHIxxz0U3hYHpeZy71xP_yS1V7bbzTLpX2AaQg19zByPAGZwqt8AHAAgAAAAAAAAKr5PCXmtr93bN1ZqEFSb1X-"


@pytest.mark.parametrize("keys", [[V01_KEY], [b"new", V01_KEY], [b"newer", b"new", V01_KEY]])
def test_unsubscribe_token_of_v01_is_accepted_beside_newer_keys(keys: list[bytes]) -> None:
    assert unsubscribe_token.read(V01_TOKEN, keys=keys) == ANN


@pytest.mark.parametrize("keys", [[], [b"another"], [b"", b"another"]])
def test_unsubscribe_token_of_no_accepted_key_is_forged(keys: list[bytes]) -> None:
    with pytest.raises(TokenForged):
        unsubscribe_token.read(V01_TOKEN, keys=keys)


def test_unsubscribe_token_is_the_one_of_v01_with_the_same_key() -> None:
    assert unsubscribe_token.token(ANN, key=V01_KEY) == V01_TOKEN
