"""Panes of a report: a mail before, after, and its difference, put together from rows of two pictures.

A picture of the mail before is not kept: it is the one after, with other rows in its bands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from service.templates.diff.album import OLD_MARGIN_PX, Band, Pictures

Mark = Literal["same", "changed", "out", "in"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of a picture, `uri`, from its row `top`, that stand at `y` of a pane.

    `mark` says what they are; `left` and `width` are the columns that differ.
    """

    uri: str
    picture_height: int
    top: int
    height: int
    y: int
    mark: Mark
    left: int
    width: int


@dataclass(frozen=True, slots=True)
class Pane:
    """A picture made of segments, one below the other."""

    width: int
    height: int
    segments: Sequence[Segment]


def pane_before(pictures: Pictures) -> Pane | None:
    """The mail before; None where it was not there."""
    return _pane(pictures, _rows_before(pictures)) if pictures.has_before else None


def pane_after(pictures: Pictures) -> Pane | None:
    """The mail after; None where it is gone."""
    after = pictures.after
    return _pane(pictures, [_Rows(False, 0, after.height, "same")]) if after is not None else None


def pane_difference(pictures: Pictures) -> Pane | None:
    """What changes: changed rows are marked, rows that go stand above those that come. None where nothing does."""
    if not (pictures.has_before and pictures.has_after and pictures.bands):
        return None
    return _pane(pictures, _rows_of_both(pictures))


def differs_elsewhere(pictures: Pictures, other: Pictures) -> bool:
    """Whether something of the mail after differs here and, at that place, not in the other view of one width."""

    def overlap(one: Band, another: Band) -> bool:
        is_in_rows = one.after[0] < another.after[1] and another.after[0] < one.after[1]
        return is_in_rows and one.left < another.right and another.left < one.right

    return any(
        band.after[0] < band.after[1] and not any(overlap(band, one) for one in other.bands) for band in pictures.bands
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    is_old: bool
    top: int
    height: int
    mark: Mark
    left: int = 0
    right: int | None = None


def _rows_before(pictures: Pictures) -> Iterator[_Rows]:
    row = old = 0
    for band in pictures.bands:
        yield _Rows(False, row, band.after[0] - row, "same")
        height = band.before[1] - band.before[0]
        yield _Rows(True, old + OLD_MARGIN_PX, height, "same")
        row, old = band.after[1], old + _packed(height)
    if pictures.after is not None:
        yield _Rows(False, row, pictures.after.height - row, "same")


def _rows_of_both(pictures: Pictures) -> Iterator[_Rows]:
    row = old = 0
    for band in pictures.bands:
        yield _Rows(False, row, band.after[0] - row, "same")
        gone, come = band.before[1] - band.before[0], band.after[1] - band.after[0]
        if gone == come:
            yield _Rows(False, band.after[0], come, "changed", band.left, band.right)
        else:
            yield _Rows(True, old + OLD_MARGIN_PX, gone, "out")
            yield _Rows(False, band.after[0], come, "in")
        row, old = band.after[1], old + _packed(gone)
    if pictures.after is not None:
        yield _Rows(False, row, pictures.after.height - row, "same")


def _packed(height: int) -> int:
    """The rows that a strip takes in the picture of old rows."""
    return height + 2 * OLD_MARGIN_PX if height else 0


def _pane(pictures: Pictures, rows: Iterator[_Rows] | Sequence[_Rows]) -> Pane:
    segments: list[Segment] = []
    y = width = 0
    for one in rows:
        picture = pictures.old if one.is_old else pictures.after
        if picture is None or one.height <= 0:
            continue
        width = picture.width
        right = width if one.right is None else one.right
        segments.append(
            Segment(picture.uri, picture.height, one.top, one.height, y, one.mark, one.left, right - one.left)
        )
        y += one.height
    return Pane(width, y, segments)
