"""Signed return paths name the message that came back."""

import string
from collections.abc import Callable, Iterable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config.environment import load
from service.config.settings import Settings
from service.errors import ConfigurationError
from service.mail import return_path

KEY = b"key-of-the-tests"
ID = "01932f6e-7b1c-7c3a-9f00-0123456789ab"


def find(texts: Iterable[str], *, key: bytes) -> str | None:
    return return_path.verified(return_path.codes_in(texts), keys=[key])


def test_return_path_names_its_message() -> None:
    address = return_path.signed("bounces@mail.rgz.bj", ID, key=KEY)
    assert address.startswith("bounces+")
    assert address.endswith("@mail.rgz.bj")
    assert find([f"To: <{address}>"], key=KEY) == ID


@given(st.uuids(), st.sampled_from([str.upper, str.lower, str.title]))
def test_return_path_survives_a_server_that_changes_its_case(uuid: UUID, change: Callable[[str], str]) -> None:
    address = return_path.signed("b@x.example", str(uuid), key=KEY)
    assert find([change(address)], key=KEY) == str(uuid)


def test_return_path_stays_within_what_smtp_allows() -> None:
    longest = "b" * return_path.MAX_NAME_LENGTH
    local = return_path.signed(f"{longest}@x.example", ID, key=KEY).partition("@")[0]
    assert len(local) == 64


def test_return_path_that_was_changed_is_not_ours() -> None:
    code = return_path.signed("b@x.example", ID, key=KEY).partition("@")[0].removeprefix("b+")
    ids = set()
    for place in range(len(code)):
        for letter in string.ascii_lowercase[:26] + "234567":
            if letter != code[place]:
                changed = code[:place] + letter + code[place + 1 :]
                ids.add(find([f"b+{changed}@x.example"], key=KEY))
    # The last letters of both halves have spare bits: what they change there is no other message.
    assert ids <= {None, ID}


@pytest.mark.parametrize("key", [b"", b"another key", KEY + b"\0"])
def test_return_path_of_another_key_is_not_ours(key: bytes) -> None:
    assert find([return_path.signed("b@x.example", ID, key=b"theirs")], key=key) is None


def test_return_path_is_found_after_its_address_was_set_otherwise() -> None:
    old = return_path.signed("old@before.example", ID, key=KEY)
    assert find(["nobody@x.example", f"for <{old}>; Thu"], key=KEY) == ID


@pytest.mark.parametrize("before", ["SRS0=x1Yz=Q7=x.example=", "prvs=1234ab56cd=", "SRS1+a+b.example++h+c+"])
def test_return_path_is_found_behind_what_relays_add(before: str) -> None:
    """Sender rewriting and bounce tags stand before the local part that they change."""
    address = return_path.signed("bounces@mail.rgz.bj", ID, key=KEY)
    assert find([f"<{before}{address}>"], key=KEY) == ID


def test_return_path_that_comes_first_counts() -> None:
    other = "01932f6e-7b1c-7c3a-9f00-ffffffffffff"
    paths = [return_path.signed("b@x.example", one, key=KEY) for one in (ID, other)]
    assert find(paths, key=KEY) == ID
    assert find([f"{paths[1]}, {paths[0]}"], key=KEY) == other


def test_return_path_search_ends_whatever_the_text() -> None:
    assert find(["a" * 1_000_000, ("a" * 42 + "@") * 20_000], key=KEY) is None


@pytest.mark.parametrize("address", ["no address", "ü@x.example", "b" * 22 + "@x.example"])
def test_bounce_address_that_nothing_can_be_added_to_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^EMAIL_BOUNCE_ADDRESS: "):
        load({"EMAIL_BOUNCE_ADDRESS": address})


def test_bounce_mailbox_without_a_user_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError) as refused:
        load({"EMAIL_INBOX_HOST": "mail.rgz.bj", "EMAIL_BOUNCE_ADDRESS": "b@rgz.bj"})
    assert refused.value.problems == (
        "EMAIL_INBOX_HOST is of no use without EMAIL_INBOX_USER and EMAIL_INBOX_PASSWORD",
    )


def test_bounces_return_to_the_sender_without_a_bounce_address() -> None:
    assert Settings().envelope_from(ID, key=KEY) == "noreply@rgz.bj"


@pytest.mark.parametrize("letter", ["ſ", "K", "0", "=", "é"])
def test_return_path_with_letters_that_merely_look_like_base32_is_not_ours(letter: str) -> None:
    assert find([f"b+{letter * 42}@x.example"], key=KEY) is None
    assert return_path.verified([letter * 42, "", letter], keys=[KEY]) is None


#: Made by v0.1 for the message with the second value as its id.
V01_KEY = b"a v0.1 secret, undivided"
V01 = ("bounces+agm4fk34abyabaaaaaaaaaaaviinml7nupyd6llpwn@mail.rgz.bj", "0199c2ab-7c00-7000-8000-0000000000aa")


@pytest.mark.parametrize("keys", [[V01_KEY], [b"new", V01_KEY], [b"newer", b"new", V01_KEY]])
def test_return_path_of_v01_is_accepted_beside_newer_keys(keys: list[bytes]) -> None:
    assert return_path.verified(return_path.codes_in([V01[0]]), keys=keys) == V01[1]
    assert return_path.verified(return_path.codes_in([V01[0]]), keys=[b"new"]) is None
