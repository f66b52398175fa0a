"""Answers of type ``box``: reading boxes, five declared conventions, conversion, overlap.

The convention of a box is declared (in the row, or in the recipe) and never guessed: numbers alone do not say whether
``[0.2, 0.1, 0.5, 0.4]`` are shares or pixels. What can be checked is checked: a box that cannot be of the declared
convention is an error where it is the gold one, and wrong where it is the reply's. Source: ours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from mindgpt_plugins.answers.characters import fold_characters
from mindgpt_plugins.answers.errors import GoldError
from mindgpt_plugins.answers.json_value import find_last_json

Box = tuple[float, float, float, float]
BOX_CONVENTIONS: dict[str, str] = {
    "relative_1000": "corners x0, y0, x1, y1, each from 0 to 1000 of width and height (Qwen3-VL)",
    "relative_1": "corners x0, y0, x1, y1 as shares of width and height, each from 0 to 1",
    "pixels": "corners x0, y0, x1, y1 in pixels of a corpus's picture, or of what the model is shown (Qwen2.5-VL)",
    "xywh": "x and y of the top left corner, width and height, as shares of the picture, each from 0 to 1",
    "coco": "x and y of the top left corner, width and height, in pixels (COCO)",
}
"""Convention → what its four numbers are."""
_SIZED = ("xywh", "coco")
_SPAN = {"relative_1000": 1000.0, "relative_1": 1.0, "xywh": 1.0}
_NUMBER = r"-?(?:\d+(?:\.\d+)?|\.\d+)"
_FOUR = re.compile(rf"\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*")
_CORNER = rf"[(\[]\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*[)\]]"
_CORNERS = re.compile(rf"{_CORNER}\s*(?:,|to|-|and)?\s*{_CORNER}")
_BRACKETED = re.compile(rf"[(\[{{<]\s*{_FOUR.pattern}[)\]}}>]")
_NAMED = re.compile(
    rf"x_?(?:0|1|min)\s*[=:]\s*({_NUMBER})[\s,;]+y_?(?:0|1|min)\s*[=:]\s*({_NUMBER})[\s,;]+"
    rf"x_?(?:1|2|max)\s*[=:]\s*({_NUMBER})[\s,;]+y_?(?:1|2|max)\s*[=:]\s*({_NUMBER})", re.IGNORECASE,
)  # fmt: skip
_TAG = re.compile(r"</?\s*(?:box|bbox|loc|ref)\s*>|<\|[^|<>]*\|>", re.IGNORECASE)
_KEYS = ("bbox_2d", "bbox", "box")
LONGEST = 20_000


class BoxAnswerError(ValueError):
    """A box that cannot be read or converted."""


def parse_gold_boxes(gold: str, convention: str | None = None, size: tuple[int, int] | None = None) -> list[Box]:
    """Read a gold answer of type ``box``: one box or several, as corners in its own units.

    Args:
        gold: the boxes.
        convention: their convention, when it is declared.
        size: width and height of the picture, when known; pixels must lie in it.

    Raises:
        GoldError: no boxes, or boxes that cannot be of the convention.
    """
    shape = "[x, y, width, height]" if convention in _SIZED else "[x0, y0, x1, y1]"
    found = parse_boxes(gold, convention)
    if found is None:
        raise GoldError(f"gold answer {gold!r} of answer_type 'box' is no box {shape} that is not empty")
    if convention is not None and (reason := find_box_misfit(found, convention, size)):
        raise GoldError(f"gold answer {gold!r} of answer_type 'box': {reason}")
    return found


def parse_boxes(text: str, convention: str | None = None) -> list[Box] | None:
    """Read all boxes a short answer states, whatever brackets or JSON keys (``bbox_2d``) surround them.

    None when it states none, when something is left over that is a number or another box beside an ``or``, or when a
    box is empty or inside out.

    Args:
        text: the answer.
        convention: of the boxes; ``xywh`` and ``coco`` give corners too.

    Raises:
        ValueError: unknown convention.
    """
    if convention is not None:
        check_convention(convention)
    text = _TAG.sub("", fold_characters(text[:LONGEST])).strip()
    found = _from_json(text)
    if found is None:
        found = _from_words(text)
    if not found:
        return None
    boxes = [read_corners(box, convention) for box in found]
    whole = all(x0 < x1 and y0 < y1 and all(map(math.isfinite, (x0, y0, x1, y1))) for x0, y0, x1, y1 in boxes)
    return boxes if whole else None


def read_corners(numbers: Box, convention: str | None) -> Box:
    """Give the corners of a box from the four numbers that a convention writes, in the convention's own units."""
    x, y, width, height = numbers
    return (x, y, x + width, y + height) if convention in _SIZED else numbers


def _from_json(text: str) -> list[Box] | None:
    """Boxes of a JSON list or object; None when it is no JSON."""
    fenced = find_last_json(text) if "```" in text else None
    source = (fenced or text).strip()
    if source[:1] not in ("[", "{"):
        return None
    try:
        return _of_value(json.loads(source))
    except (ValueError, RecursionError, OverflowError):
        return None


def _of_value(value: object) -> list[Box]:
    if isinstance(value, dict):
        own = [value[key] for key in _KEYS if key in value]
        return _of_value(own[0]) if len(own) == 1 else []
    if not isinstance(value, list) or not value:
        return []
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):
        return [(float(value[0]), float(value[1]), float(value[2]), float(value[3]))] if len(value) == 4 else []
    if len(value) == 2 and all(isinstance(v, list) and len(v) == 2 and not isinstance(v[0], list) for v in value):
        return _of_value([*value[0], *value[1]])  # two corners
    inner = [_of_value(v) for v in value]
    return [box for boxes in inner for box in boxes] if all(inner) else []


