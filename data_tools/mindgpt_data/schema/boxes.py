"""Boxes in pictures: conversion between the picture as it lies on disk and the conventions that answers are written in.

Answers themselves are read by :mod:`mindgpt_plugins.answers`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mindgpt_plugins.answers import BOX_CONVENTIONS
from mindgpt_plugins.answers.box import parse_boxes

BoxConvention = Literal["relative_1000", "relative_1", "pixels", "xywh", "coco"]
"""One of :data:`~mindgpt_plugins.answers.BOX_CONVENTIONS`, for settings and manifests."""
PATCH = 28
"""Qwen2.5-VL shows pictures in multiples of this many pixels (patch 14, merged 2 × 2)."""
LEAST_PIXELS = 4 * PATCH * PATCH
"""Smaller pictures are scaled up to this by its processor."""


class BoxError(ValueError):
    """A box that cannot be read or does not lie in its picture."""


@dataclass(frozen=True)
class Frame:
    """Where coordinates live.

    Attributes:
        convention: one of :data:`~mindgpt_plugins.answers.BOX_CONVENTIONS`.
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
        if self.convention in ("relative_1", "xywh"):
            return 1, 1
        return (
            (self.width, self.height)
            if self.convention == "coco"
            else compute_shown_size(self.width, self.height, self.max_pixels)
        )

    def write(self, box: Sequence[float]) -> list[float]:
        """Corners in pixels of the picture on disk → the four numbers of this convention.

        Whole ones, except for shares, which have four decimals.

        Raises:
            BoxError: the box is empty or leaves the picture by more than a pixel.
        """
        check_box(box, self.width, self.height)
        x, y = self.extent
        scaled = [box[0] * x / self.width, box[1] * y / self.height, box[2] * x / self.width, box[3] * y / self.height]
        digits = 4 if (x, y) == (1, 1) else None
        x0, y0, x1, y1 = (min(limit, max(0, round(v, digits))) for v, limit in zip(scaled, (x, y, x, y), strict=True))
        if self.convention in ("xywh", "coco"):
            return [x0, y0, round(x1 - x0, digits), round(y1 - y0, digits)]
        return [x0, y0, x1, y1]

    def read(self, box: Sequence[float]) -> list[float]:
        """The four numbers of this convention → corners in pixels of the picture on disk.

        Raises:
            BoxError: the box is empty or leaves the picture by more than a unit.
        """
        x, y = self.extent
        if len(box) == 4 and self.convention in ("xywh", "coco"):
            box = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
        check_box(box, x, y)
        return [box[0] * self.width / x, box[1] * self.height / y, box[2] * self.width / x, box[3] * self.height / y]

    @property
    def words(self) -> str:
        """The convention as a question states it."""
        x, y = self.extent
        return {
            "relative_1000": "[x0, y0, x1, y1], each from 0 to 1000 of the picture's width and height",
            "relative_1": "[x0, y0, x1, y1], each from 0 to 1 as a share of the picture's width and height",
            "xywh": "[x, y, width, height] from the top left corner, each from 0 to 1 as a share of the picture's"
            " sides",
            "coco": f"[x, y, width, height] from the top left corner, in pixels of the picture of {x} x {y}",
        }.get(self.convention, f"[x0, y0, x1, y1] in pixels of the picture shown at {x} x {y}")


def compute_shown_size(width: int, height: int, max_pixels: int, least_pixels: int = LEAST_PIXELS) -> tuple[int, int]:
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


def format_box(box: Sequence[float]) -> str:
    """``[x0, y0, x1, y1]``; whole numbers where all are, up to rounding, else with four decimals."""
    shares = max(box) <= 1
    return f"[{', '.join(f'{v:.4g}' if shares else str(round(v)) for v in box)}]"


def parse_box(answer: str) -> list[float]:
    """Read the only box in ``answer``: its corners.

    Raises:
        BoxError: there is none, or more than one.
    """
    found = parse_boxes(answer) or []
    if len(found) != 1:
        raise BoxError(f"{answer!r} must hold exactly one box like [x0, y0, x1, y1]; it holds {len(found)}")
    return list(found[0])


def check_box(box: Sequence[float], width: float, height: float) -> None:
    """Refuse what is no box inside ``width`` × ``height`` (a unit of rounding is forgiven).

    Raises:
        BoxError: not four numbers, empty, or outside.
    """
    if len(box) != 4 or not all(math.isfinite(v) for v in box):
        raise BoxError(f"a box is four numbers [x0, y0, x1, y1], got {list(box)}")
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise BoxError(f"box {list(box)} is empty: need x0 < x1 and y0 < y1")
    unit = 0.005 if max(width, height) <= 1 else 1.0
    if x0 < -unit or y0 < -unit or x1 > width + unit or y1 > height + unit:
        raise BoxError(f"box {list(box)} leaves its frame of {width} × {height}")
