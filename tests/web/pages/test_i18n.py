"""Phrases in two languages: plurals, and what their forms fall back to."""

from zoneinfo import ZoneInfo

import pytest

from service.web.pages.i18n import LANGUAGES, Languages, read_phrases


@pytest.mark.parametrize("code", LANGUAGES)
def test_phrases_with_plurals_are_said_for_every_count(code: str) -> None:
    language = Languages(ZoneInfo("Africa/Porto-Novo")).named(code)
    plurals = {key: words for key, phrase in read_phrases().items() if not isinstance(words := phrase[code], str)}
    counted = [key for key, words in plurals.items() if "{count}" in words["other"] and words["other"].count("{") == 1]
    assert counted
    for key in counted:
        for count in (0, 2, 999_999, 1_000_000, 1_000_001, 2_000_000, 10**9):
            assert language.number(count) in language.say(key, count=count)