def _from_words(text: str) -> list[Box] | None:
    four = _FOUR.fullmatch(text.strip("()[]{}<> ").rstrip("."))
    if four:
        return [_floats(four.groups())]
    named = list(_NAMED.finditer(text))
    if named:
        left, found = _NAMED.sub("", text), [_floats(m.groups()) for m in named]
    else:
        found = [_floats(m.groups()) for m in _CORNERS.finditer(text)]
        left = _CORNERS.sub(" ", text)
        found += [_floats(m.groups()) for m in _BRACKETED.finditer(left)]
        left = _BRACKETED.sub(" ", left)
    if re.search(r"\d", left) or re.search(r"\b(?:or|not|maybe|oder|ou)\b|或|不", left, re.IGNORECASE):
        return None  # something else is stated too
    return found


def _floats(groups: Sequence[str]) -> Box:
    a, b, c, d = (float(g) for g in groups)
    return a, b, c, d


def mentions_box(text: str) -> bool:
    """Does a text hold four numbers in brackets, anywhere?"""
    return _BRACKETED.search(fold_characters(text)) is not None


def check_convention(name: str) -> None:
    """Refuse a name that is no convention.

    Raises:
        ValueError: it is none.
    """
    if name not in BOX_CONVENTIONS:
        raise ValueError(f"unknown box convention {name!r}; it must be one of: {', '.join(BOX_CONVENTIONS)}")


def find_box_misfit(boxes: Sequence[Box], convention: str, size: tuple[int, int] | None = None) -> str | None:
    """Say why corners cannot be of a convention; None when they can.

    Half a percent beyond the edge is rounding, and so is a pixel.

    Args:
        boxes: corners, as :func:`read_corners` gives them.
        convention: one of :data:`BOX_CONVENTIONS`.
        size: width and height of the picture, when known; without it pixels have no upper limit.
    """
    in_pixels = convention in ("pixels", "coco")
    span = _SPAN.get(convention, math.inf)
    limit = (float(size[0]), float(size[1])) if in_pixels and size else (span, span)
    slack = 0.005 * max(limit) if math.isfinite(max(limit)) else 1.0
    slack = max(1.0, slack) if in_pixels else slack
    for box in boxes:
        x0, y0, x1, y1 = box
        if not all(map(math.isfinite, box)):
            return f"box {list(box)} is not four finite numbers"
        if x0 >= x1 or y0 >= y1:
            return f"box {list(box)} is empty or inside out for {convention} ({BOX_CONVENTIONS[convention]})"
        if min(x0, y0) < -slack or x1 > limit[0] + slack or y1 > limit[1] + slack:
            return f"box {list(box)} lies outside the picture for {convention} ({BOX_CONVENTIONS[convention]})"
        # As written: a width and a height of at most 1 are shares, wherever the far corner lies.
        written = (x0, y0, x1 - x0, y1 - y0) if convention in _SIZED else box
        if convention in ("pixels", "coco", "relative_1000") and max(written) <= 1:
            other = "xywh" if convention == "coco" else "relative_1"
            return (
                f"box {list(box)} is smaller than one unit of {convention}; are these shares, {other}? Declare that "
                "convention"
            )
    return None


def list_possible_conventions(numbers: Box, size: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Name the conventions that a box of a picture can be written in: those in which its numbers make sense.

    Args:
        numbers: the four numbers as they are written.
        size: width and height of the picture, when known.
    """
    return tuple(name for name in BOX_CONVENTIONS if find_box_misfit([read_corners(numbers, name)], name, size) is None)


def convert_boxes(boxes: Sequence[Box], source: str, to: str, size: tuple[int, int] | None = None) -> list[Box]:
    """Convert corners between the units of two conventions (``xywh`` and ``coco`` as :func:`parse_boxes` gives them).

    Args:
        boxes: to convert, as corners.
        source: their convention.
        to: the wanted one.
        size: width and height of the picture; needed when exactly one of the two counts in pixels.

    Raises:
        ValueError: unknown convention, or the size is needed and missing.
    """
    for name in (source, to):
        check_convention(name)
    before, after = (_SPAN.get(name) for name in (source, to))
    if before == after:
        return list(boxes)
    if size is None and None in (before, after):
        raise ValueError(f"boxes from {source} to {to} need the picture's size, and the picture is not at hand")
    width, height = size or (1, 1)
    x, y = (width, height) if after is None else (after, after)
    by_x, by_y = (x / width, y / height) if before is None else (x / before, y / before)
    return [(x0 * by_x, y0 * by_y, x1 * by_x, y1 * by_y) for x0, y0, x1, y1 in boxes]


def needs_size(source: str | None, to: str | None) -> bool:
    """Does converting between two conventions need the picture's size?"""
    return source is not None and to is not None and (_SPAN.get(source) is None) != (_SPAN.get(to) is None)


def compute_box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes in the same units, in [0, 1]; 0 when both are empty."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return min(1.0, width * height / either) if either > 0 else 0.0


def match_boxes(got: Sequence[Box], want: Sequence[Box]) -> list[float]:
    """Overlap of each pair when boxes are paired greedily, best first; 0 for each box of either list without one.

    The mean over the result is a score in [0, 1] that punishes missing and superfluous boxes alike.
    """
    pairs = sorted(((compute_box_iou(a, b), i, j) for i, a in enumerate(got) for j, b in enumerate(want)), reverse=True)
    left, right, found = set[int](), set[int](), list[float]()
    for value, i, j in pairs:
        if value > 0 and i not in left and j not in right:
            left.add(i)
            right.add(j)
            found.append(value)
    return found + [0.0] * (max(len(got), len(want)) - len(found))
