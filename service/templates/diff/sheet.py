"""A page with a mail before and after in each width, side by side: one capture shows all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_HEIGHT_PX = 6_000
#: Frames have the origin of their page, so that they can be written to and measured; none runs a script or fetches.
_FRAME = '<iframe sandbox="allow-same-origin" scrolling="no" style="left: {left}px; width: {width}px"></iframe>'
_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none';
 img-src data:; font-src data:; style-src 'unsafe-inline'"><style>body {{ margin: 0 }}
iframe {{ position: absolute; top: 0; border: 0 }}</style>{}"""
#: Writes a document into each frame, which takes a third of the time that loading it would.
WRITE = """documents => document.querySelectorAll("iframe").forEach(({ contentDocument }, index) => {
  contentDocument.open();
  contentDocument.write(documents[index]);
  contentDocument.close();
})"""
IS_LOADED = """() => [...document.querySelectorAll("iframe")].every(
  frame => frame.contentDocument.readyState === "complete")"""
#: Makes each frame as high as its mail, and returns the heights.
MEASURE = """lowest => [...document.querySelectorAll("iframe")].map(frame => {
  frame.style.height = `${lowest}px`;
  const { documentElement, body } = frame.contentDocument;
  const height = Math.max(documentElement?.scrollHeight ?? 0, body?.scrollHeight ?? 0);
  frame.style.height = `${height}px`;
  return height;
})"""


class Box(NamedTuple):
    """Where a pair of mails of one width is on a sheet; a height of 0 is a side that has no such mail."""

    width: int
    left_before: int
    height_before: int
    left_after: int
    height_after: int

    @property
    def bottom(self) -> int:
        """The row below both."""
        return max(self.height_before, self.height_after)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page with a mail before and after, side by side, in each width: one capture shows all of them."""

    widths: Sequence[int]

    @property
    def width(self) -> int:
        """The width of all together."""
        return 2 * sum(self.widths)

    def markup(self) -> str:
        """The page, with two empty frames for each width."""
        lefts = [sum(self.widths[:number]) * 2 for number in range(len(self.widths))]
        frames = [
            _FRAME.format(left=left + side * width, width=width)
            for left, width in zip(lefts, self.widths, strict=True)
            for side in (0, 1)
        ]
        return _PAGE.format("".join(frames))

    def boxes(self, heights: Sequence[int], sides: tuple[str | None, str | None]) -> list[Box]:
        """Where the pairs are, by the heights of the frames."""
        boxes, left = [], 0
        for number, width in enumerate(self.widths):
            before, after = (
                0 if side is None else max(1, min(height, MAX_HEIGHT_PX))
                for side, height in zip(sides, heights[2 * number :], strict=False)
            )
            boxes.append(Box(width, left, before, left + width, after))
            left += 2 * width
        return boxes
