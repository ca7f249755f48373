"""Bar charts of message counts, drawn as SVG on the server; the page adds a table with the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.messages.search import Bucket
from service.web.pages.i18n import Language

WIDTH, HEIGHT = 960, 150


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its position and heights in units of the drawing, with the counts and the label of its period."""

    x: float
    width: float
    height: float
    trouble_height: float
    bucket: Bucket
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
    """A bar chart; `most` is the count of the highest bar."""

    bars: Sequence[Bar]
    most: int
    total: int


def days_before(now: datetime, days: int, language: Language) -> list[datetime]:
    """Return the boundaries of the last days, including today, in the time zone of the page."""
    today = language.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    # Computed per day: when clocks change, a day does not have 24 hours.
    return [(today + timedelta(days=n)).astimezone(now.tzinfo) for n in range(1 - days, 2)]


def chart(buckets: Sequence[Bucket], language: Language) -> Chart:
    """Build a chart whose highest bar is as high as the drawing."""
    most = max((bucket.total for bucket in buckets), default=0)
    step = WIDTH / max(len(buckets), 1)
    bars = [
        Bar(
            x=round(n * step + step * 0.1, 1),
            width=round(step * 0.8, 1),
            height=_height(bucket.total, most),
            trouble_height=_height(bucket.trouble, most),
            bucket=bucket,
            label=language.day(bucket.begins_at),
        )
        for n, bucket in enumerate(buckets)
    ]
    return Chart(bars, most, sum(bucket.total for bucket in buckets))


def _height(count: int, most: int) -> float:
    """Return the height of a bar; a count above 0 is at least 2 units high, so that it is visible."""
    return max(round(count / most * (HEIGHT - 14), 1), 2.0) if count else 0.0
