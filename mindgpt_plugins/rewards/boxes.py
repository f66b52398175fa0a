"""Boxes: reading them out of an answer, converting between coordinate conventions, overlap.

Conventions: ``relative_1000`` (0–1000 of the picture; Qwen3-VL), ``relative_1`` (0–1 of it) and ``pixels`` (of the
picture as the model was shown it; Qwen2.5-VL). A box is ``x0, y0, x1, y1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Box = tuple[float, float, float, float]
CONVENTIONS = ("relative_1000", "relative_1", "pixels")
_SPAN = {"relative_1000": 1000.0, "relative_1": 1.0}
# Unlike other numbers, coordinates use commas only between them. The 2 of "bbox_2d" is none.
_COORDINATE = re.compile(r"(?<![A-Za-z_\d.])-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"\"(?:label|name|category)\"\s*:\s*\"[^\"]*\"", re.IGNORECASE)


def parse_boxes(text: str) -> list[Box] | None:
    """All boxes an answer states, whatever brackets or JSON keys (``bbox_2d``) surround them.

    None when the numbers are no whole boxes, or one is empty or inside out.
    """
    numbers = [float(n) for n in _COORDINATE.findall(_QUOTED.sub("", text))]
    if not numbers or len(numbers) % 4:
        return None
    found = [(numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]) for i in range(0, len(numbers), 4)]
    return found if all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in found) else None


def convert(boxes: Sequence[Box], source: str, to: str, size: tuple[int, int] | None = None) -> list[Box]:
    """Boxes in another convention.

    Args:
        boxes: to convert.
        source: their convention.
        to: the wanted one.
        size: width and height of the picture; needed when exactly one of the two is ``pixels``.

    Raises:
        ValueError: unknown convention, or the size is needed and missing.
    """
    for name in (source, to):
        if name not in CONVENTIONS:
            raise ValueError(f"unknown box convention {name!r}; it must be one of: {', '.join(CONVENTIONS)}")
    if source == to:
        return list(boxes)
    if size is None and "pixels" in (source, to):
        raise ValueError(f"boxes from {source} to {to} need the picture's size, and the picture is not at hand")
    width, height = size or (1, 1)
    before = (width, height) if source == "pixels" else (_SPAN[source],) * 2
    after = (width, height) if to == "pixels" else (_SPAN[to],) * 2
    x, y = after[0] / before[0], after[1] / before[1]
    return [(x0 * x, y0 * y, x1 * x, y1 * y) for x0, y0, x1, y1 in boxes]


def iou(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1]."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return min(1.0, width * height / (sum(areas) - width * height))


def overlaps(got: Sequence[Box], want: Sequence[Box]) -> list[float]:
    """Overlap of each pair when boxes are paired greedily, best first; 0 for each box of either list without one.

    The mean over the result is a score in [0, 1] that punishes missing and superfluous boxes alike.
    """
    pairs = sorted(((iou(a, b), i, j) for i, a in enumerate(got) for j, b in enumerate(want)), reverse=True)
    left, right, found = set[int](), set[int](), list[float]()
    for value, i, j in pairs:
        if value > 0 and i not in left and j not in right:
            left.add(i)
            right.add(j)
            found.append(value)
    return found + [0.0] * (max(len(got), len(want)) - len(found))
