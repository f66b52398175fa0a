"""Tells background from foreground by colour and edges (ours), robust to gradients, texture, noise and blur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mindgpt_data.density.constants import Segmentation

Array = NDArray[Any]


@dataclass(frozen=True)
class Segments:
    """A segmented picture.

    Attributes:
        labels: int ``[height, width]``: region of each pixel; 0 is clutter.
        background: the regions that are background.
        foreground: bool ``[height, width]``, texts left out.
        scale: these pixels per pixel of the picture.
    """

    labels: Array
    background: frozenset[int]
    foreground: Array
    scale: float


def segment_picture(pixels: Array, texts: Sequence[Array], rules: Segmentation) -> Segments:
    """Segment a picture.

    Args:
        pixels: uint8 RGB ``[height, width, 3]``.
        texts: outlines of texts, each ``[corners, (x, y)]``: what lies in them is no subject.
        rules: every threshold.
    """
    cv2.setNumThreads(1)
    scale = rules.side / max(pixels.shape[:2])
    size = (max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
    colour = _smooth(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))
    labels = _merge(_regions(colour, rules), colour, rules.merge)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    numbers, counts = np.unique(rim, return_counts=True)
    background = frozenset(int(n) for n, c in zip(numbers, counts, strict=True) if n and c >= rules.border * len(rim))
    foreground = ~np.isin(labels, list(background))
    for outline in texts:
        foreground &= ~_letters(np.asarray(outline) * scale, foreground, colour, rules)
    return Segments(labels, background, foreground, scale)


def _smooth(small: Array) -> Array:
    """CIELAB ``[height, width, 3]`` with noise and fine texture taken out and edges kept."""
    calm = cv2.bilateralFilter(cv2.medianBlur(small, 5), 7, 30, 5)
    lab = cv2.cvtColor(calm.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(cv2.GaussianBlur(lab, (3, 3), 0.8))


def _regions(colour: Array, rules: Segmentation) -> Array:
    """Flat patches grown over the edges between them; 0 where none is near."""
    steps = [cv2.Scharr(colour, cv2.CV_32F, dx, 1 - dx) / 32 for dx in (1, 0)]
    step = np.sqrt(sum((s**2).sum(axis=2) for s in steps))
    flat = step < min(max(rules.edge, rules.floor * float(np.median(step))), rules.ceiling)
    _, patches, stats, _ = cv2.connectedComponentsWithStats(flat.astype(np.uint8), connectivity=4)
    seeds = stats[:, cv2.CC_STAT_AREA] >= rules.seed
    seeds[0] = False
    patches = np.where(seeds[patches], patches, 0)
    if not patches.any():
        return patches
    away, nearest = cv2.distanceTransformWithLabels(
        (patches == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(nearest.max()) + 1, np.int64)
    owner[nearest[patches > 0]] = patches[patches > 0]
    grown = owner[nearest]
    grown[away > rules.reach] = 0
    return grown


def _merge(labels: Array, colour: Array, closest: float) -> Array:
    """Join neighbouring regions of like colour, most alike first, until none are left; clutter stays clutter."""
    numbers, flat = np.unique(labels, return_inverse=True)
    flat = flat.reshape(-1) + (0 if numbers[0] == 0 else 1)
    count = int(flat.max()) + 1
    area = np.maximum(np.bincount(flat, minlength=count).astype(float), 1)
    mean = np.stack([np.bincount(flat, colour[..., c].ravel(), count) for c in range(3)], axis=1) / area[:, None]
    root = np.arange(count)

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = int(root[i])
        return i

    grid = flat.reshape(labels.shape)
    pairs = _neighbours(grid)
    while len(pairs):
        apart = np.linalg.norm(mean[pairs[:, 0]] - mean[pairs[:, 1]], axis=1)
        joined = False
        for at in np.argsort(apart, kind="stable"):
            if apart[at] >= closest:
                break
            a, b = find(int(pairs[at, 0])), find(int(pairs[at, 1]))
            if a != b and np.linalg.norm(mean[a] - mean[b]) < closest:
                total = area[a] + area[b]
                mean[a] = (mean[a] * area[a] + mean[b] * area[b]) / total
                area[a], root[b], joined = total, a, True
        if not joined:
            break
        pairs = np.sort(np.vectorize(find)(pairs), axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    final = np.array([find(i) for i in range(count)])
    return np.asarray(final[grid])


def _neighbours(grid: Array) -> Array:
    """Pairs of touching regions ``[pairs, 2]``, clutter left out."""
    found = []
    for a, b in ((grid[:, 1:], grid[:, :-1]), (grid[1:], grid[:-1])):
        touching = (a != b) & (a > 0) & (b > 0)
        found.append(np.sort(np.stack([a[touching], b[touching]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _letters(outline: Array, foreground: Array, colour: Array, rules: Segmentation) -> Array:
    """Where a text is, bool ``[height, width]``; nowhere when it is a thing: a sign, or discs that read as OOO.

    A text stands on paper that goes on around it (the median colour within its outline is the paper's), and letters
    are thin for their height.
    """
    inside = np.zeros(foreground.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 1)
    margin = np.ones((7, 7), np.uint8)
    grown: Array = np.asarray(cv2.dilate(inside, margin)) > 0
    around = (cv2.dilate(inside, margin, iterations=2) > 0) & ~grown
    if not inside.any() or not around.any():
        return grown
    paper = np.median(colour[inside > 0], axis=0) - np.median(colour[around], axis=0)
    if np.linalg.norm(paper) >= rules.paper:
        return np.zeros_like(foreground)
    height = min(cv2.minAreaRect(outline.astype(np.float32))[1])
    if height < rules.tall:
        return grown
    marks = (foreground & grown).astype(np.uint8)
    depth = cv2.distanceTransform(marks, cv2.DIST_L2, 3)
    _, blobs = cv2.connectedComponents(marks, connectivity=4)
    solid = np.unique(blobs[depth >= rules.stout * height])
    return np.asarray(grown & ~np.isin(blobs, solid[solid > 0]))
