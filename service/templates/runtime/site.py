"""The installation's own values, which every template may print: `{{ site.phone }}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The name of these values in templates; a variable that a template declares under this name hides them.
SITE = "site"
#: Every template may print it, whether or not the repository declares any values.
PHONE = "phone"

_DIGIT = re.compile(r"\d")
#: Letters and signs that stand for digits to come, as in +229-XXXXX; a number's own words are few: ext., poste.
_FILLER = re.compile(r"[xX]{2}|[xX][ .-][xX]|[?_#*<>…]|\.\.")
_FEWEST_DIGITS = 6
#: Words that hold the place of any other value.
_TO_DO = re.compile(r"\b(to-?do|tbd|fixme|change-?me|x{3,})\b|à compléter|<[^<>]*>|…|\.\.\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Site:
    """The values by name, as templates see them."""

    values: Mapping[str, str] = field(default_factory=dict)

    def over(self, other: "Site") -> "Site":
        """These values, and those of `other` that are missing here."""
        return Site({**other.values, **self.values})


#: An installation that sets none of them.
NO_SITE = Site()


def is_placeholder(name: str, value: str) -> bool:
    """Whether a value only holds the place of one: +229-XXXXX, +229 00 00 00 00, à compléter, TODO."""
    if PHONE not in name.lower():
        return _TO_DO.search(value) is not None
    digits = _DIGIT.findall(value)
    return len(digits) < _FEWEST_DIGITS or len(set(digits[-_FEWEST_DIGITS:])) == 1 or _FILLER.search(value) is not None
