"""A token or key that can be guessed is refused where mail goes to a real server."""

import secrets

import pytest

from service.config.environment import load, weaknesses
from service.config.settings import Settings
from service.config.weak_secrets import weakness
from service.errors import ConfigurationError
from tests.support.running import ADMIN_TOKEN

WEAK = [
    "x", "changeme", "a" * 64, "abcabcabcabcabcabcabcabcabcabc", "0123456789" * 3, "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba", "changeme-changeme-changeme-2026", "Password!Password!Password!", "CHANGE_ME_" * 4,
    "your-secret-key-change-me!!", "qwertyuiopazertyuiop123456", "0123456789abcdef0123456789abcdef", "x1" * 12,
    "a1b2c3d4a1b2c3d4a1b2c3d4a1b", "Rk2vX9hQeT7bNw4sLc8mZp1",
]  # fmt: skip


@pytest.mark.parametrize("text", WEAK)
def test_secret_that_can_be_guessed_is_weak(text: str) -> None:
    assert weakness(text) is not None


def test_secret_of_random_bits_is_strong() -> None:
    for _ in range(2_000):
        for text in (secrets.token_urlsafe(24), secrets.token_hex(16), secrets.token_urlsafe(32)):
            assert weakness(text) is None, text
    assert weakness(ADMIN_TOKEN) is None
    assert weakness("x" * 1_000_000) is not None


@pytest.mark.parametrize("name", ["EMAIL_ADMIN_TOKEN", "EMAIL_SECRET_KEY"])
def test_weak_secret_is_refused_with_smtp_host_and_warned_of_without(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({name: "changeme", "SMTP_HOST": "mail.example"})
    assert f"{name} is shorter than 24 characters" in str(caught.value)
    assert "changeme" not in str(caught.value)
    assert any(name in warning for warning in weaknesses(load({name: "changeme"})))


def test_secret_key_with_a_weak_version_is_refused() -> None:
    strong = secrets.token_urlsafe(32)
    with pytest.raises(ValueError, match="EMAIL_SECRET_KEY"):
        Settings().with_changes(smtp_host="mail.example", email_secret_key=f"{strong}\nchangeme")
    Settings().with_changes(smtp_host="mail.example", email_secret_key=f"{strong}\n{secrets.token_urlsafe(32)}\n")
