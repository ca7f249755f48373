"""The secret key: its versions, the keys derived from them, and the file that holds them."""

from pathlib import Path

import pytest

from service.config.secret_key import KeyNotUnwrapped, Purpose, SecretVersion, secret_key
from service.config.secrets import previous_of, read_secret_key, rotate_secret_key_file
from service.config.settings import Settings
from service.errors import ConfigurationError


def texts(settings: Settings, data: Path) -> list[str]:
    return [version.text for version in read_secret_key(settings, data).versions]


def set_to(secret: str | None, previous: str | None = None) -> Settings:
    return Settings().with_changes(email_secret_key=secret, email_secret_key_previous=previous)


def test_derived_keys_are_those_of_hkdf_with_sha256() -> None:
    """Worked out by RFC 5869, 2.2 and 2.3, with the standard library's HMAC: they must never change."""
    version = SecretVersion("a secret of these tests")
    assert version.key(Purpose.RETURN_PATH).hex() == "9b8082019331a031c4d67e09624b363a02516ced2a1b10f82095070962d493ab"
    assert version.key(Purpose.UNSUBSCRIBE).hex() == "2e9d03a5d096f75105437cec7b7bc87e55fd533f4dd939156c99af460a8bf1f9"
    assert version.fingerprint == "f6fa5d9dd5359ced1eb53959d73eea17"


def test_derived_keys_differ_by_purpose_and_version() -> None:
    versions = [SecretVersion(text) for text in ("one", "two")]
    keys = {version.key(purpose) for version in versions for purpose in Purpose}
    assert len(keys) == 2 * len(Purpose)
    assert not keys & {version.undivided for version in versions}


def test_signing_keys_begin_with_the_newest_and_end_with_the_undivided() -> None:
    key = secret_key(["new", "old"])
    new, old = key.versions
    keys = key.signing_keys(Purpose.UNSUBSCRIBE)
    assert keys.newest == new.key(Purpose.UNSUBSCRIBE)
    assert keys.accepted == (keys.newest, old.key(Purpose.UNSUBSCRIBE), b"new", b"old")


@pytest.mark.parametrize("key", [b"k", b"undivided key of v0.1", bytes(32), b"k" * 500])
def test_wrapped_key_is_unwrapped_by_its_version_alone(key: bytes) -> None:
    wrapped = SecretVersion("one").wrap(key)
    assert SecretVersion("one").unwrap(wrapped) == key
    assert len(key) < 8 or key not in wrapped
    for other, changed in (("two", wrapped), ("one", wrapped[:-1] + bytes([wrapped[-1] ^ 1])), ("one", b"")):
        with pytest.raises(KeyNotUnwrapped):
            SecretVersion(other).unwrap(changed)


def test_secrets_are_not_in_their_objects_texts() -> None:
    key = secret_key(["hidden-1", "hidden-2"])
    assert "hidden" not in f"{key} {key!r} {key.signing_keys(Purpose.UNSUBSCRIBE)!r}"


@pytest.mark.parametrize(
    ("secret", "previous", "wanted"),
    [
        ("new", None, ["new"]),
        ("new", "old", ["new", "old"]),
        ("new", "old, older,,", ["new", "old", "older", "old, older,,"]),
        ("new", "old,new\nolder\n", ["new", "old,new", "older"]),
        ("a, b with blanks ", None, ["a, b with blanks "]),
        ("new\nold\n", "older", ["new", "old", "older"]),
        ("new\n", None, ["new\n"]),
    ],
)
def test_versions_are_those_of_the_settings_newest_first(
    secret: str, previous: str | None, wanted: list[str], tmp_path: Path
) -> None:
    assert texts(set_to(secret, previous), tmp_path) == wanted
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("secret", "previous", "wanted"),
    [
        ("old", None, ["old"]),
        ("old", "older,oldest", ["old", "older", "oldest"]),
        ("a,b", None, ["a,b"]),
        ("a,b", "older,oldest", ["a,b", "older", "oldest"]),
        ("old", "a,b\nolder", ["old", "a,b", "older"]),
    ],
)
def test_previous_versions_that_are_to_be_set_hold_every_version(
    secret: str, previous: str | None, wanted: list[str], tmp_path: Path
) -> None:
    found = texts(set_to("new", previous_of(set_to(secret, previous))), tmp_path)
    assert [text for text in found if text in wanted] == wanted
    assert found[0] == "new"


def test_secret_key_file_is_made_once_and_grows_by_rotation(tmp_path: Path) -> None:
    [first] = texts(set_to(None), tmp_path)
    assert texts(set_to(None), tmp_path) == [first]
    file = rotate_secret_key_file(tmp_path)
    second, *older = texts(set_to(None, "from elsewhere"), tmp_path)
    assert older == [first, "from elsewhere"]
    assert len(second) >= 43
    rotate_secret_key_file(tmp_path)
    assert texts(set_to(None), tmp_path)[1:] == [second, first]
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"secret-key", "secret-key.lock"}


def test_secret_key_file_without_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("\n \n")
    with pytest.raises(ConfigurationError, match="is empty"):
        texts(set_to(None), tmp_path)
