"""Boxes in text: two conventions, converted through the pixels of the picture as it lies on disk.

``relative_1000``: 0 to 1000 of width and height, whatever size the picture is shown at (Qwen3-VL).
``pixels``: absolute pixels of the picture *as it is shown*, after it was resized (Qwen2.5-VL).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mindgpt_data.schema.rows import BOX_CONVENTIONS

PATCH = 28
"""Qwen2.5-VL shows pictures in multiples of this many pixels (patch 14, merged 2 × 2)."""
LEAST_PIXELS = 4 * PATCH * PATCH
"""Smaller pictures are scaled up to this by its processor."""

_BOX = re.compile(r"\[\s*(-?\d+(?:\.\d+)?)" + r"\s*,\s*(-?\d+(?:\.\d+)?)" * 3 + r"\s*\]")


class BoxError(ValueError):
    """A box that cannot be read or does not lie in its picture."""


@dataclass(frozen=True)
class Frame:
    """Where coordinates live.

    Attributes:
        convention: one of :data:`~mindgpt_data.schema.rows.BOX_CONVENTIONS`.
        width: of the picture on disk, pixels.
        height: of the picture on disk, pixels.
        max_pixels: it is shown with at most this many.
    """

    convention: str
    width: int
    height: int
    max_pixels: int

    def __post_init__(self) -> None:
        if self.convention not in BOX_CONVENTIONS:
            raise BoxError(f"box convention {self.convention!r} is not one of {', '.join(BOX_CONVENTIONS)}")
        if min(self.width, self.height) < 1:
            raise BoxError(f"a picture of {self.width} × {self.height} pixels holds no boxes")

    @property
    def extent(self) -> tuple[int, int]:
        """Largest x and y in this convention."""
        if self.convention == "relative_1000":
            return 1000, 1000
        return shown_size(self.width, self.height, self.max_pixels)

    def write(self, box: Sequence[float]) -> list[int]:
        """Pixels of the picture on disk → whole numbers in this convention.

        Raises:
            BoxError: the box is empty or leaves the picture by more than a pixel.
        """
        check(box, self.width, self.height)
        x, y = self.extent
        scaled = [box[0] * x / self.width, box[1] * y / self.height, box[2] * x / self.width, box[3] * y / self.height]
        return [min(limit, max(0, round(v))) for v, limit in zip(scaled, (x, y, x, y), strict=True)]

    def read(self, box: Sequence[float]) -> list[float]:
        """This convention → pixels of the picture on disk.

        Raises:
            BoxError: the box is empty or leaves the picture by more than a unit.
        """
        x, y = self.extent
        check(box, x, y)
        return [box[0] * self.width / x, box[1] * self.height / y, box[2] * self.width / x, box[3] * self.height / y]

    @property
    def words(self) -> str:
        """The convention as a question states it."""
        if self.convention == "relative_1000":
            return "[x0, y0, x1, y1], each from 0 to 1000 of the picture's width and height"
        x, y = self.extent
        return f"[x0, y0, x1, y1] in pixels of the picture shown at {x} x {y}"


def shown_size(width: int, height: int, max_pixels: int, least_pixels: int = LEAST_PIXELS) -> tuple[int, int]:
    """Size at which Qwen2.5-VL shows a picture: multiples of 28, aspect kept, between the two pixel limits.

    The same rule as its processor's ``smart_resize`` (2502.13923).
    """
    x, y = max(PATCH, round(width / PATCH) * PATCH), max(PATCH, round(height / PATCH) * PATCH)
    if x * y > max_pixels:
        by = math.sqrt(width * height / max_pixels)
        x, y = (max(PATCH, math.floor(side / by / PATCH) * PATCH) for side in (width, height))
    elif x * y < least_pixels:
        by = math.sqrt(least_pixels / (width * height))
        x, y = (math.ceil(side * by / PATCH) * PATCH for side in (width, height))
    return x, y


def text(box: Sequence[float]) -> str:
    """``[x0, y0, x1, y1]`` in whole numbers."""
    return f"[{', '.join(str(round(v)) for v in box)}]"


def parse(answer: str) -> list[float]:
    """The only box in ``answer``.

    Raises:
        BoxError: there is none, or more than one.
    """
    found = _BOX.findall(answer)
    if len(found) != 1:
        raise BoxError(f"{answer!r} must hold exactly one box like [x0, y0, x1, y1]; it holds {len(found)}")
    return [float(v) for v in found[0]]


def check(box: Sequence[float], width: float, height: float) -> None:
    """Refuse what is no box inside ``width`` × ``height`` (a unit of rounding is forgiven).

    Raises:
        BoxError: not four numbers, empty, or outside.
    """
    if len(box) != 4 or not all(math.isfinite(v) for v in box):
        raise BoxError(f"a box is four numbers [x0, y0, x1, y1], got {list(box)}")
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise BoxError(f"box {list(box)} is empty: need x0 < x1 and y0 < y1")
    if x0 < -1 or y0 < -1 or x1 > width + 1 or y1 > height + 1:
        raise BoxError(f"box {list(box)} leaves its frame of {width} × {height}")


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes in the same convention; 0 when both are empty."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, across) * max(0.0, down)
    either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / either if either > 0 else 0.0


def holds(words: str) -> bool:
    """Is there a box in ``words``?"""
    return _BOX.search(words) is not None
