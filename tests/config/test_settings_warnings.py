"""Warnings about settings that work and should be changed."""

import pytest

from service.config.environment import weaknesses
from service.config.settings import Settings


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, False),  # mail goes nowhere
        ({"smtp_host": "mail.rgz.bj"}, True),
        ({"smtp_host": "mail.rgz.bj", "email_public_url": "https://mail.rgz.bj"}, False),
    ],
    ids=str,
)
def test_public_url_that_mail_programs_do_not_click_is_warned_of(changes: dict[str, str], warned: bool) -> None:
    told = weaknesses(Settings().with_changes(**changes))
    assert any("EMAIL_PUBLIC_URL" in warning for warning in told) is warned


@pytest.mark.parametrize(
    "url", ["ftp://x", "https://x.example/a b", "https://x.example/?q=1", "https://é.example", "x"]
)
def test_public_url_fits_into_a_header(url: str) -> None:
    with pytest.raises(ValueError):
        Settings().with_changes(email_public_url=url)
