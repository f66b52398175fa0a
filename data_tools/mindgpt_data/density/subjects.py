"""Finds subjects: connected foreground, taken apart where things overlap or lie inside each other (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mindgpt_data.density.constants import SEGMENTATION, Segmentation
from mindgpt_data.density.segment import Array, Segments, segment_picture

Box = tuple[float, float, float, float]
OUTSIDE = -1


@dataclass(frozen=True)
class _Part:
    """A region of one connected thing; ``beside`` maps neighbouring regions to shares of the outline."""

    label: int
    area: float
    filled: float
    solid: float
    beside: dict[int, float]
    box: Box

    @property
    def host(self) -> int:
        return max(self.beside, key=lambda label: self.beside[label])


def find_subjects(pixels: Array, texts: Sequence[Array] = (), rules: Segmentation = SEGMENTATION) -> list[Box]:
    """Boxes ``(x0, y0, x1, y1)`` of the subjects, in pixels of the picture, from top to bottom.

    Several colours that touch are one subject (a car and its wheels) unless they look like things that overlap (alike
    in size, each solid and each with an outline of its own) or like one thing inside another.

    Args:
        pixels: uint8 RGB ``[height, width, 3]``.
        texts: outlines ``[corners, (x, y)]`` of texts, which are no subjects.
        rules: every threshold.
    """
    segments = segment_picture(pixels, texts, rules)
    foreground = _tidy(segments.foreground, rules.close)
    smallest = rules.smallest * foreground.size
    count, things, stats, _ = cv2.connectedComponentsWithStats(foreground, connectivity=4)
    found: list[Box] = []
    for number in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[number])
        inside = things[y : y + height, x : x + width] == number
        if area < smallest or _thickness(inside) < rules.thick:
            continue
        labels = np.where(inside, segments.labels[y : y + height, x : x + width], OUTSIDE)
        for box in _take_apart(labels, segments, smallest, rules):
            shifted = (box[0] + x, box[1] + y, box[2] + x, box[3] + y)
            found.append(tuple(value / segments.scale for value in shifted))  # type: ignore[arg-type]
    return found


def _take_apart(labels: Array, segments: Segments, smallest: float, rules: Segmentation) -> list[Box]:
    """Boxes of the subjects in one connected thing; ``labels`` is -1 outside of it."""
    parts = _parts(labels, segments.background, 0.25 * smallest)
    largest = max((part.filled for part in parts), default=0.0)
    peers = [
        part
        for part in parts
        if part.filled >= rules.peer * largest
        and part.area >= 0.6 * smallest
        and part.solid >= rules.solid
        and part.beside.get(OUTSIDE, 0.0) >= rules.open
    ]
    if len(peers) > 1:
        peers = [part for part in peers if part.area >= rules.split * smallest]
    if sum(part.filled for part in peers) < rules.cover * (labels != OUTSIDE).sum():
        peers = []
    whole: Box = (0, 0, labels.shape[1], labels.shape[0])
    nested = [part.box for part in parts if _is_nested(part, parts, peers, rules)]
    return ([part.box for part in peers] if len(peers) > 1 else [whole]) + nested


def _is_nested(part: _Part, parts: list[_Part], peers: list[_Part], rules: Segmentation) -> bool:
    """Whether a part is a thing on its own inside exactly one plain host, not a detail of it."""
    hosts = [peer for peer in peers if peer.label == part.host]
    if part in peers or len(hosts) != 1 or part.beside[part.host] < 0.8:
        return False
    details = [other for other in parts if other is not part and other not in peers and other.host == part.host]
    width, height = part.box[2] - part.box[0], part.box[3] - part.box[1]
    return (
        not details
        and part.solid >= 0.85
        and hosts[0].solid > 0.9
        and part.area >= rules.nested * hosts[0].filled
        and 0.5 < width / height < 2
    )


def _parts(labels: Array, background: frozenset[int], least: float) -> list[_Part]:
    padded = cv2.copyMakeBorder(labels.astype(np.int32), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=OUTSIDE)
    padded[np.isin(padded, list(background))] = OUTSIDE
    parts = []
    for label in np.unique(padded[padded > 0]):
        count, pieces, stats, _ = cv2.connectedComponentsWithStats((padded == label).astype(np.uint8), connectivity=4)
        for number in range(1, count):
            x, y, width, height, area = (int(v) for v in stats[number])
            if area < least:
                continue
            piece = (pieces == number).astype(np.uint8)
            ring = padded[(cv2.dilate(piece, np.ones((5, 5), np.uint8)) > 0) & (piece == 0)]
            names, counts = np.unique(ring, return_counts=True)
            outlines, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            outline = max(outlines, key=cv2.contourArea)
            filled = float(cv2.contourArea(outline))
            parts.append(
                _Part(
                    label=int(label),
                    area=float(area),
                    filled=filled,
                    solid=filled / max(1.0, float(cv2.contourArea(cv2.convexHull(outline)))),
                    beside={int(n): float(c) / ring.size for n, c in zip(names, counts, strict=True)},
                    box=(x - 1, y - 1, x - 1 + width, y - 1 + height),
                )
            )
    return parts


def _tidy(foreground: Array, close: int) -> Array:
    """Fill narrow gaps, then take off threads and specks."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (close, close))
    room = cv2.copyMakeBorder(foreground.astype(np.uint8), close, close, close, close, cv2.BORDER_CONSTANT)
    closed = cv2.morphologyEx(room, cv2.MORPH_CLOSE, disc)[close:-close, close:-close]
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))


def _thickness(inside: Array) -> float:
    room = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return float(cv2.distanceTransform(room, cv2.DIST_L2, 3).max())
