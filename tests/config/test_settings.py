"""What single settings accept."""

import pydantic
import pytest

from service.config.settings import Settings


@pytest.mark.parametrize("name", ["Africa/Porto-Novo", "UTC", "America/Argentina/Buenos_Aires"])
def test_timezone_is_taken_when_it_is_an_iana_name(name: str) -> None:
    assert Settings(email_timezone=name).timezone.key == name


@pytest.mark.parametrize("name", ["", "Africa", "Porto-Novo", "../UTC", "/etc/passwd", "UTC/", "a\0b", "é"])
def test_timezone_is_refused_when_there_is_none_of_that_name(name: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="write an IANA name"):
        Settings(email_timezone=name)
