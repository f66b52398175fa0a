"""Estimator ``pixels``: the four sub-scores from pixels alone, NumPy only (ours; a control, not a judge).

Regions are flat patches that differ from the border's colours. ``knowledge`` is only a proxy (colour variety inside
regions: drawings of real things use more colours than plain shapes); it is the weakest of the four.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mindgpt_data.density.score import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pixels(picture: Picture, *, threshold: float = 60.0, side: int = 96) -> dict[str, float]:
    """Sub-scores from segmentation against a row-wise background estimate.

    Args:
        picture: RGB; its scene is not looked at.
        threshold: Euclidean RGB distance (0–441) beyond which a pixel is foreground.
        side: the image is measured at ``side`` × ``side`` pixels.
    """
    pixel = np.asarray(picture.image.convert("RGB").resize((side, side)), dtype=np.float64)
    # A vertical gradient is background, so each row has its own: the row's median colour.
    background = np.median(pixel, axis=1, keepdims=True)
    foreground = np.linalg.norm(pixel - background, axis=2) > threshold
    regions = _regions(foreground, smallest=side * side // 900)
    large = [region for region in regions if len(region) > side * side // 100]
    small = len(regions) - len(large)
    centres = np.array([region.mean(axis=0) for region in large]) if large else np.zeros((0, 2))
    spread = float(centres.std(axis=0).mean()) / side if len(large) > 1 else 0.0
    variety = [len(np.unique(pixel[r[:, 0], r[:, 1]] // 64, axis=0)) for r in large]
    return {
        "subjects": float(min(5.0, len(large))),
        "spatial": float(min(5.0, len(large) * (len(large) - 1) / 4 + 8.0 * spread)),
        # Letters: several small regions; large ones are things.
        "text": float(min(5.0, 0.8 * small)),
        "knowledge": float(min(5.0, sum(max(0, v - 4) for v in variety) / 4)),
    }


def _regions(mask: NDArray[np.bool_], smallest: int) -> list[NDArray[np.int64]]:
    """4-connected regions of at least ``smallest`` pixels as arrays [pixels, (y, x)]."""
    todo = mask.copy()
    height, width = mask.shape
    found = []
    for y0, x0 in np.argwhere(mask):
        if not todo[y0, x0]:
            continue
        todo[y0, x0] = False
        stack, region = [(int(y0), int(x0))], []
        while stack:
            y, x = stack.pop()
            region.append((y, x))
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < height and 0 <= u < width and todo[v, u]:
                    todo[v, u] = False
                    stack.append((v, u))
        if len(region) >= smallest:
            found.append(np.array(region))
    return found
