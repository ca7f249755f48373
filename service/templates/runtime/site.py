"""The installation's own values, which every template may print: `{{ site.phone }}`."""

import re
from dataclasses import asdict, dataclass

#: The name of these values in templates; a variable that a template declares under this name hides them.
SITE = "site"
#: Stands among the variables that a template uses where it uses these values; no variable can be named so.
SITE_USE = "{{ site }}"

_DIGIT = re.compile(r"\d")
#: Letters and signs that stand for digits to come, as in +229-XXXXX; a number's own words are few: ext., poste.
_FILLER = re.compile(r"[xX]{2}|[xX][ .-][xX]|[?_#*<>…]|\.\.")
_FEWEST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Site:
    """The values. `phone` is the number of the support, "" where it is not set."""

    phone: str = ""

    def values(self) -> dict[str, str]:
        """The values by name, as templates see them."""
        return asdict(self)

    def complaint(self, name: str) -> str | None:
        """Why this value must not go to customers; None for one that may, and for an unknown name."""
        value = self.values().get(name)
        if value == "":
            return f"{SITE}.{name} is not set: mails go without it"
        return f'{SITE}.{name} is "{value}", a placeholder' if value and is_placeholder(value) else None


#: An installation that sets none of them.
NO_SITE = Site()


def is_placeholder(phone: str) -> bool:
    """Whether a telephone number only holds the place of one: +229-XXXXX, +229 00 00 00 00, à compléter."""
    digits = _DIGIT.findall(phone)
    return len(digits) < _FEWEST_DIGITS or len(set(digits[-_FEWEST_DIGITS:])) == 1 or _FILLER.search(phone) is not None
