"""The mails that a report shows, and what a picture of one holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from service.templates.diff.comparison import Comparison, MailDiff
from service.templates.mails import Mail, RenderedMail

#: More mails are named in a report, and not shown.
MAX_PICTURED = 200
#: As in markup/compare.js.
OLD_MARGIN_PX = 8
Scheme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class View:
    """A width of the window in CSS pixels, and the colour scheme that it prefers."""

    width: int
    scheme: Scheme


#: The widest is that of mail programs on a desk, the other that of a small telephone.
VIEWS = (View(600, "light"), View(375, "light"), View(600, "dark"), View(375, "dark"))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Band:
    """Rows that differ: those of before, those of after, from row to row, and the columns from left to right."""

    before: tuple[int, int]
    after: tuple[int, int]
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """A mail in one view, after and before; `failure` says why there is nothing to see.

    Before is kept as its difference from after: `old` are the rows that only it has, those of all bands one below the
    other, each with OLD_MARGIN_PX of its surroundings above and below. `has_before` and `has_after`: that side has the
    mail. `is_cut`: it goes on below the picture.
    """

    after: Picture | None = None
    old: Picture | None = None
    bands: Sequence[Band] = ()
    has_before: bool = True
    has_after: bool = True
    is_cut: bool = False
    failure: str | None = None


Album = Mapping[tuple[Mail, View], Pictures]


def pictured(comparison: Comparison) -> list[MailDiff]:
    """The mails that are shown: those whose HTML differs, in the order of the report."""
    return [one for template in comparison.templates for one in template.mails if is_pictured(one)][:MAX_PICTURED]


def is_pictured(one: MailDiff) -> bool:
    """Whether a mail has HTML that differs."""
    return "html" in one.report.parts and bool(html_of(one.before) or html_of(one.after))


def html_of(one: RenderedMail | None) -> str | None:
    """The HTML of a side; None where that side has no such mail, or it can't be rendered."""
    return one.rendered.html if one is not None and one.rendered is not None else None
