"""Counts -> bars of an SVG that is drawn on the server. A table with the same figures stands beside each chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.messages.search import Bucket
from service.web.pages.i18n import Language

WIDTH, HEIGHT = 960, 150


@dataclass(frozen=True, slots=True)
class Bar:
    """One period: its place and heights in units of the picture, and what they stand for."""

    x: float
    width: float
    height: float
    trouble_height: float
    tally: Bucket
    label: str

    @property
    def y(self) -> float:
        """The top edge of the bar in the drawing."""
        return HEIGHT - self.height

    @property
    def trouble_y(self) -> float:
        """The top edge of the bar's failed share in the drawing."""
        return HEIGHT - self.trouble_height


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars; `most` is the count of the highest."""

    bars: Sequence[Bar]
    most: int
    total: int


def days_before(now: datetime, days: int, language: Language) -> list[datetime]:
    """The edges of the last days, today included, by the clocks that the page shows."""
    today = language.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    # Each by itself: where clocks change, a day is not 24 hours.
    return [(today + timedelta(days=n)).astimezone(now.tzinfo) for n in range(1 - days, 2)]


def chart(tallies: Sequence[Bucket], language: Language) -> Chart:
    """Bars side by side, the highest as high as the picture."""
    most = max((tally.total for tally in tallies), default=0)
    step = WIDTH / max(len(tallies), 1)
    bars = [
        Bar(
            x=round(n * step + step * 0.1, 1),
            width=round(step * 0.8, 1),
            height=_height(tally.total, most),
            trouble_height=_height(tally.trouble, most),
            tally=tally,
            label=language.day(tally.begins_at),
        )
        for n, tally in enumerate(tallies)
    ]
    return Chart(bars, most, sum(tally.total for tally in tallies))


def _height(count: int, most: int) -> float:
    """Whatever is there can be seen."""
    return max(round(count / most * (HEIGHT - 14), 1), 2.0) if count else 0.0
