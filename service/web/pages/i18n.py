"""Phrases of the pages, and formats of numbers and times, in English and French.

`translations/*.yaml` hold the phrases, one file per area, both languages side by side:

messages.found:
  en: {one: "{count} message", other: "{count} messages"}
  fr: {one: "{count} message", other: "{count} messages"}
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from babel import Locale, dates, numbers

LANGUAGES = ("en", "fr")
_TRANSLATIONS = Path(__file__).parent / "translations"

Phrase = str | Mapping[str, str]


class Language:
    """A language: its phrases, and how it writes numbers, times and sizes."""

    def __init__(self, code: str, phrases: Mapping[str, Phrase], zone: ZoneInfo) -> None:
        self.code = code
        self._phrases = phrases
        self._zone = zone
        self._locale = Locale.parse("en_GB" if code == "en" else code)

    def say(self, key: str, /, **values: Any) -> str:
        """Return the phrase with its {placeholders} filled; `count` chooses the plural. Raises KeyError."""
        phrase = self._phrases[key]
        if not isinstance(phrase, str):
            # Other forms than ours, such as "many" for whole millions in French (CLDR 38), read like "other" in digits.
            form = self._locale.plural_form(values["count"]) if "count" in values else "other"
            phrase = phrase.get(form, phrase["other"])
        shown = {name: self.number(value) if isinstance(value, int) else value for name, value in values.items()}
        return phrase.format_map(shown) if values else phrase

    def has(self, key: str) -> bool:
        """True if there is a phrase with this key."""
        return key in self._phrases

    def name_of(self, group: str, value: str) -> str:
        """Return the phrase for a value of a closed list, such as a state; the value itself if it has none."""
        phrase = self._phrases.get(f"{group}.{value}", value)
        return phrase if isinstance(phrase, str) else phrase["other"]

    def number(self, value: float) -> str:
        """A number with the digit groups of the language."""
        return str(numbers.format_decimal(value, locale=self._locale))

    def percent(self, share: float) -> str:
        """0.031 -> "3.1%"."""
        return str(numbers.format_percent(share, format="0.#\N{NO-BREAK SPACE}%" if self.code == "fr" else "0.#%",
                                          locale=self._locale))  # fmt: skip

    def size(self, size_bytes: int) -> str:
        """Format a size in bytes, KiB or MiB."""
        if size_bytes < 1024:
            return self.say("size.bytes", count=size_bytes)
        unit, shown = "size.kib", size_bytes / 1024
        if shown >= 1024:
            unit, shown = "size.mib", shown / 1024
        return self.say(unit, size=self.number(round(shown, 1 if shown < 10 else 0)))

    def duration(self, seconds: float) -> str:
        """Format a duration in its one or two largest units."""
        left = max(round(seconds), 0)
        parts = []
        for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
            count, left = divmod(left, length)
            if count:
                parts.append(self.say(f"duration.{unit}", count=count))
            if len(parts) == 2:
                break
        return " ".join(parts) or self.say("duration.second", count=0)

    def day(self, at: datetime) -> str:
        """A date in the display time zone, such as "21 Feb 2026"."""
        return str(dates.format_date(self.local(at), format="medium", locale=self._locale))

    def time(self, at: datetime) -> str:
        """Format the time of day, to the second."""
        return f"{self.local(at):%H:%M:%S}"

    def moment(self, at: datetime) -> str:
        """Format day and time, to the second."""
        return f"{self.day(at)} {self.time(at)}"

    def local(self, at: datetime) -> datetime:
        """Convert a time to EMAIL_TIMEZONE."""
        return at.astimezone(self._zone)

    def on_clock(self, at: datetime) -> datetime:
        """Give a time without an offset that of EMAIL_TIMEZONE."""
        return at.replace(tzinfo=self._zone)

    def with_offset(self, text: str) -> str:
        """An ISO 8601 time of a form, which has no offset, with that of EMAIL_TIMEZONE; any other text as it is."""
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        return (at if at.tzinfo else self.on_clock(at)).isoformat()


class Languages:
    """Both languages, read once; `zone` is the time zone of all pages."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    @cached_property
    def _by_code(self) -> Mapping[str, Language]:
        words = read_phrases()
        return {
            code: Language(code, {key: phrase[code] for key, phrase in words.items()}, self._zone) for code in LANGUAGES
        }

    def named(self, code: str) -> Language:
        """The language of this code. Raises KeyError for an unknown one."""
        return self._by_code[code]

    def choose(self, wanted: str | None, accept_language: str) -> Language:
        """Return the language of the cookie, else the browser's choice of ours (RFC 9110, 12.5.4), else English."""
        if wanted in LANGUAGES:
            return self._by_code[wanted]
        ranked = sorted(map(_ranked, accept_language.split(",")), key=lambda pair: -pair[0])
        known = (code for quality, code in ranked if quality > 0 and code in LANGUAGES)
        return self._by_code[next(known, LANGUAGES[0])]


def read_phrases() -> dict[str, Mapping[str, Phrase]]:
    """Read all translations: key -> language -> phrase. Raises ValueError for a key that is in two files."""
    found: dict[str, Mapping[str, Phrase]] = {}
    for path in sorted(_TRANSLATIONS.glob("*.yaml")):
        words = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        if twice := found.keys() & words.keys():
            raise ValueError(f"{path.name}: {', '.join(sorted(twice))} is in another file already")
        found |= words
    return found


def _ranked(part: str) -> tuple[float, str]:
    name, _, parameters = part.partition(";")
    try:
        quality = float(parameters.strip().removeprefix("q=") or 1)
    except ValueError:
        quality = 0.0
    return quality, name.strip().lower().partition("-")[0]
